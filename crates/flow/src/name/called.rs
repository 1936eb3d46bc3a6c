//! What an end of a flow is called, and how its name came to be known.

use std::sync::Arc;
use std::time::Duration;

use dissect::Endpoint;
use dissect::app::{Name, NameSource};

/// Where the name of an end comes from, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamedBy {
    /// The other end asked for it by this name, in the flow itself.
    Client(NameSource),
    /// The other end looked it up before the flow began.
    Lookup,
    /// Its owner told everybody on the link: `mdns`, `llmnr` or `nbns`.
    Announcement(&'static str),
    /// The hosts file.
    Hosts,
    /// A name record of the capture file.
    Capture,
    /// A reverse lookup.
    Reverse,
}

impl NamedBy {
    /// As records have it.
    pub fn name(self) -> &'static str {
        match self {
            NamedBy::Client(source) => source.name(),
            NamedBy::Lookup => "lookup",
            NamedBy::Announcement(protocol) => protocol,
            NamedBy::Hosts => "hosts",
            NamedBy::Capture => "capture",
            NamedBy::Reverse => "reverse",
        }
    }
}

/// What one end of a flow is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// The name.
    pub name: Arc<str>,
    /// Where it comes from.
    pub by: NamedBy,
}

impl Called {
    /// What a client asked for.
    pub(crate) fn by_client(asked: &Name) -> Self {
        Called { name: Arc::clone(&asked.name), by: NamedBy::Client(asked.source) }
    }
}

/// The lookup that named a flow's responder before the flow began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// What was looked up.
    pub name: Arc<str>,
    /// Who answered.
    pub resolver: Endpoint,
    /// From the answer to the flow's first packet. Answers that repeat one within a second count as that one.
    pub before: Duration,
    /// How long the answer may be believed, in seconds.
    pub ttl: u32,
    /// From query to answer; `None` if no query was seen.
    pub latency: Option<Duration>,
}

/// How a flow's initiator may have come to know its responder's address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// Nothing can be said: the initiator's lookups are not seen here, the flow began before the capture did, or it is
    /// of a kind that none precedes.
    #[default]
    Unknown,
    /// The initiator's lookups are seen here, and none told it the address.
    NoneSeen,
    /// The latest that told it, of the name that it asked for where that is known.
    Lookup(Lookup),
}
