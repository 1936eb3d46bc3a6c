//! What only flows of a live capture have: their ways, owners, translations and pace.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;

use dissect::{Endpoint, FiveTuple, Timestamp};
use hashbrown::{HashMap, HashSet};

use crate::arena::Arena;
use crate::attribution::{Answer, Change, End, Protocol, Question, Reason};
use crate::dns::DnsEvent;
use crate::flow::{Counters, Flow};
use crate::key::{FlowKey, Seed, Side};
use crate::ledger::InterfaceId;
use crate::opening::NameEvent;
use crate::owner::Owner;
use crate::pace::Pace;
use crate::path::{Place, Strands};
use crate::store::{FlowParts, FlowStore};

/// Flows of which facts stand in one piece of memory: enough for large pages, …
const FACTS: usize = 1 << 15;
/// … and so many in what is there beforehand: to clear large pages takes longer.
const SOME_FACTS: usize = 12 << 10;
/// Questions that wait to be asked; beyond, flows are not asked about.
const MAX_QUESTIONS: usize = 65_536;
/// Pairs of flow and name of which it is known that they were told.
const MAX_NAMED: usize = 65_536;
/// Questions that are asked again at once.
const MAX_AGAIN: usize = 1024;
/// Translations that are known at once; beyond, those that ended or have no flow are forgotten, and then no further ones
/// are learned.
const MAX_TRANSLATIONS: usize = 262_144;
/// So often translations are looked at for those without a flow, at most: in nanoseconds.
const IDLE_LOOK: u64 = 10_000_000_000;
/// A translation is remembered so long after the kernel forgot it: packets of it may not have been counted yet.
const AFTERLIFE: i64 = 30_000_000_000;
/// Five-tuples that are another process's now, at most.
const MAX_ANEW: usize = 65_536;
/// So long a DNS message waits for the process that asked, in nanoseconds …
const DNS_PATIENCE: i64 = 2_000_000_000;
/// Nanoseconds that a name waits for the translation that its flow may have passed.
const NAME_PATIENCE: u64 = 500_000_000;
/// … unless so many wait.
const MAX_MESSAGES: usize = 16_384;

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

/// What an answer is given for.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    key: FlowKey,
    first: Timestamp,
    /// The flow's number, as long as that is not another's.
    number: u32,
}

/// What is known of one flow besides its counters.
///
/// What is asked of every flow at each report comes first: of many flows, each cache line is a miss.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Facts {
    /// IP bytes when its pace was last taken.
    counted: u64,
    pub(crate) answer: Option<Answer>,
    pub(crate) strands: Strands,
    translated_by: Side,
    /// Among those that have counted anything since the last interval.
    is_active: bool,
    /// The table that ended it last had no room for it.
    pub(crate) evicted: bool,
    /// Its five-tuple beyond a translation, as the initiator of that has it.
    pub(crate) nat: Option<(Endpoint, Endpoint)>,
    /// The interval in which it was last put down: those without packets are left out.
    paced: usize,
    pace: Pace,
}

// Cache lines: what each report asks is in the first two.
const _: () = assert!(size_of::<Facts>() == 384);

impl Facts {
    /// Whether `flow` runs against the translation's own direction.
    pub(crate) fn turned(&self, flow: &Flow) -> bool {
        self.translated_by != flow.initiator
    }

    /// Reads ahead what the account of every report asks.
    pub(crate) fn warm(&self) -> u64 {
        self.counted ^ self.strands.warm()
    }

    /// Its pace after so many intervals of the capture.
    pub(crate) fn pace(&self, intervals: usize) -> Pace {
        let mut pace = self.pace;
        pace.skip(intervals.saturating_sub(self.paced));
        pace
    }

    /// IP bytes a second over the last of so many intervals of the capture.
    pub(crate) fn rate(&self, intervals: usize) -> f64 {
        if self.paced < intervals { 0.0 } else { self.pace.now }
    }

    /// Puts down what was counted in the interval of that number.
    fn take_pace(&mut self, interval: usize, fresh: u64, seconds: f64) {
        self.pace.skip(interval.saturating_sub(self.paced + 1));
        self.pace.take(fresh, seconds);
        self.paced = interval;
    }

    /// Closes the account of a flow that is over.
    fn close(&mut self, intervals: usize, flow: &Flow) {
        self.pace = self.pace(intervals);
        self.paced = intervals;
        self.pace.close(flow.total().ip_bytes.saturating_sub(self.counted));
    }
}

/// Where the packets of a translated five-tuple belong.
#[derive(Clone, Copy, Debug)]
struct Alias {
    key: FlowKey,
    /// Low and high are exchanged.
    flipped: bool,
    /// The side that the translation's initiator has in the original's key.
    initiator: Side,
    translated: (Endpoint, Endpoint),
    /// When it was last told.
    told: Timestamp,
    /// When the kernel forgot it.
    ended: Option<Timestamp>,
}

/// The flows of a live capture, beside their store.
#[derive(Debug)]
pub(crate) struct LiveFlows {
    facts: Arena<Facts, FACTS, SOME_FACTS>,
    /// How often their pace was taken.
    pub(crate) intervals: usize,
    /// Those that have counted anything since, by number.
    active: Vec<u32>,
    seed: Seed,
    aliases: HashMap<FlowKey, Alias>,
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
            intervals: 0,
            active: Vec::new(),
            seed,
            aliases: HashMap::default(),
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

    /// Reads ahead what [`Self::add`] will change, and `part`, which another processor has written: of many flows at once, so
    /// that their cache misses overlap.
    pub(crate) fn warm(&self, flows: &FlowStore, part: &FlowParts) -> u64 {
        let number = flows.guess(part.flow.key.anywhere().hash(&self.seed));
        flows.warm(number)
            ^ self.facts(number).map_or(0, Facts::warm)
            ^ part.flow.warm_whole()
            ^ part.prints.warm()
    }

    /// Adds what a table counted of a flow on one interface; gives the flow's number, and where it was counted. `None`
    /// if there was nothing to add, to a flow that is gone.
    pub(crate) fn add(
        &mut self,
        flows: &mut FlowStore,
        part: FlowParts,
        ifindex: u32,
    ) -> Option<(u32, Place)> {
        let FlowParts { mut flow, mut more, mut prints } = part;
        let interface = InterfaceId(flow.interface);
        let mut key = flow.key.anywhere();
        let alias = self.aliases.get(&key).copied();
        if let Some(alias) = alias {
            key = alias.key;
            if alias.flipped {
                flow.flip();
                more.flip();
                prints = prints.flipped();
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
            None => self.begin(flows, &flow, ifindex),
        };
        self.note_active(number);
        let facts = &mut self.facts[number];
        if let Some(alias) = alias {
            (facts.nat, facts.translated_by) = (Some(alias.translated), alias.initiator);
        }
        let whole = flows.get_mut(number);
        let before = whole.initiator;
        whole.learn(&flow, facts.strands.begin_at(place));
        facts.strands.add(place, &flow, &prints);
        whole.count(|side| facts.strands.sent(side));
        flows.absorb_more(number, before, more, flow.initiator);
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
            let ticket = Ticket { key: part.key, first: part.first, number };
            self.questions.push_back((ticket, question(&flow, ifindex)));
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

    /// Takes what is to be asked.
    pub(crate) fn take_questions(&mut self) -> VecDeque<(Ticket, Question)> {
        mem::take(&mut self.questions)
    }

    /// Takes an answer; one for a flow that is gone is dropped.
    pub(crate) fn answer(&mut self, flows: &FlowStore, ticket: Ticket, answer: Answer) {
        let alias = self.aliases.get(&ticket.key);
        let key = alias.map_or(ticket.key, |alias| alias.key);
        let is_there = flows.open(ticket.number).is_some_and(|flow| flow.key == key);
        let number = Some(ticket.number).filter(|_| is_there);
        let Some(number) = number.or_else(|| flows.find(key.hash(&self.seed), &key)) else { return };
        let Some(facts) = self.facts.get_mut(number) else { return };
        // The same five-tuple may have been another flow's when the question was asked: that one began earlier.
        let same = flows.get(number).first <= ticket.first;
        // Beyond a translation nobody has a socket: that says nothing, unless somebody has.
        let better = match &facts.answer {
            Some(known) => known.owner().is_none() && (alias.is_none() || answer.owner().is_some()),
            None => true,
        };
        if same && better {
            facts.answer = Some(refused_here(flows.get(number), answer));
        }
    }

    /// Takes note of a new owner of a flow whose owner was known.
    pub(crate) fn change(&mut self, flows: &FlowStore, change: &Change, now: Timestamp) -> Changed {
        let end = |at: SocketAddr| Endpoint { addr: at.ip(), port: at.port() };
        let tuple = FiveTuple { src: end(change.own), dst: end(change.other), protocol: change.protocol.0 };
        let (key, side) = FlowKey::of_tuple(&tuple);
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
        self.aliases.insert(beyond, alias);
        self.rejoin(flows, beyond, &alias);
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
    }

    /// Packets beyond a translation were counted before it was known: they join the original's flow.
    fn rejoin(&mut self, flows: &mut FlowStore, beyond: FlowKey, alias: &Alias) {
        let Some(number) = flows.find(beyond.hash(&self.seed), &beyond) else { return };
        let mut part = flows.remove(number);
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
        (whole.nat, whole.translated_by) = (Some(alias.translated), alias.initiator);
        whole.answer = whole.answer.take().or(facts.answer);
        flows.get_mut(joined).count(|side| whole.strands.sent(side));
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
                self.aliases.remove(&beyond);
            } else if let Some(alias) = self.aliases.get_mut(&beyond) {
                alias.ended = Some(now);
                self.forgotten.push_back((now, beyond));
            }
        }
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
        let mut facts = self.facts.get_mut(number).map(mem::take).unwrap_or_default();
        facts.close(self.intervals, &whole.flow);
        (whole, facts)
    }

    /// Takes the pace of every flow over an interval of `seconds` in which it counted anything.
    ///
    /// Asks again for flows that go on and that nobody had the time to look up: some of them at each call.
    pub(crate) fn take_pace(&mut self, flows: &FlowStore, seconds: f64) {
        self.intervals += 1;
        for number in mem::take(&mut self.active) {
            let (Some(flow), Some(facts)) = (flows.open(number), self.facts.get_mut(number)) else {
                continue;
            };
            // The flow that had this number may have ended meanwhile, and another have taken its place on the list, too.
            if !mem::take(&mut facts.is_active) {
                continue;
            }
            let total = flow.total();
            let fresh = total.ip_bytes.saturating_sub(mem::replace(&mut facts.counted, total.ip_bytes));
            facts.take_pace(self.intervals, fresh, seconds);
            let deferred = matches!(facts.answer, Some(Answer::None(Reason::Deferred)));
            if deferred && fresh > 0 && self.questions.len() < MAX_AGAIN {
                let ticket = Ticket { key: flow.key, first: flow.first, number };
                self.questions.push_back((ticket, question(flow, 0)));
            }
        }
    }

    /// The process at the end of a flow that is on this host.
    pub(crate) fn owner(&self, flows: &FlowStore, tuple: &FiveTuple) -> Option<&Answer> {
        let (key, _) = FlowKey::of_tuple(tuple);
        let key = self.aliases.get(&key).map_or(key, |alias| alias.key);
        let number = flows.find(key.hash(&self.seed), &key)?;
        self.facts(number)?.answer.as_ref()
    }

    /// Keeps a name until it is known whether its flow was translated.
    pub(crate) fn keep_name(&mut self, event: NameEvent) {
        self.names.push_back(event);
    }

    /// Takes the names that are heard for the first time and have waited long enough by `now`, in order.
    pub(crate) fn take_names(&mut self, now: Option<Timestamp>) -> Vec<NameEvent> {
        let mut ready = Vec::new();
        while let Some(event) = self.names.front() {
            let waited = now.is_none_or(|now| now.0.abs_diff(event.timestamp.0) > NAME_PATIENCE);
            if !waited && self.names.len() <= MAX_NAMED {
                break;
            }
            let Some(event) = self.names.pop_front() else { break };
            if self.hears_first(&event) {
                ready.push(event);
            }
        }
        ready
    }

    /// Whether a flow's client is heard to ask for a name for the first time, on whatever interface. Beyond
    /// [`MAX_NAMED`], those before are forgotten.
    fn hears_first(&mut self, event: &NameEvent) -> bool {
        let (key, _) = FlowKey::of_tuple(&event.tuple);
        let key = self.aliases.get(&key).map_or(key, |alias| alias.key);
        if self.named.len() >= MAX_NAMED {
            self.named.clear();
        }
        let said = self.named.hasher().hash_one((key, event.source, &event.name));
        self.named.insert(said)
    }

    /// Keeps a message until it is known who asked.
    pub(crate) fn keep_message(&mut self, event: DnsEvent) {
        self.messages.push_back(event);
    }

    /// Takes the messages, in order, up to the first one that still has reason to wait at `now`.
    pub(crate) fn take_messages(&mut self, flows: &FlowStore, now: Option<Timestamp>) -> Vec<DnsEvent> {
        let mut ready = Vec::new();
        while let Some(event) = self.messages.front() {
            let answer = self.owner(flows, &event.tuple);
            // Clocks may be set back, and those of network cards may be wrong.
            let waited = now.is_none_or(|now| now.0.abs_diff(event.timestamp.0) > DNS_PATIENCE as u64);
            if answer.is_none() && !waited && self.messages.len() <= MAX_MESSAGES {
                break;
            }
            let owner = answer.and_then(Answer::owner).map(Arc::<Owner>::clone);
            let Some(event) = self.messages.pop_front() else { break };
            ready.push(DnsEvent { owner, ..event });
        }
        ready
    }
}

/// What is asked of a flow.
fn question(flow: &Flow, ifindex: u32) -> Question {
    let end = |side: Side| {
        let end = flow.key.endpoint(side);
        SocketAddr::new(end.addr, end.port)
    };
    Question {
        protocol: Protocol(flow.key.protocol()),
        source: end(flow.initiator),
        destination: end(flow.initiator.other()),
        namespace: None,
        interface: ifindex,
    }
}

/// A connection to a port that nobody listens on never had a socket: the kernel itself refused it.
fn refused_here(flow: &Flow, answer: Answer) -> Answer {
    let refused = flow.tcp().is_some_and(|tcp| tcp.state(flow.initiator) == "REJ");
    match answer {
        Answer::None(Reason::Ended) if refused && flow.knows_local(flow.initiator.other()) => {
            Answer::None(Reason::Kernel)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

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
