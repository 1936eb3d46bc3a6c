//! How far a table has read: the account of a capture, and of packets that come one after the other.

use std::sync::Arc;

use dissect::Timestamp;

use super::FlowTable;
use crate::flow;
use crate::ledger::{CaptureEnd, CaptureRecord, InterfaceId};
use crate::totals::Frames;

/// The capture that is being read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) path: Arc<str>,
    pub(super) first_interface: u16,
    pub(super) frames: u64,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl Reading {
    /// The number within the run of an interface of this capture.
    #[inline]
    pub(super) fn interface(&self, number: u32) -> InterfaceId {
        InterfaceId(self.first_interface.saturating_add(u16::try_from(number).unwrap_or(u16::MAX)))
    }

    pub(super) fn new(path: Arc<str>, first_interface: u16) -> Self {
        let (start, end) = (Timestamp(i64::MAX), Timestamp(i64::MIN));
        Reading { path, first_interface, frames: 0, packets: 0, bytes: 0, start, end }
    }
}

/// Packets of one interface, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) interface: u32,
    pub(super) seen: Frames,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl Default for Run {
    /// Before the first packet, which is earlier than this end.
    fn default() -> Self {
        let never = Timestamp(i64::MAX);
        Run { interface: 0, seen: Frames::default(), start: never, end: never }
    }
}

impl Run {
    /// Notes when a packet passed that is the first one, or earlier than one before it.
    #[cold]
    pub(super) fn turn_back(&mut self, at: Timestamp) {
        self.start = self.start.min(at);
        if self.seen.packets == 0 {
            self.end = at;
        }
    }
}

impl FlowTable {
    /// From here on, packets are those of the capture at `path`, and its interface 0 is `first_interface` of the run.
    pub fn begin_capture(&mut self, path: Arc<str>, first_interface: InterfaceId) {
        self.capture = Reading::new(path, first_interface.0);
        self.tally.first_interface = first_interface.0;
    }

    /// The capture ended, as `stop` says: its record goes into the next delta.
    pub fn end_capture(&mut self, stop: CaptureEnd) {
        let c = &self.capture;
        let span = flow::span(c.start, c.end);
        self.captures.push(CaptureRecord {
            path: Arc::clone(&c.path),
            packets: c.packets,
            bytes: c.bytes,
            start: span.map(|(start, _)| start),
            end: span.map(|(_, end)| end),
            stop,
        });
    }

    /// Only packets from `since` to before `until` count; without an end, all that follow. Those without a time do not.
    pub fn set_window(&mut self, since: Timestamp, until: Option<Timestamp>) {
        let last = until.map_or(i64::MAX, |until| until.0.saturating_sub(1));
        self.window = (since.max(Timestamp(Timestamp::UNKNOWN.0 + 1)), Timestamp(last));
    }

    /// Adds packets of one interface to its account and the capture's.
    #[inline(never)] // By value, so that the loop over packets keeps its account in registers.
    pub(super) fn close_run(&mut self, run: Run) {
        if (run.seen.packets, run.seen.bytes) == (0, 0) {
            return;
        }
        let capture = &mut self.capture;
        capture.packets += run.seen.packets;
        capture.bytes += run.seen.bytes;
        if run.start == Timestamp::UNKNOWN {
            self.untimed = true;
        } else {
            capture.start = capture.start.min(run.start);
            capture.end = capture.end.max(run.end);
        }
        let interface = capture.interface(run.interface);
        self.totals.interface(interface).seen += run.seen;
    }
}
