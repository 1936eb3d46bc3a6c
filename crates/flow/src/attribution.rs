//! The seam between flows and who owns them: what is asked about a flow, and what is answered.
//!
//! Whatever knows owners (sock_diag and `/proc`, events of the kernel) answers
//! [`Question`]s with [`Answer`]s; the collector gives each flow its own.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use dissect::Timestamp;

use crate::owner::Owner;

/// The protocol number of the flow: IANA's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol(pub u8);

impl Protocol {
    /// Internet Control Message Protocol.
    pub const ICMP: Self = Self(1);
    /// Transmission Control Protocol.
    pub const TCP: Self = Self(6);
    /// User Datagram Protocol.
    pub const UDP: Self = Self(17);
    /// Internet Control Message Protocol for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// Stream Control Transmission Protocol.
    pub const SCTP: Self = Self(132);
    /// Lightweight User Datagram Protocol.
    pub const UDP_LITE: Self = Self(136);

    /// Whether its sockets have ports; the others are found by protocol alone.
    pub fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::SCTP | Self::UDP_LITE)
    }

    /// Whether the kernel's lookup takes connections rather than datagrams.
    pub fn is_stream(self) -> bool {
        matches!(self, Self::TCP | Self::SCTP)
    }
}

/// One flow whose owner is not known yet.
///
/// Ports are 0 for protocols without; for an ICMP echo the source's port may
/// carry the identifier, which tells ping sockets apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Question {
    /// The flow's protocol.
    pub protocol: Protocol,
    /// The end that sent the flow's first packet.
    pub source: SocketAddr,
    /// The other end, as a socket at the source knows it.
    pub destination: SocketAddr,
    /// Source and destination as a socket at the destination knows them, where addresses are exchanged on the way.
    pub translated: Option<(SocketAddr, SocketAddr)>,
    /// Inode of the network namespace in which the packet was seen, when that
    /// is not the one that the asking process lives in.
    pub namespace: Option<u64>,
    /// Index of the interface, 0 if not known; sockets bound to a device are
    /// found only with it.
    pub interface: u32,
    /// When the flow's first packet was seen.
    pub begun: Timestamp,
}

impl Question {
    /// The five-tuple by which a socket at `end` knows the flow: its own end, then the far one.
    pub fn known_at(&self, end: End) -> (SocketAddr, SocketAddr) {
        match end {
            End::Source => (self.source, self.destination),
            End::Destination => {
                let (source, destination) = self.translated.unwrap_or((self.source, self.destination));
                (destination, source)
            }
        }
    }
}

/// Which end of the flow a socket was found at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The sender of the first packet.
    Source,
    /// The other end.
    Destination,
}

/// What the answer rests on, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Evidence {
    /// The very socket with this five-tuple.
    Exact,
    /// An unconnected socket to which the kernel delivers the flow's packets.
    Bound,
    /// The listening socket; the accepted one had ended, or its holder could
    /// not be read in time.
    Listener,
    /// The only raw or ping socket of the flow's protocol.
    Protocol,
    /// The kernel told of the very socket, and who used it.
    Told,
    /// The kernel told of the very socket; who accepted it has not used it, so that this is who listens.
    ToldListener,
}

impl Evidence {
    /// Its word: `exact`, `bound`, `listener` or `protocol`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact | Self::Told => "exact",
            Self::Bound => "bound",
            Self::Listener | Self::ToldListener => "listener",
            Self::Protocol => "protocol",
        }
    }

    /// What told it.
    pub fn source(self) -> &'static str {
        match self {
            Self::Exact | Self::Bound | Self::Listener | Self::Protocol => "sock_diag",
            Self::Told | Self::ToldListener => "bpf",
        }
    }
}

impl End {
    /// Its word: `source` or `destination`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// Why a flow has no owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Neither end is an address of this host.
    Forwarded,
    /// The kernel itself sent or answered it: no socket is involved, or one
    /// that no process holds.
    Kernel,
    /// It may belong to a network namespace that could not be entered.
    Namespace,
    /// No socket has this five-tuple any more.
    Ended,
    /// Sent to a group or to everyone, and no socket here asked for it.
    Unclaimed,
    /// The socket is there, but the process could not be read; the user who
    /// made the socket is known all the same.
    Permission {
        /// The user that created the socket.
        uid: u32,
    },
    /// Several processes have equal claims.
    Ambiguous,
    /// The rate limit was reached: ask again.
    Deferred,
    /// There was no room for it, and it was put out before anybody had answered.
    Evicted,
}

impl Reason {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Kernel => "kernel",
            Self::Namespace => "in another network namespace, not permitted to look",
            Self::Ended => "ended before the socket was seen",
            Self::Unclaimed => "no socket here receives it",
            Self::Permission { .. } => "not permitted to read the process",
            Self::Ambiguous => "several processes have equal claims",
            Self::Deferred => "not looked up yet",
            Self::Evicted => "evicted before its owner was known",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The process at one end of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributed {
    /// The process.
    pub owner: Arc<Owner>,
    /// The end whose socket it holds.
    pub end: End,
    /// What the answer rests on.
    pub evidence: Evidence,
    /// The process at the other end, where that is on this host too.
    pub peer: Option<Arc<Owner>>,
    /// Whose socket is in another network namespace than the one that is captured in.
    pub elsewhere: Elsewhere,
}

/// Which sockets of a flow are in another network namespace than the one that is captured in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Elsewhere {
    /// None of those that are known.
    #[default]
    Nobody,
    /// The peer's: it is not the owner if the owner is here.
    Peer,
    /// The owner's, and the peer's if there is one.
    All,
}

/// News of an end that was answered for before: another process has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The flow's protocol.
    pub protocol: Protocol,
    /// The end.
    pub own: SocketAddr,
    /// The flow's other end.
    pub other: SocketAddr,
    /// The process that has it now.
    pub owner: Arc<Owner>,
    /// What that rests on.
    pub evidence: Evidence,
    /// It is another socket of the same five-tuple: what it sends and receives is another flow.
    pub another: bool,
}

/// The owner of a flow, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The flow's owner.
    Owner(Attributed),
    /// No owner, and why.
    None(Reason),
}

impl Answer {
    /// The owner, if there is one.
    pub fn owner(&self) -> Option<&Arc<Owner>> {
        match self {
            Self::Owner(attributed) => Some(&attributed.owner),
            Self::None(_) => None,
        }
    }

    /// The reason, if there is no owner.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Owner(_) => None,
            Self::None(reason) => Some(*reason),
        }
    }
}
