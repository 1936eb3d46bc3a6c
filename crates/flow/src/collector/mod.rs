//! Merges the deltas of all tables, closes the ledger, freezes snapshots. Owned by one thread.

mod account;
mod config;
mod freeze;
mod live;
mod names;
mod records;
mod resolvers;

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::net::IpAddr;

use dissect::Timestamp;
use hashbrown::HashSet;

use self::account::Shares;
pub use self::config::{Config, LiveConfig};
pub(crate) use self::resolvers::Resolvers;
use crate::attribution::{Answer, Change, Question};
use crate::closed::{Closed, Over};
use crate::counters::Counters;
use crate::delta::Delta;
use crate::dns::{DnsEvent, DnsTotals};
use crate::flow::Flow;
use crate::ledger::{CaptureRecord, InterfaceId, InterfaceName, Readings};
use crate::live::{Changed, Facts, LiveFlows, Ticket, Translation};
use crate::lookup::LookupDelta;
use crate::name::{NamedBy, Names};
use crate::neighbours::Neighbours;
use crate::opening::NameEvent;
use crate::pace::Rate;
use crate::snapshot::Event;
use crate::sockets::{ProcessSockets, Sockets};
use crate::store::{FlowParts, FlowStore};
use crate::totals::Totals;

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
    /// When it was last looked for flows that no table counts any more.
    looked: Timestamp,
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
            looked: config.started,
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

    /// Nobody reads any more what the kernel counts at sockets: what is known of it by now would be taken for all.
    pub fn lose_sockets(&mut self) {
        if let Some(live) = &mut self.live {
            live.sockets = None;
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
            for part in delta.changed.into_pieces().flatten() {
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

    /// Whether events wait for what is not known yet.
    pub fn holds_events(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.flows.keeps_any())
    }

    /// Ends every flow: gives their records to `each` in groups, in the order of their first packets.
    pub fn end_flows(&self, mut each: impl FnMut(Vec<Event>)) {
        const AT_ONCE: usize = 256;
        let mut order: Vec<(u32, &Flow)> = self.flows.numbered().collect();
        order.sort_unstable_by_key(|(_, f)| (f.first, f.key));
        for flows in order.chunks(AT_ONCE) {
            each(flows.iter().map(|&(n, f)| Event::Flow(self.record_of(n, f))).collect());
        }
    }

    /// How many intervals of a live capture have ended.
    fn intervals(&self) -> u32 {
        self.live.as_ref().map_or(0, |live| live.flows.intervals)
    }

    fn facts(&self, number: u32) -> Option<&Facts> {
        self.live.as_ref()?.flows.facts(number)
    }
}
