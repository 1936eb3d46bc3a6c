//! What programs tell, and how it is read from bytes.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Size of `struct event`.
pub(super) const EVENT: usize = 120;

/// A process's name, cut to 15 bytes by the kernel.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Comm([u8; 16]);

impl Comm {
    /// What of it is UTF-8; the rest is marked.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(until_zero(&self.0))
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0[0] == 0
    }
}

impl From<&str> for Comm {
    fn from(text: &str) -> Self {
        let mut name = [0; 16];
        name.iter_mut().zip(text.bytes().take(15)).for_each(|(to, byte)| *to = byte);
        Self(name)
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

/// A process, as it was when it used a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// Its name; empty if not known.
    pub name: Comm,
}

/// What a process has executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// As it was asked for, of at most 127 bytes; it may be relative.
    pub path: String,
    /// Its arguments, the name it was called by among them, each behind a zero byte but the first; of at most 512 bytes. Empty if
    /// they could not be read.
    pub arguments: Vec<u8>,
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
    /// A process has executed a program; there is no socket.
    Exec(Program),
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

/// Reads a file of whole records of a size.
pub(super) fn read_records<const SIZE: usize>(
    file: &mut File,
    mut each: impl FnMut(&[u8]),
) -> io::Result<()> {
    /// More than the kernel gives at once (`bpf_seq_read`: 32 KiB), so that it is asked as seldom as can be.
    const PIECE: usize = 64 << 10;
    let mut chunk = vec![0; PIECE / SIZE * SIZE];
    let mut filled = 0;
    loop {
        let length = match file.read(&mut chunk[filled..]) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        filled += length;
        let whole = filled / SIZE * SIZE;
        chunk[..whole].chunks_exact(SIZE).for_each(&mut each);
        chunk.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

/// Numbers in the order of this machine, as the kernel wrote them.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_ne_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_ne_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_ne_bytes)
    }
}

/// What is before the first zero.
fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Reads what is behind the `struct event` of a `struct executed`.
fn program(text: &[u8]) -> Program {
    let path = until_zero(text);
    let arguments = text.get(path.len() + 1..).unwrap_or_default();
    let arguments = arguments.strip_suffix(&[0]).unwrap_or(arguments);
    Program { path: String::from_utf8_lossy(path).into_owned(), arguments: arguments.to_vec() }
}

/// Reads a `struct owner`.
pub(super) fn process(from: &mut Fields<'_>) -> Option<Process> {
    let (start, cgroup) = (from.u64()?, from.u64()?);
    let (pid, parent, uid, exec) = (from.u32()?, from.u32()?, from.u32()?, from.u32()?);
    let name = Comm(from.take()?);
    Some(Process { pid, start, exec, parent, uid, cgroup, name })
}

/// Reads a `struct event`, and the program behind it.
pub(super) fn parse(bytes: &[u8]) -> Option<Event> {
    let mut from = Fields(bytes);
    let kind = from.u32()?;
    let (protocol, version) = (from.u8()?, from.u8()?);
    let ports = [from.u16()?, from.u16()?];
    let (known, _inode) = (from.u16()?, from.u32()?);
    let (at, cookie, namespace) = (from.u64()?, from.u64()?, from.u64()?);
    let process = process(&mut from)?;
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
        4 => Kind::Exec(program(from.0)),
        5 if version != 0 => tuple,
        5 => Kind::There,
        _ => return None,
    };
    let known = match known {
        0 => Known::Inherited,
        1 => Known::Made,
        _ => Known::Used,
    };
    Some(Event { kind, at, cookie, namespace, process, known })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executed(text: &[u8]) -> Kind {
        let mut bytes = vec![0; EVENT];
        bytes[0] = 4;
        bytes.extend_from_slice(text);
        parse(&bytes).unwrap().kind
    }

    #[test]
    fn a_program_and_its_arguments() {
        let program = |path: &str, arguments: &[u8]| {
            Kind::Exec(Program { path: path.to_owned(), arguments: arguments.to_vec() })
        };
        assert_eq!(executed(b"/bin/cat\0cat\0-\0\0"), program("/bin/cat", b"cat\0-\0"));
        assert_eq!(executed(b"./x\0cut off, as lon"), program("./x", b"cut off, as lon"));
        assert_eq!(executed(b"./x\0"), program("./x", b""));
        // Cut where it is not: there is nothing to read beyond.
        assert_eq!(executed(b"/no/end"), program("/no/end", b""));
        assert_eq!(executed(b""), program("", b""));
    }
}
