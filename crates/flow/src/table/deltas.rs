//! What a table hands on, and how much waits for that.

use std::mem;

use super::FlowTable;
use crate::delta::Delta;

impl FlowTable {
    /// Messages, and flows that ended or were evicted, that wait to be taken with the next delta.
    pub fn events(&self) -> usize {
        self.messages.said.lookups.len()
            + self.tally.openings.names.len()
            + self.enclosed.as_ref().map_or(0, |enclosed| enclosed.openings.names.len())
            + self.tally.eviction.evicted.len()
            + self.expiry.ended.len()
    }

    /// How many flows began since the last delta.
    pub fn begun(&self) -> usize {
        self.tally.begun.as_ref().map_or(0, Vec::len)
    }

    /// Whether flows ended since the last delta.
    pub fn has_ended(&self) -> bool {
        !self.expiry.ended.is_empty()
    }

    /// Takes what changed since the last delta; flows stay, with their counters at zero.
    pub fn take_delta(&mut self) -> Delta {
        let mut delta = self.take_events();
        delta.changed.expect(self.tally.flows.len());
        self.tally.flows.take_changed(&mut delta.changed);
        delta
    }

    /// Takes messages, totals, and flows that began, ended or were evicted; leaves the other flows' counters for a
    /// later delta.
    pub fn take_events(&mut self) -> Delta {
        let begun = self.tally.begun.as_mut().map(mem::take).unwrap_or_default();
        let mut totals = mem::take(&mut self.totals);
        totals.malformed_messages = mem::take(&mut self.messages.said.malformed);
        totals.unread_openings = mem::take(&mut self.tally.openings.evicted);
        let mut names = mem::take(&mut self.tally.openings.names);
        if let Some(enclosed) = &mut self.enclosed {
            names.append(&mut enclosed.openings.names);
            totals.unread_openings += mem::take(&mut enclosed.openings.evicted);
        }
        Delta {
            changed: self.tally.flows.take_those(&begun),
            begun: begun.len(),
            ended: mem::take(&mut self.expiry.ended),
            evicted: mem::take(&mut self.tally.eviction.evicted),
            captures: mem::take(&mut self.captures),
            totals,
            lookups: self.messages.said.lookups.take(),
            names,
            neighbours: mem::take(&mut self.neighbours.fresh),
            ..Delta::default()
        }
    }

    /// The last delta: everything that was not taken yet, without copying it.
    pub fn finish(mut self) -> Delta {
        self.tally.openings.read_rest(&mut self.tally.flows);
        if let Some(enclosed) = &mut self.enclosed {
            enclosed.openings.read_rest(&mut enclosed.flows);
        }
        let mut delta = self.take_events();
        delta.flows = self.tally.flows;
        delta
    }
}
