//! What a table hands to the collector.

use std::net::IpAddr;

use dissect::Mac;

use crate::ledger::{CaptureRecord, InterfaceId};
use crate::lookup::LookupDelta;
use crate::opening::NameEvent;
use crate::parts::Parts;
use crate::store::{FlowParts, FlowStore};
use crate::totals::Totals;

/// What changed in one table since its previous delta. Counters add: a late delta loses nothing.
#[derive(Debug, Default)]
pub struct Delta {
    /// What the flows that stay in the table counted.
    pub(crate) changed: Parts,
    /// How many of those began since the previous delta.
    pub(crate) begun: usize,
    /// The whole table, when it hands out its last delta.
    pub(crate) flows: FlowStore,
    /// Flows that are over, or have been idle for long.
    pub(crate) ended: Vec<FlowParts>,
    /// Flows that left the table for good because it was full, in the order in which they did.
    pub(crate) evicted: Vec<FlowParts>,
    pub(crate) totals: Totals,
    /// Captures that were read to their end.
    pub(crate) captures: Vec<CaptureRecord>,
    pub(crate) lookups: LookupDelta,
    /// Names that clients asked for, in the order of their packets.
    pub(crate) names: Vec<NameEvent>,
    /// Link-layer addresses that hosts told.
    pub(crate) neighbours: Vec<(IpAddr, Mac)>,
}

impl Delta {
    /// Gives interfaces the numbers that they have in the whole run: `numbers`, by the table's own.
    pub fn renumber(&mut self, numbers: &[InterfaceId]) {
        let number = |own: u16| numbers.get(usize::from(own)).map_or(own, |id| id.0);
        if (0..).zip(numbers).all(|(own, id)| id.0 == own) {
            return;
        }
        for part in self.changed.iter_mut().chain(&mut self.ended).chain(&mut self.evicted) {
            part.flow.interface = number(part.flow.interface);
        }
        for flow in self.flows.iter_mut() {
            flow.interface = number(flow.interface);
        }
        self.totals.renumber(number);
        for event in self.lookups.events.iter_mut().chain(&mut self.lookups.recent) {
            event.interface = InterfaceId(number(event.interface.0));
        }
        for event in &mut self.names {
            event.interface = InterfaceId(number(event.interface.0));
        }
    }
}
