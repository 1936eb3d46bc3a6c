//! The account of flows that are over: ended, or evicted because the table was full.

use dissect::Timestamp;
use hashbrown::HashMap;

use crate::collector::Resolvers;
use crate::counters::Counters;
use crate::group::{Group, GroupKey};
use crate::rank::Top;
use crate::record::FlowRecord;

/// Groups that are kept of flows that are over; what is beyond adds up under [`GroupKey::Others`].
const MAX_GROUPS: usize = 65_536;
/// Flows that are over and still have a row, at most.
const MAX_ROWS: usize = 65_536;

/// The row of a flow that is over.
#[derive(Debug)]
pub(crate) struct Over {
    pub(crate) record: FlowRecord,
    /// How many intervals there had been by then.
    pub(crate) intervals: u32,
}

impl Over {
    /// As it stands after so many intervals, counted as its own: the first after its end is the one it ended in.
    pub(crate) fn record(&self, intervals: u32) -> FlowRecord {
        let since = intervals.saturating_sub(self.intervals + 1);
        FlowRecord { pace: self.record.pace.map(|pace| pace.later(since)), ..self.record.clone() }
    }
}

/// Flows that are over.
#[derive(Debug)]
pub(crate) struct Closed {
    /// What all of them held, on every interface.
    pub(crate) counted: Counters,
    /// Those that the table had no room for.
    pub(crate) evicted: (u64, Counters),
    /// Those that the user wants to see.
    pub(crate) shown: (u64, Counters),
    /// The others.
    pub(crate) hidden: (u64, Counters),
    /// First and last packet.
    pub(crate) span: Option<(Timestamp, Timestamp)>,
    /// The first of those that ended, by the order of rows.
    pub(crate) rows: Top<Over>,
    pub(crate) groups: HashMap<GroupKey, Group>,
    pub(crate) resolvers: Resolvers,
}

impl Closed {
    pub(crate) fn new(rows: usize) -> Self {
        Closed {
            counted: Counters::default(),
            evicted: Default::default(),
            shown: Default::default(),
            hidden: Default::default(),
            span: None,
            rows: Top::new(rows.min(MAX_ROWS)),
            groups: HashMap::default(),
            resolvers: Resolvers::default(),
        }
    }

    /// Adds one flow, whose packets count once.
    pub(crate) fn count(&mut self, sum: Counters, shown: bool, first: Timestamp, last: Timestamp) {
        let (flows, counters) = if shown { &mut self.shown } else { &mut self.hidden };
        *flows += 1;
        *counters += sum;
        let span = self.span.get_or_insert((first, last));
        *span = (span.0.min(first), span.1.max(last));
    }

    /// Adds a flow to its group.
    pub(crate) fn add_to_group(&mut self, key: GroupKey, one: Group) {
        let full = self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&key);
        let key = if full { GroupKey::Others } else { key };
        match self.groups.get_mut(&key) {
            Some(group) => group.absorb(&one),
            None => drop(self.groups.insert(key.clone(), Group { key, ..one })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Flow;
    use crate::key::{FlowKey, Side};

    #[test]
    fn groups_beyond_the_bound_add_up_under_one() {
        let mut closed = Closed::new(0);
        let flow = Flow::new(FlowKey::default(), 0, Timestamp(0), Side::Low);
        let mut add = |n: usize| {
            let key = GroupKey::Service((n >> 16) as u8, n as u16);
            closed.add_to_group(key.clone(), Group::of(key, &flow, None));
        };
        (0..MAX_GROUPS + 10).for_each(&mut add);
        add(0);
        assert_eq!(closed.groups.len(), MAX_GROUPS + 1);
        assert_eq!(closed.groups[&GroupKey::Others].flows, 10);
        assert_eq!(closed.groups[&GroupKey::Service(0, 0)].flows, 2);
    }
}
