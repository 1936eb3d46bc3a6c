//! Five-tuples that the kernel exchanges for others: which flows they belong to, and how long that is remembered.

use std::mem;

use dissect::{Endpoint, FiveTuple, Timestamp};

use super::LiveFlows;
use super::asked::MAX_QUESTIONS;
use crate::attribution::{Answer, Attributed, End, Reason};
use crate::flow::Flow;
use crate::key::{FlowKey, Side};
use crate::store::FlowStore;

/// Translations that are known at once; beyond, those that ended or have no flow are forgotten, and then no further ones
/// are learned.
pub(super) const MAX_TRANSLATIONS: usize = 262_144;
/// So often translations are looked at for those without a flow, at most: in nanoseconds.
const IDLE_LOOK: u64 = 10_000_000_000;
/// A translation is remembered so long after the kernel forgot it: packets of it may not have been counted yet.
const AFTERLIFE: i64 = 30_000_000_000;

/// A five-tuple that the kernel exchanges for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// As its initiator sends it.
    pub original: FiveTuple,
    /// As it is beyond the translation.
    pub translated: FiveTuple,
    /// The kernel has forgotten it.
    pub ended: bool,
}

/// Where the packets of a translated five-tuple belong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alias {
    pub(super) key: FlowKey,
    /// Low and high are exchanged.
    pub(super) flipped: bool,
    /// The side that the translation's initiator has in the original's key.
    pub(super) initiator: Side,
    pub(super) translated: (Endpoint, Endpoint),
    /// When it was last told.
    told: Timestamp,
    /// When the kernel forgot it.
    ended: Option<Timestamp>,
}

impl Alias {
    /// What an answer tells of the joined flow, if it was asked for by one five-tuple of the two, `is_beyond` the original
    /// or not: the socket at one end alone knows the flow by that.
    pub(super) fn still_true(&self, flow: &Flow, is_beyond: bool, answer: Answer) -> Option<Answer> {
        let end =
            if (self.initiator == flow.initiator) == is_beyond { End::Destination } else { End::Source };
        match answer {
            Answer::Owner(known) if known.end == end => {
                Some(Answer::Owner(Attributed { peer: None, ..known }))
            }
            Answer::Owner(_) => None,
            reason @ Answer::None(_) => Some(reason),
        }
    }
}

impl LiveFlows {
    /// How a flow is translated, by the key that it is counted under.
    pub(super) fn translation_of(&self, key: &FlowKey) -> Option<&Alias> {
        self.aliases.get(self.beyond.get(key)?)
    }

    /// Joins a translated five-tuple to the flow of its original.
    pub(crate) fn translate(&mut self, flows: &mut FlowStore, translation: &Translation, now: Timestamp) {
        let (key, side) = FlowKey::of_tuple(&translation.original);
        let (beyond, side_beyond) = FlowKey::of_tuple(&translation.translated);
        if key == beyond {
            return;
        }
        if translation.ended {
            // The kernel may have used the same five-tuple for another flow's translation meanwhile.
            if let Some(alias) = self.aliases.get_mut(&beyond).filter(|alias| alias.key == key) {
                alias.ended = Some(now);
                self.forgotten.push_back((now, beyond));
            }
            return;
        }
        if self.aliases.len() >= self.most_translations {
            self.forget_idle(flows, now);
        }
        if self.aliases.len() >= self.most_translations && !self.aliases.contains_key(&beyond) {
            return;
        }
        let translated = (translation.translated.src, translation.translated.dst);
        let flipped = side != side_beyond;
        let alias = Alias { key, flipped, initiator: side, translated, told: now, ended: None };
        let is_known = self.translation_of(&key).is_some_and(|known| known.translated == translated);
        if let Some(former) = self.aliases.insert(beyond, alias) {
            self.forget_original(&former.key, &beyond);
        }
        self.beyond.insert(key, beyond);
        // Asked about by the original alone, that is; what begins now is asked about by both.
        let begun = flows.find(key.hash(&self.seed), &key).filter(|_| !is_known);
        if let Some(facts) = begun.and_then(|number| self.facts.get_mut(number)) {
            facts.knows = false;
        }
        self.rejoin(flows, beyond, &alias);
        if let Some(number) = begun {
            self.ask_anew(flows.get(number), number, &alias);
        }
    }

    /// Has it asked whose a flow is that was asked about before its translation was known.
    fn ask_anew(&mut self, flow: &Flow, number: u32, alias: &Alias) {
        let has_room = self.questions.len() < MAX_QUESTIONS;
        if let Some(facts) = self.facts.get_mut(number) {
            let told = facts.answer.take().and_then(|answer| alias.still_true(flow, false, answer));
            facts.answer = told.or((!has_room).then_some(Answer::None(Reason::Deferred)));
        }
        if has_room {
            self.ask(flow, number, 0);
        }
    }

    fn forget_original(&mut self, key: &FlowKey, beyond: &FlowKey) {
        if self.beyond.get(key) == Some(beyond) {
            self.beyond.remove(key);
        }
    }

    /// Forgets translations that ended, and those without a flow: of some the end was lost. That looks at all of them, so
    /// it is done only so often.
    fn forget_idle(&mut self, flows: &FlowStore, now: Timestamp) {
        if self.looked.is_some_and(|then| now.0.abs_diff(then.0) < IDLE_LOOK) {
            return;
        }
        self.looked = Some(now);
        let seed = self.seed;
        self.aliases.retain(|_, alias| {
            // Its first packets may not have been counted yet.
            let is_new = now.0.saturating_sub(alias.told.0) < AFTERLIFE;
            alias.ended.is_none() && (is_new || flows.find(alias.key.hash(&seed), &alias.key).is_some())
        });
        self.beyond.retain(|_, beyond| self.aliases.contains_key(beyond));
    }

    /// Packets beyond a translation were counted before it was known: they join the original's flow.
    fn rejoin(&mut self, flows: &mut FlowStore, beyond: FlowKey, alias: &Alias) {
        let Some(number) = flows.find(beyond.hash(&self.seed), &beyond) else { return };
        let mut part = flows.remove(number);
        self.held -= part.flow.total();
        let facts = mem::take(&mut self.facts[number]);
        if alias.flipped {
            part.flow.flip();
            part.more.flip();
        }
        part.flow.key = alias.key;
        part.flow.hash = alias.key.hash(&self.seed);
        let joined = flows.find(part.flow.hash, &alias.key).unwrap_or_else(|| {
            let joined = self.begin(flows, &part.flow, 0);
            let begun = &mut self.facts[joined];
            // What was counted before the last interval is not of this one.
            (begun.pace, begun.paced, begun.counted) = (facts.pace, facts.paced, facts.counted);
            joined
        });
        self.note_active(joined);
        let before = flows.get(joined).initiator;
        let whole = &mut self.facts[joined];
        flows.get_mut(joined).learn(&part.flow, whole.strands.iter().next().is_none());
        whole.strands.adopt(facts.strands, alias.flipped);
        (whole.nat, whole.translated_by) = (Some(Box::new(alias.translated)), alias.initiator);
        let flow = flows.get_mut(joined);
        let told = facts.answer.and_then(|answer| alias.still_true(flow, true, answer));
        whole.answer = whole.answer.take().or(told);
        self.held -= flow.total();
        flow.count(|side| whole.strands.sent(side));
        self.held += flow.total();
        flows.absorb_more(joined, before, part.more, part.flow.initiator);
    }

    /// Forgets translations that ended some time ago, unless a table still counts what passed them: it will have to be
    /// told whose that was.
    pub(crate) fn forget(&mut self, flows: &FlowStore, now: Timestamp) {
        while let Some((at, beyond)) = self.forgotten.front().copied()
            && now.0.saturating_sub(at.0) > AFTERLIFE
        {
            self.forgotten.pop_front();
            let Some(alias) = self.aliases.get(&beyond).filter(|alias| alias.ended == Some(at)) else {
                continue;
            };
            let number = flows.find(alias.key.hash(&self.seed), &alias.key);
            let counted = number.and_then(|n| self.facts(n)).is_some_and(|f| f.strands.is_translated());
            if !counted {
                let key = alias.key;
                self.aliases.remove(&beyond);
                self.forget_original(&key, &beyond);
            } else if let Some(alias) = self.aliases.get_mut(&beyond) {
                alias.ended = Some(now);
                self.forgotten.push_back((now, beyond));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::key::Seed;

    /// Connection `n` of a host behind a translation.
    fn translation(n: u16) -> Translation {
        let end = |last: u8, port| Endpoint { addr: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), port };
        let original = FiveTuple { src: end(1, n), dst: end(9, 443), protocol: 6 };
        Translation { original, translated: FiveTuple { src: end(2, n), ..original }, ended: false }
    }

    #[test]
    fn translations_whose_end_was_lost_make_room() {
        let seed = Seed::default();
        let (mut flows, mut live) = (FlowStore::default(), LiveFlows::new(seed));
        live.most_translations = 100;
        let second = 1_000_000_000;
        for n in 0..100 {
            live.translate(&mut flows, &translation(n), Timestamp(0));
        }
        // One of them has a flow.
        let (key, side) = FlowKey::of_tuple(&translation(50).original);
        let kept = flows.insert(Flow::new(key, key.hash(&seed), Timestamp(0), side));
        live.translate(&mut flows, &translation(100), Timestamp(40 * second));
        let known =
            |live: &LiveFlows, n| live.aliases.contains_key(&FlowKey::of_tuple(&translation(n).translated).0);
        assert_eq!((known(&live, 100), known(&live, 50), known(&live, 7)), (true, true, false));
        // Those are as good as the first: but all of them are looked at only now and then.
        for n in 101..1000 {
            live.translate(&mut flows, &translation(n), Timestamp(41 * second));
        }
        assert_eq!((live.aliases.len(), known(&live, 198), known(&live, 199)), (100, true, false));
        live.translate(&mut flows, &translation(999), Timestamp(60 * second));
        assert_eq!((live.aliases.len(), known(&live, 999)), (100, false), "their packets may yet come");
        live.translate(&mut flows, &translation(999), Timestamp(90 * second));
        assert_eq!((live.aliases.len(), known(&live, 50), known(&live, 999)), (2, true, true));
        assert!(flows.open(kept).is_some());
    }
}
