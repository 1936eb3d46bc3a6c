//! Everything that views may show, frozen at one instant.

use std::sync::Arc;
use std::time::Duration;

use dissect::Timestamp;

use crate::counters::Counters;
use crate::dns::{DnsEvent, DnsTotals};
use crate::encrypted::ResolverTotals;
use crate::group::Group;
use crate::ledger::{CaptureRecord, InterfaceId, InterfaceName, Ledger};
use crate::opening::NameEvent;
use crate::pace::Rate;
use crate::record::FlowRecord;
use crate::sockets::SocketLedger;

/// Something that views are told of once, as it happens.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all events of a long run are flows")]
pub enum Event {
    /// Capturing has begun: packets from now on are counted.
    Began(Began),
    /// A capture was read to its end.
    Capture(CaptureRecord),
    /// A DNS, mDNS or LLMNR message.
    Dns(DnsEvent),
    /// A client asked for a name that it had not asked for in the same flow.
    Name(NameEvent),
    /// A flow is over: no further packet will be counted in it.
    Flow(FlowRecord),
}

/// What a live capture begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Began {
    /// When.
    pub at: Timestamp,
    /// The interfaces that are captured on.
    pub interfaces: Vec<Arc<str>>,
    /// What owners are learned from.
    pub owners_from: &'static str,
}

/// All flows at one instant, as far as views asked for them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Every interface so far; [`InterfaceId`] counts through it.
    pub interfaces: Vec<InterfaceName>,
    /// Captures that were read to their end.
    pub captures: Vec<CaptureRecord>,
    /// Earliest packet of all; `None` if none has a time.
    pub first: Option<Timestamp>,
    /// Latest packet of all.
    pub last: Option<Timestamp>,
    /// How many flows are shown or counted as "more".
    pub flows: u64,
    /// What they hold, evicted flows included.
    pub total: Counters,
    /// The first of them, by the chosen order.
    pub rows: Vec<FlowRecord>,
    /// Groups, most bytes first; `None` unless asked for.
    pub groups: Option<Vec<Group>>,
    /// Groups beyond those in `groups`.
    pub more_groups: u64,
    /// The latest answers, in order.
    pub dns: Vec<DnsEvent>,
    /// All messages.
    pub dns_totals: DnsTotals,
    /// Resolvers that are asked over encrypted transports, most lookups first.
    pub resolvers: Vec<ResolverTotals>,
    /// The account.
    pub ledger: Ledger,
    /// The account at sockets; `None` where the kernel does not count there.
    pub sockets: Option<SocketLedger>,
    /// What only a live capture has.
    pub live: Option<Live>,
    /// No further snapshot follows.
    pub is_final: bool,
}

/// What only a live capture has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Live {
    /// When capturing began.
    pub started: Timestamp,
    /// The instant of the snapshot.
    pub at: Timestamp,
    /// Over the last interval.
    pub now: Rate,
    /// The most of any interval, bytes and packets each by itself.
    pub peak: Rate,
    /// What owners are learned from.
    pub owners_from: &'static str,
}

impl Snapshot {
    /// From the first packet to the last; live, from the start to now.
    pub fn duration(&self) -> Duration {
        let span = self.live.map(|live| (live.started, live.at)).or(self.first.zip(self.last));
        let nanos = span.map_or(0, |(first, last)| last.0.saturating_sub(first.0));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    /// How an interface is called.
    pub fn interface(&self, id: InterfaceId) -> Option<&InterfaceName> {
        self.interfaces.get(usize::from(id.0))
    }
}
