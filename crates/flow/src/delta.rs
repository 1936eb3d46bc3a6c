//! What a table hands to the collector.

use crate::ledger::CaptureRecord;
use crate::lookup::LookupDelta;
use crate::store::{FlowParts, FlowStore};
use crate::totals::Totals;

/// What changed in one table since its previous delta. Counters add: a late delta loses nothing.
#[derive(Debug, Default)]
pub struct Delta {
    /// What the flows that stay in the table counted.
    pub(crate) changed: Vec<FlowParts>,
    /// The whole table, when it hands out its last delta.
    pub(crate) flows: FlowStore,
    /// Flows that left the table for good, in the order in which they did.
    pub(crate) evicted: Vec<FlowParts>,
    pub(crate) totals: Totals,
    /// Captures that were read to their end.
    pub(crate) captures: Vec<CaptureRecord>,
    pub(crate) lookups: LookupDelta,
}
