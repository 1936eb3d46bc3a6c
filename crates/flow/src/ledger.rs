//! The account that closes: every packet is in a flow, is not IP, or is malformed for a stated reason.

use std::sync::Arc;

use dissect::Timestamp;

use crate::flow::Counters;

/// Number of an interface over all sources of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct InterfaceId(pub u16);

/// How an interface is called, and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceName {
    /// The capture file, by the path it was given; `None` live.
    pub file: Option<Arc<str>>,
    /// Its own name, where the source has one.
    pub name: Option<Arc<str>>,
}

impl InterfaceName {
    /// The interface's name, or else its file's.
    pub fn label(&self) -> &str {
        self.name.as_deref().or(self.file.as_deref()).unwrap_or("?")
    }
}

/// How the reading of a capture ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaptureEnd {
    /// All of it was read.
    Complete,
    /// It is cut short.
    Truncated(String),
    /// Something in it is ruled out by its format.
    Malformed(String),
    /// The user ended the run before its end.
    Interrupted,
}

/// One capture, as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureRecord {
    /// Its path, as it was given.
    pub path: Arc<str>,
    /// Packets read.
    pub packets: u64,
    /// Sum of their wire lengths.
    pub bytes: u64,
    /// Earliest timestamp; `None` without packets.
    pub start: Option<Timestamp>,
    /// Latest timestamp.
    pub end: Option<Timestamp>,
    /// How it ended.
    pub stop: CaptureEnd,
}

/// What one interface's packets became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceLedger {
    /// Which.
    pub interface: InterfaceName,
    /// Packets and wire bytes that were seen.
    pub seen: (u64, u64),
    /// Those that belong to flows.
    pub counted: (u64, u64),
    /// Those that made no flow, malformed ones included.
    pub not_ip: (u64, u64),
    /// Packets of `not_ip` that are whole, by name, most first.
    pub not_ip_names: Vec<(String, u64)>,
    /// Packets of `not_ip` that are malformed, by reason, most first.
    pub malformed: Vec<(String, u64)>,
    /// What only a live interface has.
    pub live: Option<LiveLedger>,
}

/// What became of a live interface's packets, in packets and frame bytes.
///
/// `kernel` = seen + `dropped` + `offload`; the counted ones = `owned` + `forwarded` + `by_kernel` + `unknown`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveLedger {
    /// What the interface itself counted meanwhile; `None` if it is gone.
    pub kernel: Option<(u64, u64)>,
    /// Packets that the ring had no room for; `None` where the kernel does not say whose they were.
    pub dropped: Option<u64>,
    /// Packets and bytes by which an interface that splits segments itself counts more than was seen, estimated.
    pub offload: (u64, u64),
    /// Of flows that a process owns.
    pub owned: (u64, u64),
    /// Of flows that pass through this host.
    pub forwarded: (u64, u64),
    /// Of flows that the kernel itself sends or answers.
    pub by_kernel: (u64, u64),
    /// Of all other flows.
    pub unknown: (u64, u64),
    /// Why those are unknown: reason, flows; most first.
    pub reasons: Vec<(String, u64)>,
}

/// The account of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// One entry an interface.
    pub interfaces: Vec<InterfaceLedger>,
    /// What all flows hold, evicted ones included.
    pub counted: Counters,
    /// Flows that had to leave the table before they ended, because it was full.
    pub evicted_flows: u64,
    /// What the evicted flows held.
    pub evicted: Counters,
    /// What the shown flows leave out: flows and their counters.
    pub hidden: (u64, Counters),
    /// Packets that have a flow, with an oddity further in: what, how many; most first.
    pub odd: Vec<(String, u64)>,
    /// Application messages that are malformed: what, how many; most first.
    pub malformed_messages: Vec<(String, u64)>,
}

impl Ledger {
    /// Packets and wire bytes over all interfaces.
    pub fn seen(&self) -> (u64, u64) {
        sum(self.interfaces.iter().map(|i| i.seen))
    }

    /// What made no flow, over all interfaces.
    pub fn not_ip(&self) -> (u64, u64) {
        sum(self.interfaces.iter().map(|i| i.not_ip))
    }

    /// Whether every packet and byte seen is accounted for.
    pub fn closes(&self) -> bool {
        let (seen, not_ip) = (self.seen(), self.not_ip());
        seen == (self.counted.packets + not_ip.0, self.counted.frame_bytes + not_ip.1)
    }
}

fn sum(parts: impl Iterator<Item = (u64, u64)>) -> (u64, u64) {
    parts.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}
