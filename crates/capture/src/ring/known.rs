//! The interfaces that packets were seen of.

use super::block::Slot;
use super::link::Start;
use crate::Record;

/// An interface that a packet was seen of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) ifindex: u32,
    pub(super) hatype: u16,
    pub(super) start: Start,
    /// Index into the interfaces.
    pub(super) number: u32,
}

impl Known {
    #[inline]
    pub(super) fn is_of(&self, slot: &Slot) -> bool {
        self.ifindex == slot.ifindex && self.hatype == slot.hatype
    }

    #[inline]
    pub(super) fn record(&self, slot: &Slot) -> Record {
        let skipped = match self.start {
            Start::Link(_) => 0,
            Start::Network => slot.network.min(slot.captured),
        };
        Record {
            timestamp: slot.timestamp,
            start: slot.start + skipped,
            captured: slot.captured - skipped,
            wire_len: slot.wire_len,
            interface: self.number,
            vlan_tci: slot.vlan_tci,
            direction: slot.direction,
        }
    }
}
