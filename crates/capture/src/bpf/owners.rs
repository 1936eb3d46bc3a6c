//! The programs that tell owners: which there are, what they tell, and reading it.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{Ordering, fence};

use aya::Ebpf;
use aya::maps::{Map, MapData, RingBuf};

use super::accounts::{Accounts, RoundTrip, Total};
use super::cgroup;
use super::event::{EVENT, Event, parse, read_records};
use super::load::{self, Object, Place, Refusal};
use super::sys::{self, Words};
use crate::fetch;

static OBJECT: &[u8] = aya::include_bytes_aligned!("owners.bpf.o");

/// What an event takes of the room for them: the kernel puts eight bytes before each.
const RECORD: usize = EVENT + 8;

/// One program.
struct Hook {
    name: &'static str,
    /// Its like, tried where it is refused.
    instead: Option<&'static str>,
    at: At,
}

enum At {
    Cgroup,
    Tracepoint,
}

const HOOKS: &[Hook] = &[
    Hook { name: "sock_create", instead: Some("sock_create_plain"), at: At::Cgroup },
    Hook { name: "connect4", instead: Some("connect4_plain"), at: At::Cgroup },
    Hook { name: "connect6", instead: Some("connect6_plain"), at: At::Cgroup },
    Hook { name: "inet_sock_set_state", instead: None, at: At::Tracepoint },
    Hook { name: PACKETS, instead: Some("sent_plain"), at: At::Cgroup },
    Hook { name: SENDS, instead: None, at: At::Tracepoint },
    Hook { name: "sock_recv_length", instead: None, at: At::Tracepoint },
    Hook { name: "received", instead: Some("received_plain"), at: At::Cgroup },
    Hook { name: "sock_release", instead: Some("sock_release_plain"), at: At::Cgroup },
    Hook { name: "tcp_retransmit_skb", instead: None, at: At::Tracepoint },
    Hook { name: "sched_process_exec", instead: None, at: At::Tracepoint },
];

/// Sees who sends; and what sees it of TCP alone, which costs less: of all else [`PACKETS`] tells it. Older kernels lack the
/// second tracepoint.
const SENDS: &str = "sock_send_length";
const SENDS_OF_TCP: &str = "tcp_sendmsg_locked";
const PACKETS: &str = "sent";

/// The one that only counts, beside all that see packets.
const COUNTING: [&str; 1] = ["tcp_retransmit_skb"];

/// The programs by name, and whether each is attached to a cgroup, which takes `CAP_NET_ADMIN`, or to a tracepoint,
/// which takes `CAP_PERFMON`; all take `CAP_BPF`.
pub fn hooks() -> Vec<(&'static str, bool)> {
    let telling = HOOKS.iter().filter(|hook| !COUNTING.contains(&hook.name));
    telling.map(|hook| (hook.name, matches!(hook.at, At::Cgroup))).collect()
}

/// Whether a program or a map of this name is only there to count.
pub fn is_counting(name: &str) -> bool {
    COUNTING.contains(&name) || ["open_sockets", "each_total", "totals"].contains(&name)
}

/// How the programs are loaded.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Memory for events that wait to be read: a power of two, at least a page.
    pub ring_bytes: u32,
    /// Add up what each process's sockets send and receive, where that can be read (`CAP_PERFMON`).
    pub accounts: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { ring_bytes: 2 << 20, accounts: true }
    }
}

/// Programs that are loaded and tell.
pub struct Hooks {
    /// Holds the links. The kernel's types, by which they were loaded, are large, and not kept.
    _programs: Ebpf,
    events: RingBuf<MapData>,
    losses: Words,
    wake: Words,
    snapshot: Option<OwnedFd>,
    accounts: Option<Accounts>,
    cgroup: Option<OwnedFd>,
    attached: Vec<&'static str>,
    refused: Vec<Refusal>,
    lost: u64,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("attached", &self.attached).finish_non_exhaustive()
    }
}

impl Hooks {
    /// Loads what can be loaded, and attaches it: from then on it tells.
    ///
    /// # Errors
    /// If nothing can: the refusal of what all of them take.
    pub fn open(options: &Options) -> Result<Self, Refusal> {
        let mut refused = Vec::new();
        let (mut object, accounts) = open(*options, &mut refused)?;
        let cgroup = cgroup::root();
        let attached = attach(&mut object, &cgroup, accounts.is_some(), &mut refused);
        let snapshot = snapshot(&mut object).map_err(|refusal| refused.push(refusal)).ok();
        if attached.is_empty() && snapshot.is_none() {
            return Err(refused.swap_remove(0));
        }
        // The kernel's types take more memory than all that follows.
        let mut programs = object.into_programs();
        crate::memory::give_back();
        let mut map = |name: &str| {
            programs.take_map(name).ok_or_else(|| Refusal::of(name, &io::Error::other("no such map")))
        };
        let events = map("events")?;
        let mut word = |name: &str| word(&map(name)?).map_err(|e| Refusal::of(name, &e));
        let (losses, wake) = (word("lost")?, word("wake")?);
        Ok(Self {
            events: RingBuf::try_from(events).map_err(|e| Refusal::of("events", &e))?,
            losses,
            wake,
            _programs: programs,
            snapshot,
            accounts,
            cgroup: cgroup.ok(),
            attached,
            refused,
            lost: 0,
        })
    }

    /// The programs that tell.
    pub fn attached(&self) -> &[&'static str] {
        &self.attached
    }

    /// Those that the kernel refused, and why.
    pub fn refused(&self) -> &[Refusal] {
        &self.refused
    }

    /// Whether whoever sends is seen.
    pub fn sees_senders(&self) -> bool {
        self.attached.contains(&SENDS) || self.attached.contains(&SENDS_OF_TCP)
    }

    /// The root of the cgroups, whose folders' inodes are [`Process::cgroup`](super::Process::cgroup).
    pub fn cgroup(&self) -> Option<BorrowedFd<'_>> {
        self.cgroup.as_ref().map(AsFd::as_fd)
    }

    /// Gives what was told since to `each`, in order.
    pub fn read(&mut self, mut each: impl FnMut(Event)) {
        /// So far ahead of the event that is read others are fetched: other processors have just written them.
        const AHEAD: usize = 8 * RECORD;
        while let Some(bytes) = self.events.next() {
            fetch::lines(&bytes, AHEAD, RECORD);
            if let Some(event) = parse(&bytes) {
                each(event);
            }
        }
    }

    /// Whether the descriptor becomes readable with the next event, once; it does so anyway where room begins to fill.
    /// What was told before is to be read after this.
    pub fn wake_by_next(&mut self, wanted: bool) {
        self.wake.all().first().inspect(|wake| wake.store(u64::from(wanted), Ordering::SeqCst));
        // What is read of the ring is read after this.
        fence(Ordering::SeqCst);
    }

    /// How many events found no room since it was asked last.
    pub fn take_lost(&mut self) -> u64 {
        let lost = self.losses.all().first().map_or(0, |lost| lost.load(Ordering::Relaxed));
        let before = std::mem::replace(&mut self.lost, lost);
        lost.saturating_sub(before)
    }

    /// Gives the sockets that processes have to `each`; what has a five-tuple is told anew with its next packet.
    ///
    /// # Errors
    /// If the kernel has no such iterator, or refuses it.
    pub fn snapshot(&self, mut each: impl FnMut(Event)) -> io::Result<()> {
        let link = self.snapshot.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let mut file = sys::iterate(link.as_fd())?;
        read_records::<EVENT>(&mut file, |record| {
            if let Some(event) = parse(record) {
                each(event);
            }
        })
    }
}

impl Hooks {
    /// Gives the round-trip times of open connections that were used since, then what every process's sockets sent and received.
    ///
    /// # Errors
    /// If the kernel does not count, or cannot be asked.
    pub fn accounts(&self, round_trip: impl FnMut(RoundTrip), total: impl FnMut(Total)) -> io::Result<()> {
        self.accounts.as_ref().ok_or(io::ErrorKind::Unsupported)?.read(round_trip, total)
    }

    /// Whether what sockets send and receive is added up.
    pub fn counts(&self) -> bool {
        self.accounts.is_some()
    }
}

impl AsFd for Hooks {
    /// Readable when the room for events begins to fill, and as [`Hooks::wake_by_next`] says.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

/// Attaches all hooks but those that only count, where nothing is `counting`; gives those that are attached.
fn attach(
    object: &mut Object,
    cgroup: &io::Result<OwnedFd>,
    counting: bool,
    refused: &mut Vec<Refusal>,
) -> Vec<&'static str> {
    let mut attached: Vec<&str> = Vec::new();
    for hook in HOOKS.iter().filter(|hook| counting || !COUNTING.contains(&hook.name)) {
        let mut attach = |name: &'static str| {
            let place = match (&hook.at, cgroup) {
                (At::Tracepoint, _) => Place::Tracepoint(name),
                (At::Cgroup, Ok(cgroup)) => Place::Cgroup(cgroup.as_fd()),
                (At::Cgroup, Err(error)) => return Err(Refusal::of(name, error)),
            };
            object.attach(name, place)
        };
        if hook.name == SENDS && attached.contains(&PACKETS) && attach(SENDS_OF_TCP).is_ok() {
            attached.push(SENDS_OF_TCP);
            continue;
        }
        match attach(hook.name) {
            Ok(()) => attached.push(hook.name),
            Err(refusal) => {
                refused.push(refusal);
                attached.extend(hook.instead.filter(|name| attach(name).is_ok()));
            }
        }
    }
    attached
}

/// The memory of a map of one word: looked at and written at every turn, by no system call.
fn word(map: &Map) -> io::Result<Words> {
    match map {
        Map::Array(data) => Words::map(data.fd().as_fd(), 1),
        _ => Err(io::Error::other("no such map")),
    }
}

/// What lists the sockets of all processes.
fn snapshot(object: &mut Object) -> Result<OwnedFd, Refusal> {
    object.attach("there", Place::Iterator("task_file"))?;
    let not_loaded = || Refusal::of("there", &io::Error::other("not loaded"));
    let program = load::fd(object, "there").ok_or_else(not_loaded)?;
    sys::iterator_link(program, None).map_err(|e| Refusal::of("there", &e))
}

/// Makes the programs' maps, and loads what reads accounts: where that is refused, nothing is counted.
fn open(options: Options, refused: &mut Vec<Refusal>) -> Result<(Object, Option<Accounts>), Refusal> {
    let maps = |counting| {
        Object::open(OBJECT, &[("events", options.ring_bytes)], &[("counting", u8::from(counting))])
    };
    let mut object = maps(options.accounts)?;
    if !options.accounts {
        return Ok((object, None));
    }
    match Accounts::open(&mut object) {
        Ok(accounts) => Ok((object, Some(accounts))),
        Err(refusal) => {
            refused.push(refusal);
            Ok((maps(false)?, None))
        }
    }
}

/// The cookie of the network namespace that `socket` is in.
///
/// # Errors
/// If the kernel does not tell.
pub fn namespace_cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    sys::namespace_cookie(socket)
}
