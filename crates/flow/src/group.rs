//! Flows added up by what they share.

use std::net::IpAddr;
use std::sync::Arc;

use dissect::Timestamp;

use crate::counters::Counters;
use crate::flow::Flow;
use crate::ledger::InterfaceId;
use crate::sockets::{RoundTrips, SocketCounts};

/// What flows are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Name of the owning process; live only.
    Process,
    /// Container of the owning process; live only.
    Container,
    /// User of the owning process; live only.
    User,
    /// Address of the far end.
    Host,
    /// Name of the far end, or its address where it has none.
    Name,
    /// Protocol and port of the responder.
    Service,
    /// Interface, or capture file.
    Interface,
}

impl GroupBy {
    /// Whether a group is what some processes have in common.
    pub fn is_of_processes(self) -> bool {
        matches!(self, Self::Process | Self::Container | Self::User)
    }
}

/// What the flows of a group share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupKey {
    /// Name of the owning process.
    Process(Arc<str>),
    /// Name of the owning process's container, or its identifier.
    Container(Arc<str>),
    /// The owning process runs in no container.
    NoContainer,
    /// Name of the owning process's user, or its number.
    User(Arc<str>),
    /// No process owns it, and why.
    Unowned(Arc<str>),
    /// An address.
    Host(IpAddr),
    /// A name.
    Name(Arc<str>),
    /// IANA protocol number and port; the port is 0 for protocols without.
    Service(u8, u16),
    /// An interface.
    Interface(InterfaceId),
    /// Everything beyond the number of groups that is kept.
    Others,
}

/// One group's totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What its flows share.
    pub key: GroupKey,
    /// Processes that own them, in ascending order, the first so many.
    pub pids: Vec<u32>,
    /// How many there are.
    pub flows: u64,
    /// What the initiators sent.
    pub sent: Counters,
    /// What the responders sent.
    pub received: Counters,
    /// First packet.
    pub first: Timestamp,
    /// Last packet.
    pub last: Timestamp,
    /// What its processes' sockets did, and the round-trip times of those used last; `None` unless grouped by what
    /// processes have, and where the kernel does not count.
    pub sockets: Option<(SocketCounts, RoundTrips)>,
}

/// Processes of a group that are named.
const MAX_PIDS: usize = 64;

impl Group {
    /// A group of one flow, which `pid` owns.
    pub(crate) fn of(key: GroupKey, flow: &Flow, pid: Option<u32>) -> Self {
        Group {
            key,
            pids: pid.into_iter().collect(),
            flows: 1,
            sent: flow.sent(flow.initiator),
            received: flow.sent(flow.initiator.other()),
            first: flow.first,
            last: flow.last,
            sockets: None,
        }
    }

    /// Adds another group's flows.
    pub(crate) fn absorb(&mut self, other: &Group) {
        for &pid in &other.pids {
            if let Err(at) = self.pids.binary_search(&pid)
                && self.pids.len() < MAX_PIDS
            {
                self.pids.insert(at, pid);
            }
        }
        self.flows += other.flows;
        self.sent += other.sent;
        self.received += other.received;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    /// What both sides sent.
    pub fn total(&self) -> Counters {
        self.sent + self.received
    }
}
