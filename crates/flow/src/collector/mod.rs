//! Merges the deltas of all tables, closes the ledger, freezes snapshots. Owned by one thread.

mod account;
mod freeze;
mod names;
mod resolvers;

use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;
use std::iter::repeat;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use dissect::Timestamp;
use dissect::app::{App, End};
use hashbrown::HashSet;

use self::account::Shares;
pub(crate) use self::resolvers::Resolvers;
use crate::attribution::{Answer, Change, Question};
use crate::closed::{Closed, Over};
use crate::delta::Delta;
use crate::dns::{DnsEvent, DnsTotals};
use crate::encrypted::Encrypted;
use crate::expiry::Timeouts;
use crate::flow::{Counters, Flow};
use crate::group::GroupBy;
use crate::key::Seed;
use crate::ledger::{CaptureRecord, InterfaceId, InterfaceName, Readings};
use crate::live::{Changed, Facts, LiveFlows, Ticket, Translation};
use crate::lookup::LookupDelta;
use crate::name::{Cause, NamedBy, Names};
use crate::neighbours::Neighbours;
use crate::opening::NameEvent;
use crate::pace::Rate;
use crate::path::Place;
use crate::rank::SortKey;
use crate::record::{FlowRecord, TunnelHeader};
use crate::select::Selection;
use crate::snapshot::Event;
use crate::sockets::{ProcessSockets, Sockets};
use crate::store::{FlowParts, FlowStore};
use crate::totals::Totals;

/// How long a flow that is over stays open, in nanoseconds: longer than the tables are apart in telling.
const LINGER: i64 = 500_000_000;
/// Flows that linger at most: in a flood the oldest are closed sooner.
const MAX_LINGERING: usize = 4096;

/// Flows that are read ahead together: about as many cache misses as a core can wait for at once.
const AHEAD: usize = 16;

/// What views want of snapshots.
#[derive(Clone, Debug)]
pub struct Config {
    /// Rows at most.
    pub rows: usize,
    /// Their order.
    pub sort: SortKey,
    /// Which flows are shown.
    pub selection: Selection,
    /// What to group by, if at all.
    pub group: Option<GroupBy>,
    /// DNS answers at most.
    pub dns_lines: usize,
    /// Whether some view takes events.
    pub events: bool,
    /// For a live capture.
    pub live: Option<LiveConfig>,
}

/// What a collector of a live capture must know.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// Seed of the hash of every table.
    pub seed: Seed,
    /// When capturing began.
    pub started: Timestamp,
    /// Addresses of this host when capturing began: whichever of them asks for a name asks for all.
    pub own: Vec<IpAddr>,
    /// What owners are learned from.
    pub owners_from: &'static str,
    /// When the tables end flows.
    pub timeouts: Timeouts,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            rows: 20,
            sort: SortKey::default(),
            selection: Selection::default(),
            group: None,
            dns_lines: 5,
            events: false,
            live: None,
        }
    }
}

/// Merges the deltas of all tables.
#[derive(Debug)]
pub struct Collector {
    config: Config,
    flows: FlowStore,
    totals: Totals,
    interfaces: Vec<InterfaceName>,
    captures: Vec<CaptureRecord>,
    names: Names,
    neighbours: Neighbours,
    recent: VecDeque<DnsEvent>,
    dns_totals: DnsTotals,
    closed: Closed,
    live: Option<Live>,
    events: Vec<Event>,
}

/// What a collector keeps of a live capture only.
#[derive(Debug)]
struct Live {
    config: LiveConfig,
    flows: LiveFlows,
    /// By interface: its number in the system.
    ifindexes: Vec<u32>,
    /// By interface: what flows that are over were.
    shares: Vec<Shares>,
    /// Why it is not known whose those were: how many.
    reasons: BTreeMap<&'static str, u64>,
    kernel: BTreeMap<InterfaceId, Readings>,
    /// Interfaces that are gone for good: one that comes again has another number.
    gone: HashSet<InterfaceId>,
    dropped: u64,
    /// Flows that are over by what was told since somebody asked, and those that were at such times before.
    over: Vec<u32>,
    lingering: VecDeque<(Timestamp, Vec<u32>)>,
    /// When the pace was last taken, and what stood then.
    ticked: (Timestamp, Counters),
    /// The last interval, in nanoseconds.
    interval: i64,
    now: Rate,
    peak: Rate,
    /// Where the kernel counts at sockets.
    sockets: Option<Sockets>,
}

impl Collector {
    /// An empty collector.
    pub fn new(config: Config) -> Self {
        let live = config.live.clone().map(|config| Live {
            flows: LiveFlows::new(config.seed),
            ifindexes: Vec::new(),
            shares: Vec::new(),
            reasons: BTreeMap::new(),
            kernel: BTreeMap::new(),
            gone: HashSet::new(),
            dropped: 0,
            over: Vec::new(),
            lingering: VecDeque::new(),
            ticked: (config.started, Counters::default()),
            interval: 0,
            now: Rate::default(),
            peak: Rate::default(),
            sockets: None,
            config,
        });
        Collector {
            flows: FlowStore::default(),
            totals: Totals::default(),
            interfaces: Vec::new(),
            captures: Vec::new(),
            names: Names::default(),
            neighbours: Neighbours::default(),
            recent: VecDeque::new(),
            dns_totals: DnsTotals::default(),
            closed: Closed::new(if live.is_some() { config.rows } else { 0 }),
            live,
            events: Vec::new(),
            config,
        }
    }

    /// Says how the next interface of the run is called.
    pub fn add_interface(&mut self, name: InterfaceName) {
        self.interfaces.push(name);
    }

    /// The same of a live interface, with its number in the system.
    pub fn add_live_interface(&mut self, name: InterfaceName, ifindex: u32) {
        self.add_interface(name);
        if let Some(live) = &mut self.live {
            live.ifindexes.push(ifindex);
        }
    }

    /// An interface is called otherwise now.
    pub fn rename_interface(&mut self, id: InterfaceId, name: &str) {
        if let Some(interface) = self.interfaces.get_mut(usize::from(id.0)) {
            interface.name = Some(name.into());
        }
    }

    /// Gives an address a name that holds for all time, for where no lookup names it: from the hosts file, a name record of
    /// a capture, or a reverse lookup. Gives the address of which the name had to make room, if one had to: it is to be looked
    /// up again where it is met.
    pub fn give_name(&mut self, addr: IpAddr, name: &str, by: NamedBy) -> Option<IpAddr> {
        self.names.give(addr, name, by)
    }

    /// An address that the host had where a capture was made, by its own account: it tells which way flows go.
    pub fn give_own(&mut self, addr: IpAddr) {
        if !addr.is_unspecified() {
            self.config.selection.told.insert(addr);
        }
    }

    /// What an interface itself has counted since the start; `None` once it is gone.
    pub fn set_kernel(&mut self, id: InterfaceId, counted: Option<Readings>) {
        let Some(live) = &mut self.live else { return };
        match counted {
            Some(counted) => drop(live.kernel.insert(id, counted)),
            None => drop(live.kernel.remove(&id)),
        }
    }

    /// An interface is gone, and nothing more will be counted there once the tables have told what they have.
    pub fn lose_interface(&mut self, id: InterfaceId) {
        if let Some(live) = &mut self.live {
            live.kernel.remove(&id);
            live.gone.insert(id);
        }
    }

    /// Packets that the rings had no room for since the start.
    pub fn set_dropped(&mut self, packets: u64) {
        if let Some(live) = &mut self.live {
            live.dropped = packets;
        }
    }

    /// Says that the kernel counts at sockets: [`Self::tell_sockets`] follows.
    pub fn expect_sockets(&mut self) {
        if let Some(live) = &mut self.live {
            live.sockets = Some(Sockets::default());
        }
    }

    /// Takes what processes' sockets have done by now, of those that did anything since the last call.
    pub fn tell_sockets(&mut self, told: impl IntoIterator<Item = ProcessSockets>) {
        if let Some(sockets) = self.live.as_mut().and_then(|live| live.sockets.as_mut()) {
            told.into_iter().for_each(|told| sockets.take(told));
        }
    }

    /// Takes what owners are to be asked for.
    pub fn take_questions(&mut self) -> Vec<(Ticket, Question)> {
        self.live.as_mut().map(|live| live.flows.take_questions().into()).unwrap_or_default()
    }

    /// Takes an answer.
    pub fn answer(&mut self, ticket: Ticket, answer: Answer) {
        if let Some(live) = &mut self.live {
            live.flows.answer(&self.flows, ticket, answer);
        }
    }

    /// Takes note of another owner: the flow goes on as his, or ends and another one begins.
    pub fn change(&mut self, change: &Change, now: Timestamp) {
        let Some(live) = &mut self.live else { return };
        if let Changed::Over(number) = live.flows.change(&self.flows, change, now) {
            self.close_live(number);
        }
    }

    /// Takes note of a translation of addresses.
    pub fn translate(&mut self, translation: &Translation, now: Timestamp) {
        if let Some(live) = &mut self.live {
            live.flows.translate(&mut self.flows, translation, now);
        }
    }

    /// Adds what a table counted.
    pub fn absorb(&mut self, delta: Delta) {
        self.totals.absorb(delta.totals);
        if self.live.is_some() {
            self.absorb_live(delta.ended, delta.evicted, delta.changed, delta.flows.parts());
        } else {
            // What was evicted comes first: the same five-tuple may have begun anew since.
            delta.evicted.into_iter().for_each(|part| self.close_evicted(part));
            for part in delta.changed {
                self.flows.merge(part);
            }
            if self.flows.len() == 0 {
                self.flows = delta.flows;
            } else {
                self.flows.absorb(&delta.flows);
            }
        }
        // After the flows: a message is told with the owner of its own.
        self.absorb_lookups(delta.lookups);
        self.absorb_names(delta.names);
        delta.neighbours.into_iter().for_each(|(addr, mac)| self.neighbours.learn(addr, mac));
        self.neighbours.fresh.clear();
        for capture in delta.captures {
            if self.config.events {
                self.events.push(Event::Capture(capture.clone()));
            }
            self.captures.push(capture);
        }
    }

    fn absorb_lookups(&mut self, lookups: LookupDelta) {
        self.dns_totals += lookups.totals;
        for naming in lookups.namings {
            self.names.learn(naming);
        }
        lookups.askers.into_iter().for_each(|asker| self.names.learn_asker(asker));
        let selection = &self.config.selection;
        self.recent
            .extend(lookups.recent.into_iter().filter(|event| !selection.is_own_message(&event.tuple)));
        // Of several tables' answers, the latest; in order, whichever table told first.
        self.recent.make_contiguous().sort_by_key(|event| (event.timestamp, event.frame));
        let surplus = self.recent.len().saturating_sub(self.config.dns_lines);
        self.recent.drain(..surplus);
        match &mut self.live {
            Some(live) => {
                for event in lookups.events {
                    let own_lookup = selection.is_own_message(&event.tuple);
                    live.flows.keep_message(DnsEvent { own_lookup, ..event });
                }
            }
            None => self.events.extend(lookups.events.into_iter().map(Event::Dns)),
        }
    }

    /// Live, a name passes as many interfaces as its flow does, and is told once, wherever its addresses are translated.
    fn absorb_names(&mut self, names: Vec<NameEvent>) {
        if !self.config.events {
            return;
        }
        match &mut self.live {
            Some(live) => names.into_iter().for_each(|event| live.flows.keep_name(event)),
            None => self.events.extend(names.into_iter().map(Event::Name)),
        }
    }

    fn add_live(&mut self, part: FlowParts) -> Option<(u32, Place)> {
        // What begins where another flow of the same five-tuple has ended, and that on all interfaces, is another one.
        if part.flow.total().packets > 0
            && self.live.as_ref().is_some_and(|live| !live.over.is_empty() || !live.lingering.is_empty())
            && let Some((number, place)) = self.find_live(&part)
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
    fn absorb_live(
        &mut self,
        ended: Vec<FlowParts>,
        evicted: Vec<FlowParts>,
        changed: Vec<FlowParts>,
        last: impl Iterator<Item = FlowParts>,
    ) {
        let mut ends: Vec<((u32, Place), bool)> = Vec::new();
        let ended = ended.into_iter().zip(repeat(false));
        for (part, evicted) in ended.chain(evicted.into_iter().zip(repeat(true))) {
            ends.extend(self.add_live(part).zip(Some(evicted)));
        }
        let places: HashSet<(u32, Place)> = ends.iter().map(|(end, _)| *end).collect();
        let mut anew = Vec::new();
        let mut add = |collector: &mut Self, part| {
            if !places.is_empty() && collector.find_live(&part).is_some_and(|found| places.contains(&found)) {
                anew.push(part);
            } else {
                collector.add_live(part);
            }
        };
        let mut changed = changed.into_iter();
        while !changed.as_slice().is_empty() {
            let next = changed.as_slice().get(..AHEAD).unwrap_or(changed.as_slice());
            self.read_ahead(next);
            changed.by_ref().take(AHEAD).for_each(|part| add(self, part));
        }
        last.for_each(|part| add(self, part));
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
        for part in anew {
            self.add_live(part);
        }
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

    fn close_live(&mut self, number: u32) {
        let Some(live) = &mut self.live else { return };
        let (whole, facts) = live.flows.take(&mut self.flows, number);
        self.close(&whole, Some(&facts), facts.evicted);
    }

    /// A flow that the table had no room for: its account is closed here.
    fn close_evicted(&mut self, part: FlowParts) {
        let number = self.flows.merge(part);
        let whole = self.flows.remove(number);
        self.close(&whole, None, true);
    }

    /// A flow is over.
    fn close(&mut self, whole: &FlowParts, facts: Option<&Facts>, evicted: bool) {
        let flow = &whole.flow;
        let sum = flow.total();
        let shown = self.config.selection.shows(flow, facts.and_then(|f| f.answer.as_ref()));
        let strands = self.share(facts);
        if let Some(sockets) = self.live.as_mut().and_then(|live| live.sockets.as_mut()) {
            sockets.closed.add(facts.and_then(|facts| facts.answer.as_ref()), sum);
        }
        self.closed.counted += strands.unwrap_or(sum);
        self.closed.count(sum, shown, flow.first, flow.last);
        if evicted {
            self.closed.evicted.0 += 1;
            self.closed.evicted.1 += sum;
        }
        if shown && let Some(by) = self.config.group {
            let (key, one) = self.group_of_one(by, flow, whole.app(), facts);
            self.closed.add_to_group(key, one);
        }
        let app = whole.app().map(|app| &**app);
        if shown && let Some(dns) = whole.encrypted().and_then(|encrypted| encrypted.record(flow, app)) {
            self.closed.resolvers.add(flow, dns);
        }
        let place = self.config.sort.place(flow, facts.map(|facts| facts.rate(self.intervals())));
        let ranks = shown && !evicted && self.closed.rows.takes(&place);
        if self.config.events || ranks {
            let mut record = self.record(flow, whole.tunnels(), whole.app(), facts);
            Self::add_encrypted(&mut record, whole.encrypted(), flow);
            if ranks {
                let intervals = self.intervals();
                self.closed.rows.offer(place, Over { record: record.clone(), intervals });
            }
            if self.config.events {
                self.events.push(Event::Flow(record));
            }
        }
    }

    /// Takes what views are to be told since the last call. Live, messages wait for who asked, but not beyond `now` for
    /// long; `None` lets all of them go.
    pub fn take_events(&mut self, now: Option<Timestamp>) -> Vec<Event> {
        if let Some(live) = &mut self.live {
            let ready = live.flows.take_messages(&self.flows, now);
            self.events.extend(ready.into_iter().map(Event::Dns));
            self.events.extend(live.flows.take_names(now).into_iter().map(Event::Name));
            if let Some(now) = now {
                live.flows.forget(&self.flows, now);
            }
        }
        mem::take(&mut self.events)
    }

    /// Ends every flow: gives their records to `each` in groups, in the order of their first packets.
    pub fn end_flows(&self, mut each: impl FnMut(Vec<Event>)) {
        const AT_ONCE: usize = 2048;
        let mut order: Vec<(u32, &Flow)> = self.flows.numbered().collect();
        order.sort_unstable_by_key(|(_, f)| (f.first, f.key));
        for flows in order.chunks(AT_ONCE) {
            each(flows.iter().map(|&(n, f)| Event::Flow(self.record_of(n, f))).collect());
        }
    }

    /// How many intervals of a live capture have ended.
    fn intervals(&self) -> usize {
        self.live.as_ref().map_or(0, |live| live.flows.intervals)
    }

    fn facts(&self, number: u32) -> Option<&Facts> {
        self.live.as_ref()?.flows.facts(number)
    }

    fn interface_name(&self, id: InterfaceId) -> Option<Arc<str>> {
        self.interfaces.get(usize::from(id.0))?.name.clone()
    }

    /// One open flow with all its facts.
    fn record_of(&self, number: u32, flow: &Flow) -> FlowRecord {
        let mut record =
            self.record(flow, self.flows.tunnels(flow), self.flows.app(flow), self.facts(number));
        Self::add_encrypted(&mut record, self.flows.encrypted(flow), flow);
        record
    }

    fn add_encrypted(record: &mut FlowRecord, encrypted: Option<&Encrypted>, flow: &Flow) {
        record.encrypted_dns = encrypted.and_then(|encrypted| encrypted.record(flow, record.app.as_deref()));
        if record.encrypted_dns.is_some() && record.cause == Cause::NoneSeen {
            record.cause = Cause::Unknown;
        }
    }

    fn record(
        &self,
        flow: &Flow,
        tunnels: &[TunnelHeader],
        app: Option<&Arc<App>>,
        facts: Option<&Facts>,
    ) -> FlowRecord {
        let mut record = FlowRecord::of(flow, tunnels, app);
        let answer = facts.and_then(|facts| facts.answer.as_ref());
        record.direction = self.config.selection.direction(flow, answer);
        record.own_lookup = self.config.selection.is_own_lookup(flow);
        record.interface = self.interface_name(InterfaceId(flow.interface));
        record.source_name = self.called(End::Initiator, flow, app, answer);
        record.destination_name = self.called(End::Responder, flow, app, answer);
        record.cause = self.cause(&record, flow, answer);
        // Inside of a tunnel, others may have the addresses of this link.
        if tunnels.is_empty() {
            record.source_mac = self.neighbours.of(record.source.addr);
            record.destination_mac = self.neighbours.of(record.destination.addr);
        }
        if let Some(facts) = facts {
            record.owner.clone_from(&facts.answer);
            // One that went and came back is two, of one name.
            for name in facts.strands.interfaces().into_iter().filter_map(|id| self.interface_name(id)) {
                if !record.path.contains(&name) {
                    record.path.push(name);
                }
            }
            record.nat = facts.nat.map(|(from, to)| if facts.turned(flow) { (to, from) } else { (from, to) });
            record.pace = Some(facts.pace(self.intervals()));
        }
        record
    }
}
