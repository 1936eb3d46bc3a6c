//! What is read when nothing more comes.

use super::{Openings, ports};
use crate::store::FlowStore;
use crate::tally::Observation;

impl Openings {
    /// Reads what was put off until more would come, since nothing does; in the order in which it was kept.
    ///
    /// In a tunnel, the outermost header's ends are those of a packet that is gone: names have the flow's own alone.
    pub(crate) fn read_rest(&mut self, flows: &mut FlowStore) {
        for number in std::mem::take(&mut self.order) {
            let Some(mut pending) = self.pending.remove(&number) else { continue };
            let Some(flow) = flows.open(number).filter(|flow| flow.heed.is_pending()) else { continue };
            if !pending.take_rest() {
                continue;
            }
            let (transport, went_on) = (flow.key.protocol(), pending.went_on);
            let (side, mut last) = (flow.initiator, Observation::default());
            (last.key, last.side, last.at, last.interface) = (flow.key, side, flow.last, flow.interface);
            if let (Some(verdict), _) = pending.read(self.depth, transport, ports(flow), side) {
                self.learn(flows, number, &last, verdict.app, went_on);
            }
        }
    }
}
