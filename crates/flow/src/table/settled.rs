//! Packets that the source has counted because nobody would have read them.

use std::hint::black_box;

use dissect::{Pause, SettledCount, Timestamp, Unread, Way};

use super::{FlowTable, Run};
use crate::key::{FlowKey, Side};
use crate::tally::{Observation, Settle};
use crate::totals::Frames;

impl FlowTable {
    /// What the source of packets is to be told, in this order; it need not heed that a flow is settled.
    pub fn take_settling(&mut self) -> Vec<Settle> {
        std::mem::take(&mut self.tally.settling)
    }

    /// The payloads of flows that have settled may be wanted from now on.
    pub(super) fn unsettle_all(&mut self) {
        if self.options.live.is_some() {
            self.tally.settling.push(Settle::EndAll);
        }
    }

    /// How far the data of a flow has come that is sent this way, as a sequence number, if the source may count what is `unread`.
    pub fn next_of(&self, way: &Way, unread: Unread) -> Option<u32> {
        let (key, hash, side) = self.flow_of_way(way);
        self.tally.next_of((hash, &key, side), unread)
    }

    /// Data was seen that the source does not count. To be told before any packet is that comes behind what was counted.
    pub fn observe_pause(&mut self, pause: &Pause) {
        let (key, hash, side) = self.flow_of_way(&pause.way);
        self.tally.pause((hash, &key, side), pause);
    }

    fn flow_of_way(&self, way: &Way) -> (FlowKey, u32, Side) {
        let (key, side) = FlowKey::of_tuple(&way.tuple);
        let key = key.on(self.capture.interface(way.interface).0);
        (key, key.hash(&self.options.seed), side)
    }

    /// Adds what the source has counted of a settled flow.
    pub fn observe_settled(&mut self, count: &SettledCount) {
        let (number, at) = (count.way.interface, count.last);
        let seen = Frames { packets: count.packets, bytes: count.frame_bytes };
        self.close_run(Run { interface: number, seen, start: at, end: at });
        let how = self.how(self.capture.interface(number));
        let splits = self.splits.has(number);
        let totals = self.totals.interface(how.interface);
        totals.settled += seen;
        if splits {
            totals.offload += Frames { packets: count.split, bytes: count.split_bytes };
        }
        let mut o = Observation::default();
        (o.key, o.hash, o.side) = self.flow_of_way(&count.way);
        (o.at, o.interface) = (at, how.interface.0);
        o.note_direction(count.way.direction);
        self.tally.add_settled(&o, count);
    }

    /// The same of several flows, which are read ahead together: they have long left the processor's cache.
    pub fn observe_all_settled(&mut self, counts: &[SettledCount]) {
        let warm = |count: &SettledCount| {
            let interface = self.capture.interface(count.way.interface);
            let key = FlowKey::of_tuple(&count.way.tuple).0.on(interface.0);
            let number = self.tally.flows.guess(key.hash(&self.options.seed));
            self.tally.flows.warm(number) ^ self.tally.flows.warm_print(number)
        };
        black_box(counts.iter().fold(0, |read, count| read ^ warm(count)));
        for count in counts {
            self.observe_settled(count);
        }
    }

    /// Ends flows of a live capture that are over or have been idle too long by `now`: some of them at each call, all
    /// within [`crate::expiry::ROUNDS`] calls. They go into the next delta.
    pub fn expire(&mut self, now: Timestamp) {
        if let Some(timeouts) = &self.options.live {
            let before = self.expiry.ended.len();
            self.expiry.pass(&mut self.tally.flows, timeouts, now);
            self.tally.unsettle(self.expiry.ended[before..].iter().map(|parts| &parts.flow));
        }
    }
}
