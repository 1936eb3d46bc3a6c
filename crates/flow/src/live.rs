//! What only flows of a live capture have: their ways, owners, translations and pace.

mod asked;
mod facts;
mod told;
mod translated;

use std::collections::VecDeque;
use std::hint::black_box;
use std::mem;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use dissect::{Endpoint, FiveTuple, Timestamp};
use hashbrown::{HashMap, HashSet};

use self::asked::MAX_QUESTIONS;
pub use self::asked::Ticket;
pub(crate) use self::facts::Facts;
pub use self::translated::Translation;
use self::translated::{Alias, MAX_TRANSLATIONS};
use crate::arena::Arena;
use crate::attribution::{Answer, Change, End, Question, Reason};
use crate::counters::Counters;
use crate::dns::DnsEvent;
use crate::flow::Flow;
use crate::key::{FlowKey, Seed};
use crate::ledger::InterfaceId;
use crate::opening::NameEvent;
use crate::path::Place;
use crate::store::{FlowParts, FlowStore};

/// Questions that are asked again at once.
const MAX_AGAIN: usize = 1024;
/// Five-tuples that are another process's now, at most.
const MAX_ANEW: usize = 65_536;

/// Flows that are read ahead together: about as many cache misses as a core can wait for at once.
pub(crate) const AHEAD: usize = 16;

/// The flows of a live capture, beside their store.
#[derive(Debug)]
pub(crate) struct LiveFlows {
    facts: Arena<Facts>,
    /// What all of them have held: to look at each at every report would take as long as all else there.
    pub(crate) held: Counters,
    /// How often their pace was taken.
    pub(crate) intervals: u32,
    /// Those that have counted anything since, by number.
    active: Vec<u32>,
    seed: Seed,
    aliases: HashMap<FlowKey, Alias>,
    /// What the five-tuples of originals are beyond.
    beyond: HashMap<FlowKey, FlowKey>,
    most_translations: usize,
    /// When they were last looked at for those without a flow.
    looked: Option<Timestamp>,
    forgotten: VecDeque<(Timestamp, FlowKey)>,
    questions: VecDeque<(Ticket, Question)>,
    messages: VecDeque<DnsEvent>,
    /// Names that wait to be told, as they were heard.
    names: VecDeque<NameEvent>,
    /// Hashes of flow and name of those that were told.
    named: HashSet<u64>,
    /// Since when a five-tuple is another process's, though tables still count one flow.
    anew: HashMap<FlowKey, Timestamp>,
}

/// What a change of owner asks for.
pub(crate) enum Changed {
    /// Nothing more.
    Done,
    /// This flow is over: what comes is another one's.
    Over(u32),
}

impl LiveFlows {
    pub(crate) fn new(seed: Seed) -> Self {
        LiveFlows {
            facts: Arena::default(),
            held: Counters::default(),
            intervals: 0,
            active: Vec::new(),
            seed,
            aliases: HashMap::default(),
            beyond: HashMap::default(),
            most_translations: MAX_TRANSLATIONS,
            looked: None,
            forgotten: VecDeque::new(),
            questions: VecDeque::new(),
            messages: VecDeque::new(),
            names: VecDeque::new(),
            named: HashSet::default(),
            anew: HashMap::default(),
        }
    }

    pub(crate) fn facts(&self, number: u32) -> Option<&Facts> {
        self.facts.get(number)
    }

    /// The number of a table's flow, if it is known, and where that was counted.
    pub(crate) fn find(&self, flows: &FlowStore, part: &Flow) -> (Option<u32>, Place) {
        let key = part.key.anywhere();
        let alias = self.aliases.get(&key);
        let key = alias.map_or(key, |alias| alias.key);
        let place = Place { interface: InterfaceId(part.interface), translated: alias.is_some() };
        (flows.find(key.hash(&self.seed), &key), place)
    }

    /// See [`Arena::next_room`].
    pub(crate) fn next_room(&mut self, count: usize) -> Option<Range<*const u8>> {
        self.facts.next_room(count)
    }

    /// Reads ahead what [`Self::add`] will change, and `part`, which another processor has written: of many flows at once, so
    /// that their cache misses overlap.
    pub(crate) fn warm(&self, flows: &FlowStore, part: &FlowParts) -> u64 {
        let number = flows.guess(part.flow.key.anywhere().hash(&self.seed));
        self.warm_number(flows, number) ^ part.flow.warm_whole() ^ part.prints.warm()
    }

    fn warm_number(&self, flows: &FlowStore, number: u32) -> u64 {
        flows.warm(number) ^ self.facts(number).map_or(0, Facts::warm)
    }

    /// Adds what a table counted of a flow on one interface, which `part` need not hold any more; gives the flow's number, and
    /// where it was counted. `None` if there was nothing to add, to a flow that is gone.
    pub(crate) fn add(
        &mut self,
        flows: &mut FlowStore,
        part: &mut FlowParts,
        ifindex: u32,
    ) -> Option<(u32, Place)> {
        let FlowParts { flow, more, prints } = part;
        let interface = InterfaceId(flow.interface);
        let mut key = flow.key.anywhere();
        let alias = self.aliases.get(&key).copied();
        if let Some(alias) = alias {
            key = alias.key;
            if alias.flipped {
                flow.flip();
                more.flip();
                *prints = prints.flipped();
            }
        }
        flow.key = key;
        flow.hash = key.hash(&self.seed);
        if let Some(since) = self.anew.get(&key) {
            (flow.first, flow.last) = (flow.first.max(*since), flow.last.max(*since));
        }
        let place = Place { interface, translated: alias.is_some() };
        let number = match flows.find(flow.hash, &key) {
            Some(number) => number,
            None if flow.packets == [0; 2] => return None,
            None => self.begin(flows, flow, ifindex),
        };
        self.note_active(number);
        let facts = &mut self.facts[number];
        if let Some(alias) = alias {
            (facts.nat, facts.translated_by) = (Some(Box::new(alias.translated)), alias.initiator);
        }
        let whole = flows.get_mut(number);
        let before = whole.initiator;
        whole.learn(flow, facts.strands.begin_at(place));
        facts.strands.add(place, flow, prints);
        self.held -= whole.total();
        whole.count(|side| facts.strands.sent(side));
        self.held += whole.total();
        flows.absorb_more(number, before, mem::take(more), flow.initiator);
        Some((number, place))
    }

    /// A flow that was not known: somebody is to be asked whose it is.
    fn begin(&mut self, flows: &mut FlowStore, part: &Flow, ifindex: u32) -> u32 {
        let mut flow = Flow::new(part.key, part.hash, part.first, part.initiator);
        (flow.interface, flow.icmp) = (part.interface, part.icmp);
        let number = flows.insert(flow);
        if let Some(facts) = self.facts.get_mut(number) {
            *facts = Facts::default();
        }
        while self.facts.len() <= number as usize {
            self.facts.push(Facts::default());
        }
        if self.questions.len() < MAX_QUESTIONS {
            self.ask(flows.get(number), number, ifindex);
        } else {
            self.facts[number].answer = Some(Answer::None(Reason::Deferred));
        }
        number
    }

    /// Notes that a flow counts something in this interval.
    fn note_active(&mut self, number: u32) {
        if !mem::replace(&mut self.facts[number].is_active, true) {
            self.active.push(number);
        }
    }

    /// Takes note of a new owner of a flow whose owner was known.
    pub(crate) fn change(&mut self, flows: &FlowStore, change: &Change, now: Timestamp) -> Changed {
        let end = |at: SocketAddr| Endpoint { addr: at.ip(), port: at.port() };
        let tuple = FiveTuple { src: end(change.own), dst: end(change.other), protocol: change.protocol.0 };
        let (key, side) = FlowKey::of_tuple(&tuple);
        let (key, side) = match self.aliases.get(&key) {
            Some(alias) if alias.flipped => (alias.key, side.other()),
            Some(alias) => (alias.key, side),
            None => (key, side),
        };
        let Some(number) = flows.find(key.hash(&self.seed), &key) else { return Changed::Done };
        let Some(facts) = self.facts.get_mut(number) else { return Changed::Done };
        let initiates = flows.get(number).initiator == side;
        let known = match &mut facts.answer {
            Some(Answer::Owner(known)) if (known.end == End::Source) == initiates => known,
            _ => return Changed::Done,
        };
        if (known.owner.pid, known.owner.start) == (change.owner.pid, change.owner.start) && change.another {
            return Changed::Done;
        }
        // A new connection begins a new flow by itself.
        if change.another && !change.protocol.is_stream() {
            if self.anew.len() >= MAX_ANEW {
                self.anew.clear();
            }
            self.anew.insert(key, now);
            return Changed::Over(number);
        }
        (known.owner, known.evidence) = (Arc::clone(&change.owner), change.evidence);
        Changed::Done
    }

    /// A table begins anew what has this key.
    pub(crate) fn end_key(&mut self, flows: &FlowStore, number: u32) {
        if let Some(flow) = flows.open(number).filter(|_| !self.anew.is_empty()) {
            self.anew.remove(&flow.key);
        }
    }

    /// Notes that a table counts a flow no more; gives whether none does.
    pub(crate) fn end(&mut self, number: u32, place: Place, evicted: bool) -> bool {
        let Some(facts) = self.facts.get_mut(number) else { return false };
        facts.strands.end(place);
        facts.evicted = evicted;
        facts.strands.are_over()
    }

    /// Puts together what a flow had on interfaces that are gone; gives what that was.
    pub(crate) fn fold(
        &mut self,
        number: u32,
        is_gone: impl Fn(InterfaceId) -> bool,
    ) -> Vec<(Place, Counters)> {
        self.facts.get_mut(number).map(|facts| facts.strands.fold(is_gone)).unwrap_or_default()
    }

    /// Whether there is a flow of this number, and no table counts it any more.
    pub(crate) fn is_over(&self, flows: &FlowStore, number: u32) -> bool {
        flows.open(number).is_some() && self.facts(number).is_some_and(|facts| facts.strands.are_over())
    }

    /// Whether that is so of a flow that was counted at `place`.
    pub(crate) fn has_ended(&self, flows: &FlowStore, number: u32, place: Place) -> bool {
        self.is_over(flows, number) && self.facts(number).is_some_and(|facts| facts.strands.has(place))
    }

    /// Takes a flow that is over out of `flows`, with its facts.
    pub(crate) fn take(&mut self, flows: &mut FlowStore, number: u32) -> (FlowParts, Facts) {
        let whole = flows.remove(number);
        self.held -= whole.flow.total();
        let mut facts = self.facts.get_mut(number).map(mem::take).unwrap_or_default();
        facts.close(self.intervals, &whole.flow);
        (whole, facts)
    }

    /// Takes the pace of every flow over an interval of `seconds` in which it counted anything.
    ///
    /// Asks again for flows that go on and that nobody had the time to look up: some of them at each call.
    pub(crate) fn take_pace(&mut self, flows: &FlowStore, seconds: f64) {
        self.intervals += 1;
        let mut active = mem::take(&mut self.active);
        for some in active.chunks(AHEAD) {
            black_box(some.iter().fold(0, |read, &number| read ^ self.warm_number(flows, number)));
            for &number in some {
                self.take_pace_of(flows, number, seconds);
            }
        }
        active.clear();
        self.active = active;
    }

    /// The same of one flow.
    fn take_pace_of(&mut self, flows: &FlowStore, number: u32, seconds: f64) {
        let (Some(flow), Some(facts)) = (flows.open(number), self.facts.get_mut(number)) else {
            return;
        };
        // The flow that had this number may have ended meanwhile, and another have taken its place on the list, too.
        if !mem::take(&mut facts.is_active) {
            return;
        }
        let total = flow.total();
        let fresh = total.ip_bytes.saturating_sub(mem::replace(&mut facts.counted, total.ip_bytes));
        facts.take_pace(self.intervals, fresh, seconds);
        let deferred = matches!(facts.answer, Some(Answer::None(Reason::Deferred)));
        if deferred && fresh > 0 && self.questions.len() < MAX_AGAIN {
            self.ask(flow, number, 0);
        }
    }

    /// The process at the end of a flow that is on this host.
    pub(crate) fn owner(&self, flows: &FlowStore, tuple: &FiveTuple) -> Option<&Answer> {
        let (key, _) = FlowKey::of_tuple(tuple);
        let key = self.aliases.get(&key).map_or(key, |alias| alias.key);
        let number = flows.find(key.hash(&self.seed), &key)?;
        self.facts(number)?.answer.as_ref()
    }
}
