//! One flow whose opening is not read to its end.

use dissect::TcpFlags;
use dissect::app::{Candidates, Depth, Opening, Past, Said};

use super::prefix::Prefix;
use super::turns::Turns;
use super::{Then, Verdict, read};
use crate::key::Side;
use crate::tally::Observation;

/// Datagrams of an end that are kept.
const MAX_DATAGRAMS: usize = 32;
const TCP: u8 = 6;

/// One flow whose opening is not read to its end.
#[derive(Debug, Default)]
pub(super) struct Pending {
    said: [Prefix; 2],
    /// Those that have not refused.
    candidates: Candidates,
    /// Those that were asked.
    asked: Candidates,
    /// One of them is sure that the flow is its own.
    is_sure: bool,
    /// Bytes of each end that it has read, by side.
    known: [usize; 2],
    /// What came first was not an end's first segment, and there is no telling which one is.
    waits: bool,
    turns: Turns,
    /// What was read at first has made room for what followed.
    pub(super) went_on: bool,
}

impl Pending {
    /// A flow of which `o` is the first payload that is kept. Those of `asked` have read it; `left` of them want more, and
    /// can spare what is `past`, by side.
    pub(super) fn new(
        o: &Observation<'_>,
        left: Candidates,
        asked: Candidates,
        is_sure: bool,
        past: [(Past, Side); 2],
    ) -> Self {
        let mut pending = Pending { candidates: left, asked, is_sure, ..Pending::default() };
        pending.take(o);
        if pending.is_full() && pending.let_go(past) {
            pending.take(o);
        }
        pending.note_known();
        pending
    }

    /// A flow of which `o` seems to come too early.
    pub(super) fn waiting(o: &Observation<'_>) -> Self {
        let mut pending = Pending { waits: true, ..Pending::default() };
        pending.take(o);
        pending
    }

    /// Adds a payload; gives whether there is something to be read.
    pub(super) fn add(&mut self, o: &Observation<'_>, ports: [u16; 2]) -> bool {
        self.turns.note(o.payload.len());
        let first = self.said[o.side.index()].first();
        let is_due = self.turns.is_due(o.side);
        if !self.take(o) && !is_due {
            return self.is_over();
        }
        let said = &self.said[o.side.index()];
        let begins = said.first() != first;
        if begins {
            self.begin(Candidates::of(o.key.protocol(), &said.bytes, ports));
        }
        let held = self.held();
        if held == 0 {
            // All that there was has been let go.
            return false;
        }
        let is_last = self.is_over() || o.segment.flags.has(TcpFlags::FIN) && self.turns.end(o.side);
        match (is_last, begins || is_due) {
            (true, _) => self.turns.take_last(held),
            (false, true) => self.turns.take_due(held),
            (false, false) => self.turns.take(held, o.side),
        }
    }

    /// Nothing more comes: gives whether there is something to be read, which was put off.
    pub(super) fn take_rest(&mut self) -> bool {
        let held = self.held();
        held > 0 && self.turns.take_rest(held)
    }

    fn held(&self) -> usize {
        self.said.iter().map(|said| said.bytes.len()).sum()
    }

    /// An end's first byte is known now: these may read what it begins.
    fn begin(&mut self, may_read: Candidates) {
        if !self.is_sure {
            self.candidates = self.candidates.or(may_read.without(self.asked));
        }
        self.asked = self.asked.or(may_read);
    }

    fn take(&mut self, o: &Observation<'_>) -> bool {
        let said = &mut self.said[o.side.index()];
        if !o.segment.is_some() {
            let taken = said.add_datagram(o.payload);
            said.is_full |= said.ends.len() >= MAX_DATAGRAMS;
            return taken;
        }
        let syn = u32::from(o.segment.flags.has(TcpFlags::SYN));
        said.add_segment(o.segment.seq.wrapping_add(syn), o.payload, o.segment.len)
    }

    /// Reads what there is; gives what is known now, if anything is, and whether there is room again for what there was none.
    ///
    /// What an end said that was read before is not told in detail again: it is known of the flow already.
    pub(super) fn read(
        &mut self,
        depth: Depth,
        transport: u8,
        ports: [u16; 2],
        initiator: Side,
    ) -> (Option<Verdict>, bool) {
        let said = |side: Side| {
            let Prefix { bytes, ends, .. } = &self.said[side.index()];
            let is_known = !bytes.is_empty() && self.known[side.index()] == bytes.len();
            let depth = if is_known { Depth::Names } else { depth };
            let said = if transport == TCP { Said::stream(bytes) } else { Said::datagrams_of(bytes, ends) };
            said.to(depth)
        };
        let sides = [initiator, initiator.other()];
        let [initiator, responder] = sides.map(said);
        let may_go_on =
            transport == TCP && self.is_sure && !self.candidates.and(Candidates::that_recur()).is_empty();
        let may_make_room = may_go_on && (self.is_full() || self.turns.are_many());
        let is_last = self.is_full() && !(may_go_on && self.has_no_room());
        let mut opening = Opening { transport, ports, initiator, responder, depth, is_last };
        let (mut verdict, mut left) = read(self.candidates, &opening);
        let mut past = [Past::None; 2];
        if may_make_room && verdict.as_ref().is_some_and(|verdict| verdict.then == Then::More) {
            past = self::past(left, &opening);
        }
        if past == [Past::None; 2] && self.is_full() && !is_last {
            opening.is_last = true;
            (verdict, left) = read(self.candidates, &opening);
        }
        self.candidates = left;
        self.is_sure |= verdict.is_some();
        let made_room = self.let_go([(past[0], sides[0]), (past[1], sides[1])]);
        self.note_known();
        (verdict, made_room)
    }

    /// Forgets what is told for good; gives whether there is room again where there was none.
    fn let_go(&mut self, past: [(Past, Side); 2]) -> bool {
        let was_full = self.is_full();
        for (past, side) in past {
            let said = &mut self.said[side.index()];
            match past {
                Past::None => continue,
                Past::First(len) => said.let_go(len),
                Past::All => said.let_all_go(),
            }
            self.went_on = true;
            self.turns.made_room();
            // What stands in front now may be another's to read, if the one that was sure only passed it on.
            self.candidates = self.candidates.or(Candidates::that_recur());
        }
        was_full && !self.is_full()
    }

    /// What there is no room for is all that keeps an end from saying more.
    fn has_no_room(&self) -> bool {
        self.said.iter().all(|said| !said.is_full || said.has_no_room())
    }

    /// Whoever is sure has read all that is there.
    fn note_known(&mut self) {
        if self.is_sure {
            self.known = self.said.each_ref().map(|said| said.bytes.len());
        }
    }

    /// The one that is sure; nobody, if none is.
    pub(super) fn sure(&self) -> Candidates {
        if self.is_sure { self.candidates } else { Candidates::default() }
    }

    fn is_full(&self) -> bool {
        self.said.iter().any(|said| said.is_full)
    }

    /// Nobody wants more, or no more is kept.
    pub(super) fn is_over(&self) -> bool {
        self.is_full() || !self.waits && self.candidates.is_empty()
    }
}

/// What the one of `sure` whose openings follow each other can spare of an opening.
pub(super) fn past(sure: Candidates, opening: &Opening<'_>) -> [Past; 2] {
    let recurring = sure.and(Candidates::that_recur()).each().next();
    recurring.map_or([Past::None; 2], |(_, dissector)| dissector.past(opening))
}

#[cfg(test)]
mod tests;
