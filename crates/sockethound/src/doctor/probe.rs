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

use capture::bpf::Refusal;
use capture::ring::{self, RingSource};
use dissect::Timestamp;
use host::{Answer, Conntrack, Owner, Proc, Protocol, Question, Reason};
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, LinkNameSpaceType, move_into_link_name_space};

use crate::privilege::capabilities::{ATTRIBUTION, CAPTURE};
use crate::privilege::owners::{self, Manner};
use crate::privilege::rung::{CGROUPS, PROGRAMS, Rung, TRACING, reasons};
use crate::privilege::{probe_landlock, probe_seccomp};

/// Something the program does, tried out.
pub(super) struct Probe {
    /// For machines.
    pub(super) name: &'static str,
    /// For people.
    pub(super) about: &'static str,
    /// What would make it work where it is not permitted.
    pub(super) needs: CapabilitySet,
    /// The kernel's options that give it; none for what every kernel has.
    pub(super) option: &'static str,
    /// Why nothing is lost without it; `None` for what the program uses.
    pub(super) unused: Option<&'static str>,
    pub(super) run: fn() -> Outcome,
}

impl Probe {
    /// Something that the program uses.
    const fn of(name: &'static str, about: &'static str, needs: CapabilitySet, run: fn() -> Outcome) -> Self {
        Self { name, about, needs, option: "", unused: None, run }
    }

    /// The same, where the kernel was built with an option.
    const fn where_built(self, option: &'static str) -> Self {
        Self { option, ..self }
    }
}

/// What was found, in few words; or why it does not work.
pub(super) type Outcome = Result<String, Failure>;

/// Every row, in their order.
pub(super) const PROBES: &[Probe] = &[
    Probe::of("capture", "packets of interfaces", CAPTURE, capture).where_built("CONFIG_PACKET"),
    Probe::of(
        "count_when_late",
        "packets: counted in the kernel when late (BPF)",
        CAPTURE.union(PROGRAMS),
        late,
    )
    .where_built("CONFIG_BPF_SYSCALL"),
    Probe::of("owners", "owners: processes of this user", ATTRIBUTION, owners)
        .where_built("CONFIG_INET_DIAG"),
    Probe::of("other_users", "owners: processes of other users", ATTRIBUTION, other_users),
    Probe::of("namespaces", "owners: other network namespaces", CapabilitySet::SYS_ADMIN, namespaces)
        .where_built("CONFIG_NET_NS"),
    Probe::of("conntrack", "owners: translated addresses (conntrack)", CapabilitySet::NET_ADMIN, conntrack)
        .where_built("CONFIG_NF_CT_NETLINK"),
    Probe::of(
        "kernel_events",
        "owners: told by the kernel (BPF)",
        PROGRAMS.union(CGROUPS).union(TRACING),
        kernel_events,
    )
    .where_built("CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF"),
    Probe::of(
        "process_totals",
        "owners: bytes, retransmits and drops counted at sockets (BPF)",
        PROGRAMS.union(CGROUPS).union(TRACING),
        process_totals,
    )
    .where_built("CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF"),
    Probe {
        name: "trampolines",
        about: "owners: functions entered (fentry)",
        needs: CapabilitySet::empty(),
        option: "",
        unused: Some("neither it nor kprobes would tell more"),
        run: trampolines,
    },
    Probe::of("landlock", "sandbox: files (Landlock)", CapabilitySet::empty(), || Ok(probe_landlock()?))
        .where_built("CONFIG_SECURITY_LANDLOCK"),
    Probe::of("seccomp", "sandbox: system calls (seccomp)", CapabilitySet::empty(), || {
        Ok(probe_seccomp().map(|()| String::new())?)
    })
    .where_built("CONFIG_SECCOMP_FILTER"),
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

    /// Whether the kernel does not know what it was asked for.
    pub(super) fn is_unknown(&self) -> bool {
        const UNKNOWN: [i32; 4] = [libc::ENOSYS, libc::EOPNOTSUPP, libc::EPROTONOSUPPORT, libc::EAFNOSUPPORT];
        self.errno.is_some_and(|errno| UNKNOWN.contains(&errno))
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

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { reason: refusal.to_string(), errno: refusal.errno }
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
    Ok(RingSource::open(&small())?.interface_names().join(" "))
}

fn small() -> ring::Options {
    ring::Options { ring_bytes: 1 << 20, block_bytes: 1 << 16, ..ring::Options::default() }
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
        translated: None,
        namespace: None,
        interface: 0,
        begun: Timestamp::UNKNOWN,
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

/// Makes a ring with the program that counts what there may be no room for.
fn late() -> Outcome {
    let options = ring::Options { count_in_kernel: true, ..small() };
    match RingSource::open(&options)?.refusal() {
        None => Ok(String::new()),
        Some(refusal) => Err(refusal.clone().into()),
    }
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
    Err(Failure { reason: format!("rung {letter}{missing}: {}", reasons(&rung.refused)), errno })
}

/// The same for those that count.
fn process_totals() -> Outcome {
    let rung = Rung::probe();
    // Without packets at sockets there is nothing to count.
    if rung.counts && rung.not_counted.is_empty() && matches!(rung.letter, 'A' | 'C') {
        return Ok(String::new());
    }
    let refused = if rung.not_counted.is_empty() { &rung.refused } else { &rung.not_counted };
    let errno = refused.iter().find_map(|refusal| refusal.errno);
    Err(Failure { reason: reasons(refused), errno })
}

/// Loads a program that would enter a function.
fn trampolines() -> Outcome {
    let probed = capture::bpf::probe_trampolines();
    probed.map(|()| String::new()).map_err(|Refusal { reason, errno, .. }| Failure { reason, errno })
}

/// Subscribes to translated flows.
fn conntrack() -> Outcome {
    Ok(Conntrack::open().map(|_| String::new())?)
}
