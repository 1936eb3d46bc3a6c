//! The account that closes: every packet is in a flow, is not IP, or is malformed for a stated reason.

use std::sync::Arc;

use dissect::Timestamp;

use crate::counters::Counters;

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
    /// Earliest timestamp; `None` if no packet has one.
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
/// `kernel` = seen + `dropped` + `offload`; seen = counted + not IP + `without_flow`; the counted ones = `owned` + `forwarded` + `by_kernel` + `unknown`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveLedger {
    /// What the interface itself counted meanwhile; `None` if it is gone.
    pub kernel: Option<(u64, u64)>,
    /// Packets that the ring had no room for; `None` where the kernel does not say whose they were.
    pub dropped: Option<u64>,
    /// Of those that were seen, the ones that the ring had no room for and the kernel counted: nothing is known of their
    /// payloads, and little of their TCP headers.
    pub in_kernel: (u64, u64),
    /// Of those in turn, the ones that are in no flow: the kernel had no place for more.
    pub without_flow: (u64, u64),
    /// Of those that were seen, datagrams of flows of which nobody reads any more what they say: the kernel counted them.
    pub settled: (u64, u64),
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

impl LiveLedger {
    /// What the counted packets are told apart into, together.
    pub fn attributed(&self) -> (u64, u64) {
        sum([self.owned, self.forwarded, self.by_kernel, self.unknown].into_iter())
    }

    /// Adds what became of another interface's packets; but for the reasons, since flows pass several interfaces.
    ///
    /// What is not known of one is not known of both.
    fn add(&mut self, other: &LiveLedger) {
        let both = |a: (u64, u64), b: (u64, u64)| (a.0 + b.0, a.1 + b.1);
        self.kernel = self.kernel.zip(other.kernel).map(|(a, b)| both(a, b));
        self.dropped = self.dropped.zip(other.dropped).map(|(a, b)| a + b);
        for (ours, theirs) in [
            (&mut self.in_kernel, other.in_kernel),
            (&mut self.without_flow, other.without_flow),
            (&mut self.settled, other.settled),
            (&mut self.offload, other.offload),
            (&mut self.owned, other.owned),
            (&mut self.forwarded, other.forwarded),
            (&mut self.by_kernel, other.by_kernel),
            (&mut self.unknown, other.unknown),
        ] {
            *ours = both(*ours, theirs);
        }
    }
}

impl InterfaceLedger {
    /// Packets that the interface must have counted, as far as is known here: seen, dropped, and split by itself.
    pub fn accounted(&self) -> u64 {
        let unseen = self.live.as_ref().map_or(0, |live| live.dropped.unwrap_or(0) + live.offload.0);
        self.seen.0 + unseen
    }

    /// Packets that the interface counted beyond [`Self::accounted`]; less than 0 if it counted fewer.
    ///
    /// Packets pass while its counters are read: a few are no fault. `None` for captures, and where the interface is gone
    /// or drops are not known.
    pub fn gap(&self) -> Option<i64> {
        let live = self.live.as_ref()?;
        let (kernel, _) = live.kernel.filter(|_| live.dropped.is_some())?;
        Some(kernel.wrapping_sub(self.accounted()) as i64)
    }

    /// Whether all that was seen here is accounted for; live, also whether every counted packet has its owner or reason.
    pub fn closes(&self) -> bool {
        let without_flow = self.live.as_ref().map_or((0, 0), |live| live.without_flow);
        let parts = sum([self.counted, self.not_ip, without_flow].into_iter());
        self.seen == parts && self.live.as_ref().is_none_or(|live| live.attributed() == self.counted)
    }
}

/// An interface's own counters, in packets and frame bytes, read before and after the instant that an account is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// Not later.
    pub before: (u64, u64),
    /// Not earlier.
    pub after: (u64, u64),
}

impl Readings {
    /// The counters at the instant itself: as `accounted` for, unless that is not between the readings.
    pub(crate) fn at(&self, accounted: (u64, u64)) -> (u64, u64) {
        let between = |n: u64, before: u64, after: u64| n.clamp(before, after.max(before));
        let (before, after) = (self.before, self.after);
        (between(accounted.0, before.0, after.0), between(accounted.1, before.1, after.1))
    }
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
    /// Live, why it is not known whose flows are: reason, flows over all interfaces; most first.
    pub reasons: Vec<(String, u64)>,
    /// Packets that have a flow, with an oddity further in: what, how many; most first.
    pub odd: Vec<(String, u64)>,
    /// Application messages that are malformed: what, how many; most first.
    pub malformed_messages: Vec<(String, u64)>,
    /// Flows whose first bytes had to make room for others' before they could be read.
    pub unread_openings: u64,
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

    /// What is in flows, over all interfaces: a packet that passes two is there twice.
    pub fn counted(&self) -> (u64, u64) {
        sum(self.interfaces.iter().map(|i| i.counted))
    }

    /// What became of the packets of all live interfaces; `None` for captures.
    pub fn live(&self) -> Option<LiveLedger> {
        let mut parts = self.interfaces.iter().filter_map(|i| i.live.as_ref());
        let mut all = parts.next()?.clone();
        parts.for_each(|part| all.add(part));
        all.reasons.clone_from(&self.reasons);
        Some(all)
    }

    /// Whether every packet and byte seen is accounted for.
    ///
    /// Live, a flow counts a packet once on whatever interfaces it passes: each interface's account closes by itself.
    pub fn closes(&self) -> bool {
        if self.interfaces.iter().any(|i| i.live.is_some()) {
            return self.interfaces.iter().all(InterfaceLedger::closes);
        }
        let (seen, not_ip) = (self.seen(), self.not_ip());
        seen == (self.counted.packets + not_ip.0, self.counted.frame_bytes + not_ip.1)
    }
}

fn sum(parts: impl Iterator<Item = (u64, u64)>) -> (u64, u64) {
    parts.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface() -> InterfaceLedger {
        InterfaceLedger {
            interface: InterfaceName { file: None, name: Some("eth0".into()) },
            seen: (100, 9000),
            counted: (97, 8800),
            not_ip: (3, 200),
            not_ip_names: vec![],
            malformed: vec![],
            live: Some(LiveLedger {
                kernel: Some((112, 9900)),
                dropped: Some(2),
                in_kernel: (0, 0),
                settled: (0, 0),
                without_flow: (0, 0),
                offload: (10, 540),
                owned: (90, 8000),
                forwarded: (4, 400),
                by_kernel: (1, 100),
                unknown: (2, 300),
                reasons: vec![("ended".to_owned(), 1), ("hidden".to_owned(), 1)],
            }),
        }
    }

    #[test]
    fn what_passed_while_the_counters_were_read_is_no_gap() {
        let readings = Readings { before: (100, 9000), after: (110, 9900) };
        assert_eq!(readings.at((104, 9360)), (104, 9360));
        assert_eq!(readings.at((99, 8910)), (100, 9000), "one is missing");
        assert_eq!(readings.at((112, 10_080)), (110, 9900), "two are too many");
    }

    #[test]
    fn a_live_interface_closes() {
        let mut ledger = Ledger { interfaces: vec![interface()], ..Ledger::default() };
        assert!(ledger.closes());
        assert_eq!((ledger.interfaces[0].accounted(), ledger.interfaces[0].gap()), (112, Some(0)));
        ledger.interfaces[0].live.as_mut().unwrap().unknown.0 -= 1;
        assert!(!ledger.closes());
        ledger.interfaces = vec![InterfaceLedger { seen: (101, 9000), ..interface() }];
        assert!(!ledger.closes());
        assert_eq!(ledger.interfaces[0].gap(), Some(-1));
    }

    #[test]
    fn no_gap_is_told_from_what_is_not_known() {
        for live in [
            LiveLedger { kernel: None, ..interface().live.unwrap() },
            LiveLedger { dropped: None, ..interface().live.unwrap() },
        ] {
            assert_eq!(InterfaceLedger { live: Some(live), ..interface() }.gap(), None);
        }
        assert_eq!(InterfaceLedger { live: None, ..interface() }.gap(), None);
    }

    #[test]
    fn interfaces_add_up() {
        let mut other = interface();
        let live = other.live.as_mut().unwrap();
        (live.dropped, live.reasons) = (None, vec![("hidden".to_owned(), 3)]);
        let reasons = vec![("hidden".to_owned(), 3), ("ended".to_owned(), 1)];
        let ledger = Ledger { interfaces: vec![interface(), other], reasons, ..Ledger::default() };
        let all = ledger.live().unwrap();
        assert_eq!((all.kernel, all.dropped, all.offload), (Some((224, 19_800)), None, (20, 1080)));
        assert_eq!(all.attributed(), ledger.counted());
        assert_eq!(all.reasons, ledger.reasons, "a flow that passes both is one flow");
        assert_eq!(Ledger::default().live(), None);
    }
}
