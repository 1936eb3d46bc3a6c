//! What is tried. A row of the report is an entry of [`PROBES`].

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use capture::ring::{self, RingSource};
use host::{Answer, Conntrack, Owner, Proc, Protocol, Question, Reason};
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, LinkNameSpaceType, move_into_link_name_space};

use crate::privilege::capabilities::{ATTRIBUTION, CAPTURE};
use crate::privilege::owners::{self, Manner};
use crate::privilege::rung::{CGROUPS, PROGRAMS, Rung, TRACING};
use crate::privilege::{probe_landlock, probe_seccomp};

/// Something the program does, tried out.
pub(super) struct Probe {
    /// For machines.
    pub(super) name: &'static str,
    /// For people.
    pub(super) about: &'static str,
    /// What would make it work where it is not permitted.
    pub(super) needs: CapabilitySet,
    pub(super) run: fn() -> Outcome,
}

/// What was found, in few words; or why it does not work.
pub(super) type Outcome = Result<String, Failure>;

/// Every row, in their order.
pub(super) const PROBES: &[Probe] = &[
    Probe { name: "capture", about: "packets of interfaces", needs: CAPTURE, run: capture },
    Probe { name: "owners", about: "owners: processes of this user", needs: ATTRIBUTION, run: owners },
    Probe {
        name: "other_users",
        about: "owners: processes of other users",
        needs: ATTRIBUTION,
        run: other_users,
    },
    Probe {
        name: "namespaces",
        about: "owners: other network namespaces",
        needs: CapabilitySet::SYS_ADMIN,
        run: namespaces,
    },
    Probe {
        name: "conntrack",
        about: "owners: translated addresses (conntrack)",
        needs: CapabilitySet::NET_ADMIN,
        run: conntrack,
    },
    Probe {
        name: "kernel_events",
        about: "owners: told by the kernel (BPF)",
        needs: PROGRAMS.union(CGROUPS).union(TRACING),
        run: kernel_events,
    },
    Probe {
        name: "trampolines",
        about: "owners: functions of the kernel entered (fentry)",
        needs: CapabilitySet::empty(),
        run: trampolines,
    },
    Probe {
        name: "landlock",
        about: "sandbox: files (Landlock)",
        needs: CapabilitySet::empty(),
        run: || Ok(probe_landlock()?),
    },
    Probe {
        name: "seccomp",
        about: "sandbox: system calls (seccomp)",
        needs: CapabilitySet::empty(),
        run: || Ok(probe_seccomp().map(|()| String::new())?),
    },
];

/// Why something does not work.
#[derive(Debug)]
pub(super) struct Failure {
    reason: String,
    /// What the kernel answered.
    pub(super) errno: Option<i32>,
}

impl Failure {
    /// Whether privileges are what is missing.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.errno, Some(libc::EPERM | libc::EACCES))
    }

    fn because(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), errno: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // An error that was put into words has no number any more.
        let refused = (error.kind() == io::ErrorKind::PermissionDenied).then_some(libc::EPERM);
        Self { reason: error.to_string(), errno: error.raw_os_error().or(refused) }
    }
}

impl From<ring::Error> for Failure {
    fn from(error: ring::Error) -> Self {
        match error {
            ring::Error::NotPermitted { source } => source.into(),
            ring::Error::System { what, source } => {
                Self { reason: format!("{what}: {source}"), errno: source.raw_os_error() }
            }
            other => Self::because(other),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let errno = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
        Self { reason: format!("{error:#}"), errno }
    }
}

/// Makes the ring that a report would make, only smaller.
fn capture() -> Outcome {
    let options = ring::Options { ring_bytes: 1 << 20, block_bytes: 1 << 16, ..ring::Options::default() };
    Ok(RingSource::open(&options)?.interface_names().join(" "))
}

/// Asks the sandboxed process for the owner of a socket of this user's.
fn owners() -> Outcome {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let at = socket.local_addr()?;
    let mut holder = hold(socket)?;
    let start = Instant::now();
    let found = ask(at);
    let took = start.elapsed().as_millis();
    holder.kill()?;
    holder.wait()?;
    match found? {
        Ok(owner) if owner.pid == holder.id() => Ok(format!("ready in {took} ms")),
        Ok(owner) => Err(Failure::because(format!("{} was found in place of {}", owner.pid, holder.id()))),
        Err(Reason::Permission { .. }) => {
            Err(Failure { reason: "the holder may not be read".to_owned(), errno: Some(libc::EACCES) })
        }
        Err(reason) => Err(Failure::because(reason)),
    }
}

/// Gives a socket to a process without any privileges of its own: this one, if it has more than its user has by
/// itself, may be hidden from the user's processes.
fn hold(socket: UdpSocket) -> io::Result<Child> {
    let socket = OwnedFd::from(socket);
    Command::new("sleep").arg("30").stdin(socket).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

fn ask(source: SocketAddr) -> Result<Result<std::sync::Arc<Owner>, Reason>, Failure> {
    let question = Question {
        protocol: Protocol::UDP,
        source,
        destination: SocketAddr::from(([127, 0, 0, 1], 9)),
        namespace: None,
        interface: 0,
    };
    let mut client = owners::spawn(Manner { no_bpf: true, ..Manner::default() })?;
    client.ask(&question);
    let end = Instant::now() + Duration::from_secs(10);
    let mut answer = None;
    while answer.is_none() && Instant::now() < end {
        client.receive(|_, told| answer = Some(told))?;
        thread::sleep(Duration::from_millis(2));
    }
    match answer {
        Some(Answer::Owner(found)) => Ok(Ok(found.owner)),
        Some(Answer::None(reason)) => Ok(Err(reason)),
        None => Err(Failure::because("no answer in 10 s")),
    }
}

/// Looks into every process of another user.
fn other_users() -> Outcome {
    let (mut all, mut refused) = (0, Vec::new());
    let proc = Proc::default();
    for pid in proc.pids()? {
        let folder = format!("/proc/{pid}");
        let Ok(of) = fs::metadata(&folder) else { continue };
        let is_child = || proc.stat(pid).is_ok_and(|stat| stat.parent == std::process::id());
        if of.uid() == geteuid().as_raw() || is_child() {
            continue;
        }
        let looked =
            fs::read_dir(format!("{folder}/fd")).and_then(|_| fs::read_link(format!("{folder}/ns/net")));
        match looked {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => refused.push(error),
            Ok(_) => {}
        }
        all += 1;
    }
    let readable = all - refused.len();
    match refused.pop() {
        Some(error) if readable == 0 => Err(error.into()),
        _ if all == 0 => Ok("there are none".to_owned()),
        _ => Ok(format!("{readable} of {all}")),
    }
}

/// Enters a network namespace: the one it is in, which takes no less.
fn namespaces() -> Outcome {
    let enter = || -> io::Result<()> {
        let own = File::open("/proc/self/ns/net")?;
        Ok(move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::Network))?)
    };
    thread::spawn(enter).join().map_err(|_| Failure::because("the probe panicked"))??;
    Ok(String::new())
}

/// Loads every program that tells owners, and lets go of it.
fn kernel_events() -> Outcome {
    let rung = Rung::probe();
    let letter = rung.letter;
    if rung.is_whole() {
        return Ok(format!("rung {letter}, all {} programs", capture::bpf::hooks().len()));
    }
    let missing = if rung.lacks.is_empty() { String::new() } else { format!(", nothing {}", rung.lacks) };
    let errno = rung.refused.iter().find_map(|refusal| refusal.errno);
    Err(Failure { reason: format!("rung {letter}{missing}: {}", rung.reasons()), errno })
}

/// Nothing depends on it: whether it is allowed is worth a word, not a remedy.
#[expect(clippy::unnecessary_wraps, reason = "it is a row like the others")]
fn trampolines() -> Outcome {
    const ADDS: &str = "not used: connections, first use and packets are told of without it, and so they are without kprobes";
    Ok(match capture::bpf::probe_trampolines() {
        Ok(()) => format!("allowed; {ADDS}"),
        Err(refusal) => format!("refused ({}); {ADDS}", refusal.reason),
    })
}

/// Subscribes to translated flows.
fn conntrack() -> Outcome {
    Ok(Conntrack::open().map(|_| String::new())?)
}
