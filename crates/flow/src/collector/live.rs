//! What tables tell of the flows of a live capture: parts are joined, and flows end once no table counts them.

use std::hint::black_box;
use std::iter::repeat;
use std::mem;
use std::ops::Range;

use dissect::Timestamp;
use hashbrown::HashSet;

use super::Collector;
use crate::attribution::{Answer, Reason};
use crate::delta::Delta;
use crate::live::AHEAD;
use crate::parts::Parts;
use crate::path::Place;
use crate::store::FlowParts;

/// How long a flow that is over stays open, in nanoseconds: longer than the tables are apart in telling.
const LINGER: i64 = 500_000_000;
/// Flows that linger at most: in a flood the oldest are closed sooner.
const MAX_LINGERING: usize = 4096;

impl Collector {
    fn add_live(&mut self, part: &mut FlowParts) -> Option<(u32, Place)> {
        // What begins where another flow of the same five-tuple has ended, and that on all interfaces, is another one.
        if part.flow.total().packets > 0
            && self.live.as_ref().is_some_and(|live| !live.over.is_empty() || !live.lingering.is_empty())
            && let Some((number, place)) = self.find_live(part)
            && self.live.as_ref()?.flows.has_ended(&self.flows, number, place)
        {
            self.close_live(number);
        }
        let live = self.live.as_mut()?;
        let ifindex = live.ifindexes.get(usize::from(part.flow.interface)).copied().unwrap_or(0);
        live.flows.add(&mut self.flows, part, ifindex)
    }

    /// What one table counted on each interface of flows that ended there, and of others.
    ///
    /// A flow is over if no table counts it on any interface. On which ones it was is only known when all parts have been
    /// added; those of other tables may be told a little later, so they are waited for.
    pub(super) fn absorb_live(
        &mut self,
        ended: Vec<FlowParts>,
        evicted: Vec<FlowParts>,
        changed: Parts,
        last: impl Iterator<Item = FlowParts>,
    ) {
        let mut ends: Vec<((u32, Place), bool)> = Vec::new();
        let ended = ended.into_iter().zip(repeat(false));
        for (mut part, evicted) in ended.chain(evicted.into_iter().zip(repeat(true))) {
            ends.extend(self.add_live(&mut part).zip(Some(evicted)));
        }
        let places: HashSet<(u32, Place)> = ends.iter().map(|(end, _)| *end).collect();
        let mut anew = Vec::new();
        let mut add = |collector: &mut Self, part: &mut FlowParts| {
            if !places.is_empty() && collector.find_live(part).is_some_and(|found| places.contains(&found)) {
                anew.push(part.clone());
            } else {
                collector.add_live(part);
            }
        };
        for mut piece in changed.into_pieces() {
            for some in piece.chunks_mut(AHEAD) {
                self.read_ahead(some);
                for part in some {
                    add(self, part);
                }
            }
        }
        last.for_each(|mut part| add(self, &mut part));
        let Some(live) = &mut self.live else { return };
        let mut fewer = Vec::new();
        for ((number, place), evicted) in ends {
            live.flows.end_key(&self.flows, number);
            if live.flows.end(number, place, evicted) {
                live.over.push(number);
            } else if live.gone.contains(&place.interface) {
                fewer.push(number);
            }
        }
        for number in fewer {
            self.fold(number);
        }
        for mut part in anew {
            self.add_live(&mut part);
        }
    }

    /// Where the flows of a delta that are new will stand, as [`crate::FlowTable::next_room`] tells it.
    pub fn next_room(&mut self, delta: &Delta) -> impl Iterator<Item = Range<*const u8>> + use<> {
        let count = self.flows.beyond_free(delta.begun);
        let facts = self.live.as_mut().and_then(|live| live.flows.next_room(count));
        facts.into_iter().chain(self.flows.next_room(count))
    }

    /// Reads what adding `parts` will change, so that the cache misses of all of them overlap.
    fn read_ahead(&self, parts: &[FlowParts]) {
        let Some(live) = &self.live else { return };
        black_box(parts.iter().fold(0, |read, part| read ^ live.flows.warm(&self.flows, part)));
    }

    /// Closes flows that have been over for some time: tables that counted them elsewhere have told so by now.
    pub fn settle(&mut self, now: Timestamp) {
        let Some(live) = &mut self.live else { return };
        if !live.over.is_empty() {
            live.lingering.push_back((now, mem::take(&mut live.over)));
        }
        let mut due = Vec::new();
        // A clock that was set back makes no flow linger.
        let mut lingering: usize = live.lingering.iter().map(|(_, flows)| flows.len()).sum();
        while let Some((since, flows)) = live.lingering.front_mut()
            && (now.0.abs_diff(since.0) >= LINGER as u64 || lingering > MAX_LINGERING)
        {
            lingering -= flows.len();
            due.append(flows);
            live.lingering.pop_front();
        }
        for number in due {
            if self.live.as_ref().is_some_and(|live| live.flows.is_over(&self.flows, number)) {
                self.close_live(number);
            }
        }
    }

    fn find_live(&self, part: &FlowParts) -> Option<(u32, Place)> {
        let (number, place) = self.live.as_ref()?.flows.find(&self.flows, &part.flow);
        number.map(|number| (number, place))
    }

    pub(super) fn close_live(&mut self, number: u32) {
        let Some(live) = &mut self.live else { return };
        let (whole, mut facts) = live.flows.take(&mut self.flows, number);
        // Nobody hears of an answer any more.
        if facts.evicted && matches!(facts.answer, None | Some(Answer::None(Reason::Deferred))) {
            facts.answer = Some(Answer::None(Reason::Evicted));
        }
        self.close(&whole, Some(&facts), facts.evicted);
    }
}
