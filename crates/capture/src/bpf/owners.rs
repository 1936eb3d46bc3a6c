//! The programs that tell owners: which there are, what they tell, and reading it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::maps::{Array, MapData, RingBuf};

use super::load::{self, Object, Place, Refusal};
use super::{cgroup, sys};

static OBJECT: &[u8] = aya::include_bytes_aligned!("owners.bpf.o");

/// Size of `struct event`.
const EVENT: usize = 120;
/// Where `state` counts events that found no room.
const LOST: usize = 0;

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
    Hook { name: "sock_send_length", instead: None, at: At::Tracepoint },
    Hook { name: "sock_recv_length", instead: None, at: At::Tracepoint },
    Hook { name: "connect4", instead: Some("connect4_plain"), at: At::Cgroup },
    Hook { name: "connect6", instead: Some("connect6_plain"), at: At::Cgroup },
    Hook { name: "inet_sock_set_state", instead: None, at: At::Tracepoint },
    Hook { name: "sent", instead: None, at: At::Cgroup },
    Hook { name: "received", instead: None, at: At::Cgroup },
    Hook { name: "sock_release", instead: Some("sock_release_plain"), at: At::Cgroup },
    Hook { name: "sched_process_exec", instead: None, at: At::Tracepoint },
];

/// How the programs are loaded.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Memory for events that wait to be read: a power of two, at least a page.
    pub ring_bytes: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { ring_bytes: 4 << 20 }
    }
}

/// A process, as it was when it used a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its number; 0 if not known.
    pub pid: u32,
    /// Nanoseconds after boot at which it started; 0 if not known.
    pub start: u64,
    /// Counts the programs that it and its ancestors have executed.
    pub exec: u32,
    /// Its parent; 0 if not known.
    pub parent: u32,
    /// Effective user.
    pub uid: u32,
    /// Id of its cgroup (version 2); 0 if not known.
    pub cgroup: u64,
    /// Its name, cut to 15 bytes by the kernel; empty if not known.
    pub name: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A socket has this five-tuple.
    Tuple {
        /// IP protocol.
        protocol: u8,
        /// Its own end; of an ICMP echo, the port is the identifier.
        local: SocketAddr,
        /// The other end.
        remote: SocketAddr,
    },
    /// A socket has another owner.
    Owner,
    /// No process has the socket any more.
    End,
    /// A process has executed this path; there is no socket.
    Exec(String),
    /// A socket that has no other end was there already.
    There,
}

/// What a program told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// Nanoseconds after boot.
    pub at: u64,
    /// The kernel's number of the socket, which is never given again.
    pub cookie: u64,
    /// The same of its network namespace.
    pub namespace: u64,
    /// Who owns it.
    pub process: Process,
    /// How that is known.
    pub known: Known,
}

/// How the owner of a socket is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It owns the listening socket that this one came from.
    Inherited,
    /// It made the socket, or has it among its files.
    Made,
    /// It connected it, sent or received.
    Used,
}

/// Programs that are loaded and tell.
pub struct Hooks {
    /// Holds the links.
    _object: Object,
    events: RingBuf<MapData>,
    state: Array<MapData, [u64; 2]>,
    snapshot: Option<OwnedFd>,
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
        let mut object = Object::open(OBJECT, &[("events", options.ring_bytes)])?;
        let cgroup = cgroup::root();
        let (mut attached, mut refused) = (Vec::new(), Vec::new());
        for hook in HOOKS {
            let mut attach = |name: &'static str| {
                let place = match (&hook.at, &cgroup) {
                    (At::Tracepoint, _) => Place::Tracepoint(name),
                    (At::Cgroup, Ok(cgroup)) => Place::Cgroup(cgroup.as_fd()),
                    (At::Cgroup, Err(error)) => return Err(Refusal::of(name, error)),
                };
                object.attach(name, place)
            };
            let result = attach(hook.name);
            if result.is_ok() {
                attached.push(hook.name);
            }
            if let Err(refusal) = result {
                refused.push(refusal);
                if let Some(name) = hook.instead
                    && attach(name).is_ok()
                {
                    attached.push(name);
                }
            }
        }
        let snapshot = object.attach("there", Place::Iterator("task_file")).and_then(|()| {
            let program = load::fd(&object, "there")
                .ok_or_else(|| Refusal::of("there", &io::Error::other("not loaded")))?;
            sys::iterator_link(program, None).map_err(|e| Refusal::of("there", &e))
        });
        let snapshot = snapshot.map_err(|refusal| refused.push(refusal)).ok();
        if attached.is_empty() && snapshot.is_none() {
            return Err(refused.swap_remove(0));
        }
        let map = |object: &mut Object, name: &str| {
            object.ebpf.take_map(name).ok_or_else(|| Refusal::of(name, &io::Error::other("no such map")))
        };
        let events = map(&mut object, "events")?;
        let state = map(&mut object, "state")?;
        Ok(Self {
            events: RingBuf::try_from(events).map_err(|e| Refusal::of("events", &e))?,
            state: Array::try_from(state).map_err(|e| Refusal::of("state", &e))?,
            _object: object,
            snapshot,
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

    /// The root of the cgroups, whose folders' inodes are [`Process::cgroup`].
    pub fn cgroup(&self) -> Option<BorrowedFd<'_>> {
        self.cgroup.as_ref().map(AsFd::as_fd)
    }

    /// Gives what was told since to `each`, in order.
    pub fn read(&mut self, mut each: impl FnMut(Event)) {
        while let Some(bytes) = self.events.next() {
            if let Some(event) = parse(&bytes) {
                each(event);
            }
        }
    }

    /// How many events found no room since it was asked last.
    pub fn take_lost(&mut self) -> u64 {
        let Ok(state) = self.state.get(&0, 0) else { return 0 };
        let before = std::mem::replace(&mut self.lost, state[LOST]);
        state[LOST].saturating_sub(before)
    }

    /// Gives the sockets that processes have to `each`; what has a five-tuple is told anew with its next packet.
    ///
    /// # Errors
    /// If the kernel has no such iterator, or refuses it.
    pub fn snapshot(&self, mut each: impl FnMut(Event)) -> io::Result<()> {
        let link = self.snapshot.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let mut file = sys::iterate(link.as_fd())?;
        read_records(&mut file, |record| {
            if let Some(event) = parse(record) {
                each(event);
            }
        })
    }
}

impl AsFd for Hooks {
    /// Readable when the room for events begins to fill.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

/// The cookie of the network namespace that `socket` is in.
///
/// # Errors
/// If the kernel does not tell.
pub fn namespace_cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    sys::namespace_cookie(socket)
}

/// Reads a file of whole events.
fn read_records(file: &mut File, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut chunk = vec![0; 512 * EVENT];
    let mut filled = 0;
    loop {
        let length = match file.read(&mut chunk[filled..]) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        filled += length;
        let whole = filled / EVENT * EVENT;
        chunk[..whole].chunks_exact(EVENT).for_each(&mut each);
        chunk.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

/// Numbers in the order of this machine, as the kernel wrote them.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_ne_bytes)
    }
}

/// Text up to its zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Reads a `struct event`, and the path behind it.
fn parse(bytes: &[u8]) -> Option<Event> {
    let mut from = Fields(bytes);
    let kind = from.u32()?;
    let (protocol, version) = (from.u8()?, from.u8()?);
    let ports = [from.u16()?, from.u16()?];
    let (known, _inode) = (from.u16()?, from.u32()?);
    let (at, cookie, namespace) = (from.u64()?, from.u64()?, from.u64()?);
    let (start, cgroup) = (from.u64()?, from.u64()?);
    let (pid, parent, uid, exec) = (from.u32()?, from.u32()?, from.u32()?, from.u32()?);
    let name = text(&from.take::<16>()?);
    let address = |bytes: [u8; 16]| match version {
        4 => IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])),
        _ => IpAddr::V6(Ipv6Addr::from(bytes)),
    };
    let (local, remote) = (address(from.take()?), address(from.take()?));
    let tuple = Kind::Tuple {
        protocol,
        local: SocketAddr::new(local, ports[0]),
        remote: SocketAddr::new(remote, ports[1]),
    };
    let kind = match kind {
        1 => tuple,
        2 => Kind::Owner,
        3 => Kind::End,
        4 => Kind::Exec(text(from.0)),
        5 if version != 0 => tuple,
        5 => Kind::There,
        _ => return None,
    };
    let process = Process { pid, start, exec, parent, uid, cgroup, name };
    let known = match known {
        0 => Known::Inherited,
        1 => Known::Made,
        _ => Known::Used,
    };
    Some(Event { kind, at, cookie, namespace, process, known })
}
