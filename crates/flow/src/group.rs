//! Flows added up by what they share.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use dissect::Timestamp;

use crate::flow::Counters;
use crate::ledger::InterfaceId;

/// What flows are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Address of the far end.
    Host,
    /// Name of the far end, or its address where it has none.
    Name,
    /// Protocol and port of the responder.
    Service,
    /// Interface, or capture file.
    Interface,
}

impl FromStr for GroupBy {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            "host" => GroupBy::Host,
            "name" => GroupBy::Name,
            "service" => GroupBy::Service,
            "interface" => GroupBy::Interface,
            _ => return Err(()),
        })
    }
}

/// What the flows of a group share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupKey {
    /// An address.
    Host(IpAddr),
    /// A name.
    Name(Arc<str>),
    /// IANA protocol number and port; the port is 0 for protocols without.
    Service(u8, u16),
    /// An interface.
    Interface(InterfaceId),
}

/// One group's totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What its flows share.
    pub key: GroupKey,
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
}

impl Group {
    /// What both sides sent.
    pub fn total(&self) -> Counters {
        self.sent + self.received
    }
}
