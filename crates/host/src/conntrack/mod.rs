//! Translated connections (NAT), from the kernel's connection tracking.
//!
//! ctnetlink: `NETLINK_NETFILTER` with `NFNL_SUBSYS_CTNETLINK`
//! (linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h). A flow that is
//! translated passes interfaces under two five-tuples; what stands here says
//! which of them belong together.
//!
//! Only the network namespace of the opening thread is watched. Of connections
//! that are older than the subscription the kernel tells no more than the dump
//! did: it attaches the means to tell when a connection begins. Zones and
//! expectations are not read.

mod entry;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;

use crate::Protocol;
use crate::netlink::{Listener, NetlinkSocket};

/// `NFNL_SUBSYS_CTNETLINK`, in a message's type above the kind.
const SUBSYSTEM: u16 = 1 << 8;
/// `IPCTNL_MSG_CT_NEW`: a connection, new or changed.
const NEW: u16 = SUBSYSTEM;
/// `IPCTNL_MSG_CT_GET`.
const GET: u16 = SUBSYSTEM | 1;
/// `IPCTNL_MSG_CT_DELETE`: a connection's end.
const DELETE: u16 = SUBSYSTEM | 2;
/// `NF_NETLINK_CONNTRACK_NEW | _UPDATE | _DESTROY`. A translation is settled
/// when the connection is new; the updates mend what an overflow lost.
const GROUPS: u32 = 0b111;
/// An `nfgenmsg` for all families.
const ANY_FAMILY: [u8; 4] = [0; 4];

/// Asked for: some 24,000 events, until the next [`Conntrack::take`].
const ROOM: usize = 16 << 20;
/// Datagrams read in one call, so that a flood of events does not keep it; more than there is room for, since after an overflow
/// the kernel tells nothing until all have been read.
const AT_ONCE: usize = 65_536;

/// A connection whose addresses or ports are rewritten on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Translation {
    /// The connection's protocol.
    pub protocol: Protocol,
    /// Source and destination as the initiator sent them. Ports are 0 for
    /// protocols without, ICMP included.
    pub original: (SocketAddr, SocketAddr),
    /// Source and destination of the same packets beyond the translation.
    pub translated: (SocketAddr, SocketAddr),
    /// Whether the kernel has let go of the connection.
    pub ended: bool,
}

/// A subscription to translations.
#[derive(Debug)]
pub struct Conntrack {
    listener: Listener,
    present: Vec<Translation>,
    lost: u64,
}

impl Conntrack {
    /// Subscribes, then reads what is there now: the first [`Self::take`] gives
    /// it. Whatever comes later needs no privilege any more.
    ///
    /// # Errors
    /// `PermissionDenied` without `CAP_NET_ADMIN`, `Unsupported` where the
    /// kernel has no connection tracking over netlink.
    pub fn open() -> io::Result<Self> {
        let listener = Listener::netfilter(GROUPS).map_err(explained)?;
        listener.enlarge(ROOM);
        let mut present = Vec::new();
        let mut socket = NetlinkSocket::netfilter().map_err(explained)?;
        socket
            .dump(GET, &ANY_FAMILY, |message| present.extend(entry::parse(message, false)))
            .map_err(explained)?;
        Ok(Self { listener, present, lost: 0 })
    }

    /// What came since, in the order in which it happened; never waits. A
    /// translation may come more than once.
    ///
    /// # Errors
    /// Those of the socket; an overflow is none, see [`Self::lost`].
    pub fn take(&mut self) -> io::Result<Vec<Translation>> {
        let mut taken = std::mem::take(&mut self.present);
        for _ in 0..AT_ONCE {
            match self.listener.next_datagram() {
                Ok(None) => break,
                Ok(Some(messages)) => taken.extend(messages.filter_map(|message| match message.kind {
                    NEW => entry::parse(message.body, false),
                    DELETE => entry::parse(message.body, true),
                    _ => None,
                })),
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => self.lost += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// How often events were lost since they were not taken in time; the kernel
    /// does not say how many at a time.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

impl AsFd for Conntrack {
    /// Readable when something came.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// The same error, with what it means here.
fn explained(error: io::Error) -> io::Error {
    match Errno::from_io_error(&error) {
        Some(Errno::PERM | Errno::ACCESS) => io::Error::new(
            io::ErrorKind::PermissionDenied,
            "cannot read the kernel's connection tracking: needs CAP_NET_ADMIN",
        ),
        // No netfilter; nfnetlink without a subsystem of this number.
        Some(Errno::PROTONOSUPPORT | Errno::INVAL | Errno::OPNOTSUPP) => io::Error::new(
            io::ErrorKind::Unsupported,
            "the kernel has no connection tracking over netlink (nf_conntrack_netlink)",
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let kind = |errno: Errno| explained(errno.into()).kind();
        assert_eq!(kind(Errno::PERM), io::ErrorKind::PermissionDenied);
        assert_eq!(kind(Errno::INVAL), io::ErrorKind::Unsupported);
        assert_eq!(kind(Errno::PROTONOSUPPORT), io::ErrorKind::Unsupported);
        assert_eq!(explained(Errno::MFILE.into()).raw_os_error(), Some(Errno::MFILE.raw_os_error()));
    }
}
