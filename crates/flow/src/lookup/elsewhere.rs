//! Messages that pass several interfaces, to be counted once.
//!
//! The same bytes between the same ends are the same message, or one that is sent again. Addresses may be translated on the
//! way, and ports with them; and clients may number the same question alike. So of messages with the same bytes that pass soon
//! after each other there are as many as pass one interface between different ends.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use dissect::{Ip, Timestamp};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::ledger::InterfaceId;
use crate::message::Origin;

/// Messages of which it is known where they passed.
const MAX_KNOWN: usize = 4096;
/// Longest way from one interface to another, in nanoseconds.
const ON_THE_WAY: i64 = 1_000_000_000;
/// Of the same bytes: how often it is known where they passed, and between whom.
const MAX_PASSED: usize = 8;

/// The latest messages, by a hash of all their bytes.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    known: HashMap<u64, Same>,
    order: VecDeque<u64>,
    seed: RandomState,
}

/// Messages of the same bytes.
#[derive(Clone, Copy, Debug)]
struct Same {
    latest: Timestamp,
    passed: [Option<Passed>; MAX_PASSED],
}

/// Where one passed, and between whom.
#[derive(Clone, Copy, Debug)]
struct Passed {
    interface: InterfaceId,
    /// A hash of both ends.
    ends: u64,
    /// It counts here.
    counts: bool,
}

impl Elsewhere {
    /// Whether the message passed another interface before.
    pub(super) fn saw(&mut self, origin: Origin, ip: &Ip, message: &[u8]) -> bool {
        // Hosts that tell a group the same are as many messages.
        let teller = if ip.destination().is_multicast() { ip.src } else { 0 };
        let said = self.seed.hash_one((teller, message));
        let ends = self.seed.hash_one((ip.src, ip.dst, ip.src_port, ip.dst_port, ip.version));
        let first = Same::of(origin, ends);
        if let Err(known) = self.known.try_insert(said, first) {
            return known.entry.into_mut().saw(origin, ends);
        }
        self.order.push_back(said);
        if self.order.len() > MAX_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        false
    }
}

impl Same {
    fn of(origin: Origin, ends: u64) -> Self {
        let mut passed = [None; MAX_PASSED];
        passed[0] = Some(Passed { interface: origin.interface, ends, counts: true });
        Same { latest: origin.timestamp, passed }
    }

    fn saw(&mut self, origin: Origin, ends: u64) -> bool {
        let Origin { interface, timestamp, .. } = origin;
        let all = || self.passed.iter().flatten();
        if let Some(same) = all().find(|passed| passed.ends == ends && passed.interface == interface) {
            // Sent again.
            self.latest = timestamp;
            return !same.counts;
        }
        let is_copy = if all().any(|passed| passed.ends == ends) {
            true
        } else if (0..=ON_THE_WAY).contains(&timestamp.0.saturating_sub(self.latest.0)) {
            let on = |one: InterfaceId| all().filter(|passed| passed.interface == one).count();
            let others = all().map(|passed| passed.interface).filter(|other| *other != interface);
            on(interface) < others.map(on).max().unwrap_or(0)
        } else {
            *self = Same::of(origin, ends);
            return false;
        };
        self.latest = timestamp;
        if let Some(place) = self.passed.iter_mut().find(|place| place.is_none()) {
            *place = Some(Passed { interface, ends, counts: !is_copy });
        }
        is_copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: i64 = 1_000_000;
    const RESOLVER: u8 = 53;

    /// Feeds one message of the same bytes for each: milliseconds, interface, who asks, port; gives which of them count.
    fn counted(passes: &[(i64, u16, u8, u16)]) -> Vec<bool> {
        let mut elsewhere = Elsewhere::default();
        let count = |&(at, interface, src, src_port): &(i64, u16, u8, u16)| {
            let timestamp = Timestamp(at * MILLI);
            let interface = InterfaceId(interface);
            let origin = Origin { timestamp, since: Timestamp(0), frame: 1, interface };
            let ip = Ip {
                src: src.into(),
                dst: RESOLVER.into(),
                src_port,
                dst_port: 53,
                bytes: 60,
                at: 0,
                protocol: 17,
                version: 4,
                fragment: None,
            };
            !elsewhere.saw(origin, &ip, b"the same bytes")
        };
        passes.iter().map(count).collect()
    }

    #[test]
    fn a_message_counts_where_it_passed_first() {
        // Bridged; translated; sent again five seconds later, and translated again.
        let passes = [
            (0, 1, 1, 5000),
            (0, 2, 1, 5000),
            (1, 3, 9, 6000),
            (5000, 1, 1, 5000),
            (5000, 2, 1, 5000),
            (5001, 3, 9, 6000),
        ];
        assert_eq!(counted(&passes), [true, false, false, true, false, false]);
    }

    #[test]
    fn clients_that_say_the_same_are_as_many() {
        // On another interface, later, each with its translation.
        let passes = [(0, 1, 1, 5000), (1, 3, 9, 5000), (3000, 2, 2, 5001), (3001, 3, 9, 5001)];
        assert_eq!(counted(&passes), [true, false, true, false]);
        // On the same one, at the same time.
        assert_eq!(counted(&[(0, 1, 1, 5000), (1, 1, 2, 5001)]), [true, true]);
        // At the same time, each with its translation: there are two, whichever of the four are taken for them.
        for (b, order) in [(1, [0, 1, 2, 3]), (1, [0, 2, 1, 3]), (2, [0, 1, 2, 3]), (2, [0, 2, 1, 3])] {
            let passes = [(0, 1, 1, 5000), (0, b, 2, 5001), (1, 3, 9, 5000), (1, 3, 9, 5001)];
            let counted = counted(&order.map(|at| passes[at]));
            assert_eq!(counted.iter().filter(|counted| **counted).count(), 2, "{b} {order:?}: {counted:?}");
        }
    }
}
