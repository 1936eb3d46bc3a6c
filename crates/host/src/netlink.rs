//! Netlink messages and the socket that carries them (RFC 3549; linux/netlink.h).
//!
//! A dump that the kernel marks as interrupted is complete but for what changed
//! meanwhile; it is used, and said so. A datagram cut by a short buffer loses
//! its last message only.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, sockopt};

/// `NLM_F_REQUEST`.
pub(crate) const REQUEST: u16 = 0x1;
/// `NLM_F_ROOT | NLM_F_MATCH`.
pub(crate) const DUMP: u16 = 0x300;
const DUMP_INTERRUPTED: u16 = 0x10;

const ERROR: u16 = 2;
const DONE: u16 = 3;
const HEADER: usize = 16;

/// How long the kernel may take to answer; it answers within the call.
const PATIENCE: Duration = Duration::from_secs(2);
/// The kernel fills at most this much of a datagram in a dump.
const BUFFER: usize = 64 * 1024;

/// Rounds up to netlink's alignment of four bytes.
fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// One message of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

/// The messages of a datagram; ends before one that is cut short.
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let length = u32_at(self.0, 0)? as usize;
        let body = self.0.get(HEADER..length)?;
        let message = Message {
            kind: u16_at(self.0, 4)?,
            flags: u16_at(self.0, 6)?,
            sequence: u32_at(self.0, 8)?,
            body,
        };
        self.0 = self.0.get(aligned(length)..).unwrap_or_default();
        Some(message)
    }
}

/// The attributes (type, value) after a message's fixed part.
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16_at(self.0, 0)?);
        let value = self.0.get(4..length)?;
        let kind = u16_at(self.0, 2)? & 0x3fff;
        self.0 = self.0.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// The native-endian number at `offset`.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(offset..offset + 2)?.try_into().ok()?))
}

/// The native-endian number at `offset`.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

/// Appends a message to `out`.
pub(crate) fn push_message(out: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, body: &[u8]) {
    let length = HEADER + body.len();
    out.extend_from_slice(&(length as u32).to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&flags.to_ne_bytes());
    out.extend_from_slice(&sequence.to_ne_bytes());
    out.extend_from_slice(&0_u32.to_ne_bytes());
    out.extend_from_slice(body);
    out.resize(out.len() + aligned(length) - length, 0);
}

/// A netlink socket in the namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct NetlinkSocket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl NetlinkSocket {
    /// Opens a `NETLINK_SOCK_DIAG` socket.
    pub(crate) fn sock_diag() -> io::Result<Self> {
        Self::open(Some(netlink::SOCK_DIAG))
    }

    /// Opens a `NETLINK_ROUTE` socket.
    pub(crate) fn route() -> io::Result<Self> {
        Self::open(None) // its number is 0, the default
    }

    /// Opens a `NETLINK_NETFILTER` socket.
    pub(crate) fn netfilter() -> io::Result<Self> {
        Self::open(Some(netlink::NETFILTER))
    }

    fn open(protocol: Option<net::Protocol>) -> io::Result<Self> {
        let fd = socket(SocketFlags::CLOEXEC, protocol)?;
        sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(PATIENCE))?;
        Ok(Self { fd, sequence: 0, buffer: Vec::new() })
    }

    /// Gives back the memory for datagrams, until the next question: there may be a socket for each of a thousand containers.
    pub(crate) fn rest(&mut self) {
        self.buffer = Vec::new();
    }

    /// Asks for a dump and gives each message to `each`; false if the kernel
    /// says that the set changed while it was dumped.
    pub(crate) fn dump(&mut self, kind: u16, body: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<bool> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = Vec::with_capacity(HEADER + body.len());
        push_message(&mut request, kind, REQUEST | DUMP, self.sequence, body);
        net::send(&self.fd, &request, SendFlags::empty())?;
        let mut consistent = true;
        loop {
            let length = self.receive()?;
            for message in Messages(self.buffer.get(..length).unwrap_or_default()) {
                if message.sequence != self.sequence {
                    continue; // the rest of a dump that was given up
                }
                consistent &= message.flags & DUMP_INTERRUPTED == 0;
                match message.kind {
                    DONE => return Ok(consistent),
                    ERROR => return Err(error_of(message.body)),
                    _ => each(message.body),
                }
            }
        }
    }

    /// Sends `count` single requests, given as their bodies, in one call, and
    /// gives each answer with the request's index to `each`.
    ///
    /// # Errors
    /// Only those of the socket; a request that the kernel refuses is an answer.
    pub(crate) fn ask<'b>(
        &mut self,
        kind: u16,
        bodies: impl Iterator<Item = &'b [u8]>,
        mut each: impl FnMut(usize, Result<&[u8], io::Error>),
    ) -> io::Result<()> {
        let first = self.sequence.wrapping_add(1);
        let mut requests = Vec::new();
        let mut count = 0_usize;
        for body in bodies {
            self.sequence = self.sequence.wrapping_add(1);
            push_message(&mut requests, kind, REQUEST, self.sequence, body);
            count += 1;
        }
        net::send(&self.fd, &requests, SendFlags::empty())?;
        let mut missing = count;
        while missing > 0 {
            let length = self.receive()?;
            for message in Messages(self.buffer.get(..length).unwrap_or_default()) {
                let index = message.sequence.wrapping_sub(first) as usize;
                if index >= count {
                    continue; // a late answer to an earlier request
                }
                missing = missing.saturating_sub(1);
                match message.kind {
                    ERROR => each(index, Err(error_of(message.body))),
                    _ => each(index, Ok(message.body)),
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<usize> {
        receive(&self.fd, &mut self.buffer)
    }
}

/// A netlink socket that only listens to what the kernel tells unasked.
#[derive(Debug)]
pub(crate) struct Listener {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Listener {
    /// Joins `NETLINK_NETFILTER`'s multicast groups, one bit each.
    pub(crate) fn netfilter(groups: u32) -> io::Result<Self> {
        let fd = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, Some(netlink::NETFILTER))?;
        net::bind(&fd, &netlink::SocketAddrNetlink::new(0, groups))?;
        Ok(Self { fd, buffer: Vec::new() })
    }

    /// Lets the kernel keep up to `bytes` for it, or as much as is permitted.
    pub(crate) fn enlarge(&self, bytes: usize) {
        let forced = sockopt::set_socket_recv_buffer_size_force(&self.fd, bytes);
        // What is refused leaves the size as it was: events are lost sooner, and counted.
        let _ = forced.or_else(|_| sockopt::set_socket_recv_buffer_size(&self.fd, bytes));
    }

    /// The messages of the next datagram, `None` if none is there.
    ///
    /// # Errors
    /// `ENOBUFS` once after datagrams were lost; the next call goes on.
    pub(crate) fn next_datagram(&mut self) -> io::Result<Option<Messages<'_>>> {
        match receive(&self.fd, &mut self.buffer) {
            Ok(length) => Ok(Some(Messages(self.buffer.get(..length).unwrap_or_default()))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn socket(flags: SocketFlags, protocol: Option<net::Protocol>) -> io::Result<OwnedFd> {
    Ok(net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, protocol)?)
}

/// Receives one datagram; its length.
fn receive(fd: &OwnedFd, buffer: &mut Vec<u8>) -> io::Result<usize> {
    buffer.resize(BUFFER, 0); // at first use: most namespaces are never asked
    loop {
        match net::recv(fd, &mut buffer[..], RecvFlags::empty()) {
            Ok((_, length)) => return Ok(length.min(BUFFER)),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The error in an `NLMSG_ERROR` (a negated errno; 0 is success without answer).
fn error_of(body: &[u8]) -> io::Error {
    let number = u32_at(body, 0).unwrap_or_default() as i32;
    io::Error::from_raw_os_error(number.wrapping_neg())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_read_back() {
        let mut bytes = Vec::new();
        push_message(&mut bytes, 20, REQUEST, 7, b"abcde");
        push_message(&mut bytes, 3, 0, 8, b"");
        assert_eq!(bytes.len(), 24 + 16);
        let read: Vec<_> = Messages(&bytes).collect();
        assert_eq!(read[0], Message { kind: 20, flags: REQUEST, sequence: 7, body: b"abcde" });
        assert_eq!(read[1].kind, DONE);
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn a_cut_message_ends_the_datagram() {
        let mut bytes = Vec::new();
        push_message(&mut bytes, 20, 0, 7, b"whole");
        push_message(&mut bytes, 20, 0, 8, b"cut short");
        for cut in 25..bytes.len() - 4 {
            assert_eq!(Messages(&bytes[..cut]).count(), 1, "cut at {cut}");
        }
        assert_eq!(Messages(&[5, 0, 0, 0]).count(), 0, "a length below the header's");
        assert_eq!(Attributes(&[3, 0, 1, 0]).count(), 0);
    }
}
