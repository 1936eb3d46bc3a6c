//! What interfaces count more than is seen, because they split packets, or put them together.

use dissect::{Dissection, KernelCount, Packet};

use super::FlowTable;
use crate::ledger::InterfaceId;
use crate::offload;
use crate::totals::Frames;

/// By interface: the longest IP packet that passes its wire, if it splits longer ones.
#[derive(Debug, Default)]
pub(super) struct Splits(Vec<Option<u32>>);

impl Splits {
    fn at(&self, number: u32) -> Option<u32> {
        self.0.get(number as usize).copied().flatten()
    }

    /// Whether this interface splits packets itself.
    pub(super) fn has(&self, number: u32) -> bool {
        self.at(number).is_some()
    }

    /// Frames of this interface that are longer may have been split.
    pub(super) fn whole_up_to(&self, number: u32) -> u32 {
        /// Of Ethernet; with a tag in it, it is looked at more closely.
        const LINK: u32 = 14;
        self.at(number).map_or(u32::MAX, |at| at.saturating_add(LINK))
    }
}

impl FlowTable {
    /// Interface `number` of a live capture splits IP packets that are longer than this, and counts the parts.
    pub fn set_split(&mut self, number: u32, splits_at: u32) {
        let (number, splits) = (number as usize, &mut self.splits.0);
        if splits.len() <= number {
            splits.resize(number + 1, None);
        }
        splits[number] = Some(splits_at);
    }

    /// Estimates what an interface counts more than was seen, because it split `packet` or put it together.
    #[cold]
    pub(super) fn note_split(&mut self, packet: &Packet<'_>, interface: InterfaceId) {
        let Some(splits_at) = self.splits.at(packet.interface) else { return };
        let mut d = Dissection::start(packet);
        d.follow(packet, self.registry);
        let more = offload::split(&d, packet.wire_len, splits_at);
        self.totals.interface(interface).offload += more;
    }

    /// The same of packets that the kernel has counted, whose parts it has counted, too.
    pub(super) fn note_split_count(
        &mut self,
        count: &KernelCount<'_>,
        d: &Dissection<'_>,
        interface: InterfaceId,
    ) {
        let splits = self.splits.has(count.first.interface);
        let headers = offload::headers(d, count.first.wire_len).filter(|_| splits && count.split > 0);
        if let Some(headers) = headers {
            let more = Frames { packets: count.split, bytes: count.split * u64::from(headers) };
            self.totals.interface(interface).offload += more;
        }
    }
}
