//! What the program may do, and giving it up before the first packet is read.
//!
//! Packets are written by strangers, so that whatever reads them may do as little
//! as possible. Three steps, in this order, all before any thread is started:
//!
//! 1. [`owners::spawn`] starts a process that looks up owners. It keeps what
//!    attribution needs, and never sees packet bytes.
//! 2. The caller opens all it will need: sockets, rings, outputs.
//! 3. [`confine`] gives up the rest, for the calling thread and all that it will
//!    start: user, capabilities, files (Landlock), system calls (seccomp).
//!
//! What a kernel lacks is said and not fatal; what it has and refuses is.

pub mod capabilities;
pub mod hooks;
mod identity;
mod landlock;
pub mod owners;
pub mod remedy;
pub mod rung;
mod seccomp;

pub(crate) use self::landlock::probe as probe_landlock;
pub(crate) use self::seccomp::probe as probe_seccomp;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::Access;
use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::thread::CapabilitySet;

/// What stays allowed.
#[derive(Clone, Copy, Debug)]
pub struct Confinement<'a> {
    /// Outputs, which may be opened again, and made anew where a rotation has moved them away.
    pub writes: &'a [&'a Path],
    /// Files and folders that are still to be opened for reading.
    pub reads: &'a [&'a Path],
    /// Capabilities that are kept, if held. An open packet socket follows interfaces without any.
    pub keep: CapabilitySet,
    /// Stays the user that started it, whose files are still to be opened.
    pub stay: bool,
    /// Gives nothing up, and says so.
    pub no_sandbox: bool,
}

/// Gives up everything but `allowed`, for good; root becomes the user that invoked sudo, or nobody.
///
/// Gives the lines that the user should hear: what this kernel cannot do, and what is impossible from now on.
///
/// # Errors
/// If the kernel refuses a step, or if other threads run, which would keep what they have. Then nothing is safe.
pub fn confine(allowed: &Confinement<'_>) -> Result<Vec<String>> {
    if allowed.no_sandbox {
        return Ok(vec![forgone()]);
    }
    let mut lines = Vec::new();
    drop_privileges(allowed.keep, allowed.stay, &mut lines)?;
    lines.extend(allowed.writes.iter().filter_map(|path| no_reopening(path)));
    lines.extend(landlock::restrict(allowed)?);
    lines.extend(seccomp::install(&seccomp::packets())?);
    Ok(lines)
}

/// User and capabilities, and no way back to either.
fn drop_privileges(keep: CapabilitySet, stay: bool, lines: &mut Vec<String>) -> Result<()> {
    wait_to_be_alone()?;
    capabilities::empty_bounding_set().context("cannot empty the capability bounding set")?;
    if !stay
        && let Some(identity) = identity::successor()
        && let Err(error) = identity.assume()
    {
        lines.push(format!("warning: stays root: cannot become {identity}: {error}"));
    }
    capabilities::keep_only(keep).context("cannot drop capabilities")?;
    rustix::thread::set_no_new_privs(true).context("cannot set no_new_privs")
}

/// Whatever another thread has, it would keep. One that was joined may still be listed for a moment.
fn wait_to_be_alone() -> Result<()> {
    const MOMENT: Duration = Duration::from_millis(1);
    const MOMENTS: u32 = 1000;
    let threads = || fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    for _ in 0..MOMENTS {
        if threads() == 1 {
            return Ok(());
        }
        std::thread::sleep(MOMENT);
    }
    bail!("cannot drop privileges: {} threads run already", threads())
}

/// What `--no-sandbox` gives up, in one line.
fn forgone() -> String {
    let held = capabilities::held().unwrap_or(CapabilitySet::empty());
    let user = if geteuid().is_root() { "root".to_owned() } else { format!("uid {}", geteuid().as_raw()) };
    let with = match held {
        none if none.is_empty() => String::new(),
        all if all.contains(capabilities::bounding_set()) => " with all capabilities".to_owned(),
        some => format!(" with {}", capabilities::names(some)),
    };
    format!(
        "warning: --no-sandbox: packets are read as {user}{with}; a packet that takes the program over may open any file and socket of that user and run programs"
    )
}

/// Says if an output cannot be opened again under its name when a rotation has moved it away.
fn no_reopening(path: &Path) -> Option<String> {
    let (what, access) = if path.exists() && !path.is_file() {
        (path, Access::WRITE_OK)
    } else {
        (landlock::folder_of(path), Access::WRITE_OK | Access::EXEC_OK)
    };
    // What is not there at all is said by whoever opens it first.
    let error = rustix::fs::access(what, access).err().filter(|error| *error != Errno::NOENT)?;
    let (path, what, uid) = (path.display(), what.display(), geteuid().as_raw());
    Some(format!("warning: SIGHUP cannot open {path} again: uid {uid} may not write to {what}: {error}"))
}
