//! What is known of a flow of a live capture besides its counters.

use dissect::Endpoint;

use crate::attribution::Answer;
use crate::flow::Flow;
use crate::key::Side;
use crate::pace::{Pace, Pacing};
use crate::path::Strands;

/// What is known of one flow besides its counters.
///
/// What is asked of every flow at each report comes first: of many flows, each cache line is a miss.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Facts {
    /// IP bytes when its pace was last taken.
    pub(super) counted: u64,
    pub(crate) answer: Option<Answer>,
    pub(crate) strands: Strands,
    pub(super) translated_by: Side,
    /// Among those that have counted anything since the last interval.
    pub(super) is_active: bool,
    /// The answer is of when it was known how the flow is translated.
    pub(super) knows: bool,
    /// The table that ended it last had no room for it.
    pub(crate) evicted: bool,
    /// The interval in which its pace was last put down: those without packets are left out.
    pub(super) paced: u32,
    /// Its five-tuple beyond a translation, as the initiator of that has it.
    pub(crate) nat: Option<Box<(Endpoint, Endpoint)>>,
    pub(super) pace: Pacing,
}

// Cache lines: what each report asks is in the first two.
const _: () = assert!(size_of::<Facts>() == 256);

impl Facts {
    /// Whether `flow` runs against the translation's own direction.
    pub(crate) fn turned(&self, flow: &Flow) -> bool {
        self.translated_by != flow.initiator
    }

    /// Reads ahead what the account of every report asks.
    pub(crate) fn warm(&self) -> u64 {
        self.counted ^ self.strands.warm()
    }

    /// Its pace after so many intervals of the capture.
    pub(crate) fn pace(&self, intervals: u32) -> Pace {
        let pace = self.pace.pace();
        match intervals.saturating_sub(self.paced) {
            0 => pace,
            idle => Pace { now: 0.0, ..pace.later(idle) },
        }
    }

    /// IP bytes a second over the last of so many intervals of the capture.
    pub(crate) fn rate(&self, intervals: u32) -> f64 {
        if self.paced < intervals { 0.0 } else { self.pace.now }
    }

    /// Puts down what was counted in the interval of that number.
    pub(super) fn take_pace(&mut self, interval: u32, fresh: u64, seconds: f64) {
        self.pace.skip(interval.saturating_sub(self.paced + 1));
        self.pace.take(fresh, seconds);
        self.paced = interval;
    }

    /// Closes the account of a flow that is over.
    pub(super) fn close(&mut self, intervals: u32, flow: &Flow) {
        self.pace.skip(intervals.saturating_sub(self.paced));
        self.paced = intervals;
        self.pace.close(flow.total().ip_bytes.saturating_sub(self.counted));
    }
}
