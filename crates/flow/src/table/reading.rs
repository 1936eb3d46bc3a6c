//! How far a table has read: the account of a capture, and of packets that come one after the other.

use std::sync::Arc;

use dissect::Timestamp;

use crate::ledger::InterfaceId;
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
