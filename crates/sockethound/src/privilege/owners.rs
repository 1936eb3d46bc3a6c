//! The process that looks up owners.
//!
//! It is this program again, under a hidden subcommand, with one end of a socket
//! pair as its standard input: `fork` alone is not to be had without unsafe code.
//! It opens its sockets in every network namespace, which takes `SYS_ADMIN`, then
//! keeps what reading `/proc` of others takes, and is given five-tuples, never
//! packet bytes. It is outside of Landlock, which would deny `/proc/PID/fd`
//! whatever the capabilities.
//!
//! It ends when the other end is closed, which the kernel does however the asking
//! process ends; and by no signal that is meant for that one, since its last
//! report still needs owners.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use host::service::{Client, greet, serve};
use host::{Config, Owners};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::CapabilitySet;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use super::{capabilities, hooks, seccomp};

/// The hidden subcommand.
pub const COMMAND: &str = "owner-service";
/// Its option to keep what it has.
const NO_SANDBOX: &str = "--no-sandbox";
/// Its option to load no programs into the kernel.
const NO_BPF: &str = "--no-bpf";
/// Its option for the memory of what those tell.
const BPF_RING: &str = "--bpf-ring";

/// How it is run.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Keeps all privileges.
    pub no_sandbox: bool,
    /// Loads no programs into the kernel.
    pub no_bpf: bool,
    /// Memory for what they tell, in KiB; rounded up to a power of two.
    pub bpf_ring: u32,
}

impl Default for Manner {
    fn default() -> Self {
        Self { no_sandbox: false, no_bpf: false, bpf_ring: 2048 }
    }
}

/// Starts the process; the client is ready at once, and answers come when it is.
///
/// It must be called before privileges are dropped and before threads are started.
///
/// # Errors
/// If the process cannot be started.
pub fn spawn(manner: Manner) -> io::Result<Client> {
    let (near, far) = UnixStream::pair()?;
    start(far, manner)?;
    Client::new(near)
}

/// Nobody waits for it: it outlives whoever asks.
fn start(stream: UnixStream, manner: Manner) -> io::Result<()> {
    // Not by its path: that may be another program by now.
    const SELF: &str = "/proc/self/exe";
    let named = |e: io::Error| io::Error::new(e.kind(), format!("cannot start {SELF}: {e}"));
    Command::new(SELF)
        .arg0("sockethound")
        .arg(COMMAND)
        .args(manner.no_sandbox.then_some(NO_SANDBOX))
        .args(manner.no_bpf.then_some(NO_BPF))
        .arg(format!("{BPF_RING}={}", manner.bpf_ring))
        .env_clear()
        .envs(
            ["SUDO_UID", "SUDO_GID"]
                .iter()
                .filter_map(|name| Some((OsStr::new(name), std::env::var_os(name)?))),
        )
        .stdin(OwnedFd::from(stream))
        .stdout(Stdio::null())
        // The terminal's Ctrl+C is not for it.
        .process_group(0)
        .spawn()
        .map(drop)
        .map_err(named)
}

/// What the hidden subcommand does: answers until nobody asks any more.
///
/// # Errors
/// If it was not started by [`spawn`], or what it needs is refused.
pub fn run(manner: Manner) -> Result<()> {
    let ignored = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] {
        signal_hook::flag::register(signal, Arc::clone(&ignored))?;
    }
    let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    stream.peer_addr().context("owner-service is started by sockethound itself")?;
    // Else its name would be that of the link it was started by.
    rustix::thread::set_name(c"owner-service")?;
    // First, since nobody captures before it is known what the kernel tells.
    let (kernel, greeting) = hooks::open(manner);
    greet(&stream, &greeting)?;
    capture::memory::gather_program();
    open_as_many_as_allowed();
    let mut owners = Owners::open(&Config::default()).context("cannot look up owners")?;
    if let Some(kernel) = kernel {
        owners.listen(Box::new(kernel));
    }
    capture::memory::gather_heap();
    if !manner.no_sandbox {
        confine().context("cannot look up owners")?;
    }
    match serve(&mut owners, stream) {
        Err(error) if !is_over(&error) => Err(error).context("lookup of owners failed"),
        _ => Ok(()),
    }
}

/// Two sockets stay open in each network namespace: where there are hundreds of containers, more than the soft limit allows.
fn open_as_many_as_allowed() {
    let limit = getrlimit(Resource::Nofile);
    // What is refused leaves it as it was: sockets of further namespaces are read as text.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Keeps what reading others' `/proc` takes, no writing, no sockets, no programs.
///
/// Without `SYS_PTRACE`, as in most containers, a process may be read by its own user, and only by one that may do all it
/// may (ptrace(2), access mode checking): then the user and the capabilities stay, and the system calls must do.
fn confine() -> Result<()> {
    let held = capabilities::held()?;
    let any_process = held.contains(CapabilitySet::SYS_PTRACE);
    let keep = if any_process { capabilities::ATTRIBUTION } else { held };
    // Whatever there is to say, the asking process has said it.
    super::drop_privileges(keep, !any_process, &mut Vec::new())?;
    seccomp::install(&seccomp::owners())?;
    Ok(())
}

/// The asking process has ended in the middle of something.
fn is_over(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
