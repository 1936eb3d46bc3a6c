//! Merges the deltas of all tables, closes the ledger, freezes snapshots. Owned by one thread.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::net::IpAddr;

use dissect::Timestamp;
use hashbrown::HashMap;

use crate::delta::Delta;
use crate::dns::{DnsEvent, DnsTotals};
use crate::flow::{Counters, Flow};
use crate::group::{Group, GroupBy, GroupKey};
use crate::ledger::{CaptureRecord, InterfaceId, InterfaceLedger, InterfaceName, Ledger};
use crate::lookup::LookupDelta;
use crate::name::Names;
use crate::rank::{SortKey, Top};
use crate::record::{FlowDirection, FlowRecord};
use crate::select::Selection;
use crate::snapshot::{Event, Snapshot};
use crate::store::{FlowParts, FlowStore};
use crate::totals::{InterfaceTotals, Totals};

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
    recent: VecDeque<DnsEvent>,
    dns_totals: DnsTotals,
    evicted: Counters,
    evicted_flows: u64,
    evicted_shown: (u64, Counters),
    evicted_span: Option<(Timestamp, Timestamp)>,
    events: Vec<Event>,
}

impl Collector {
    /// An empty collector.
    pub fn new(config: Config) -> Self {
        Collector {
            config,
            flows: FlowStore::default(),
            totals: Totals::default(),
            interfaces: Vec::new(),
            captures: Vec::new(),
            names: Names::default(),
            recent: VecDeque::new(),
            dns_totals: DnsTotals::default(),
            evicted: Counters::default(),
            evicted_flows: 0,
            evicted_shown: Default::default(),
            evicted_span: None,
            events: Vec::new(),
        }
    }

    /// Says how the next interface of the run is called.
    pub fn add_interface(&mut self, name: InterfaceName) {
        self.interfaces.push(name);
    }

    /// Gives an address a name that holds for all time, after what the capture itself says.
    pub fn give_name(&mut self, addr: IpAddr, name: &str) {
        self.names.give(addr, name);
    }

    /// Gives an address a name for where the captures have none.
    pub fn give_fallback(&mut self, addr: IpAddr, name: &str) {
        self.names.give_fallback(addr, name);
    }

    /// Adds what a table counted.
    pub fn absorb(&mut self, delta: Delta) {
        self.totals.absorb(delta.totals);
        self.absorb_lookups(delta.lookups);
        for parts in delta.changed {
            self.flows.merge(parts);
        }
        for parts in delta.evicted {
            self.note_evicted(parts);
        }
        if self.flows.len() == 0 {
            self.flows = delta.flows;
        } else {
            self.flows.absorb(&delta.flows);
        }
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
        self.recent.extend(lookups.recent);
        // Of several tables' answers, the latest; in order, whichever table told first.
        self.recent.make_contiguous().sort_by_key(|event| (event.timestamp, event.frame));
        let surplus = self.recent.len().saturating_sub(self.config.dns_lines);
        self.recent.drain(..surplus);
        self.events.extend(lookups.events.into_iter().map(Event::Dns));
    }

    /// A flow that the table had no room for: its account is closed here.
    fn note_evicted(&mut self, parts: FlowParts) {
        let number = self.flows.merge(parts);
        let whole = self.flows.remove(number);
        let flow = &whole.flow;
        self.evicted += flow.total();
        self.evicted_flows += 1;
        let (first, last) = self.evicted_span.unwrap_or((flow.first, flow.last));
        self.evicted_span = Some((first.min(flow.first), last.max(flow.last)));
        if self.config.selection.shows(flow) {
            self.evicted_shown.0 += 1;
            self.evicted_shown.1 += flow.total();
        }
        if self.config.events {
            let record = FlowRecord::of(flow, &whole.tunnels);
            let record = self.resolve(record, flow);
            self.events.push(Event::Flow(record));
        }
    }

    /// Takes what views are to be told since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        mem::take(&mut self.events)
    }

    /// Ends every flow: gives their records to `each` in groups, in the order of their first packets.
    pub fn end_flows(&self, mut each: impl FnMut(Vec<Event>)) {
        const AT_ONCE: usize = 2048;
        let mut order: Vec<&Flow> = self.flows.iter().collect();
        order.sort_unstable_by_key(|f| (f.first, f.key));
        for flows in order.chunks(AT_ONCE) {
            each(flows.iter().map(|f| Event::Flow(self.record(f))).collect());
        }
    }

    /// One flow with all its facts.
    fn record(&self, flow: &Flow) -> FlowRecord {
        let record = FlowRecord::of(flow, self.flows.tunnels(flow));
        self.resolve(record, flow)
    }

    /// Adds what is known of the ends.
    fn resolve(&self, mut record: FlowRecord, flow: &Flow) -> FlowRecord {
        record.direction = self.config.selection.direction(flow);
        record.interface = self.interfaces.get(usize::from(flow.interface)).and_then(|i| i.name.clone());
        if !self.names.is_empty() {
            let (src, dst, at) = (record.source.addr, record.destination.addr, record.first);
            record.source_name = self.names.of(src, dst, at);
            record.destination_name = self.names.of(dst, src, at);
        }
        record
    }

    /// Freezes what is known now.
    pub fn snapshot(&self, is_final: bool) -> Snapshot {
        let mut rows = Top::new(self.config.rows);
        let mut groups = HashMap::new();
        let (mut flows, mut total) = self.evicted_shown;
        let mut counted = self.evicted;
        let mut hidden = (self.evicted_flows - flows, Counters::default());
        let mut span = self.evicted_span;
        for flow in self.flows.iter() {
            let sum = flow.total();
            counted += sum;
            let (first, last) = span.unwrap_or((flow.first, flow.last));
            span = Some((first.min(flow.first), last.max(flow.last)));
            if !self.config.selection.shows(flow) {
                hidden.0 += 1;
                hidden.1 += sum;
                continue;
            }
            flows += 1;
            total += sum;
            match self.config.group {
                None => {
                    let place = self.config.sort.place(flow);
                    rows.offer(place, flow);
                }
                Some(by) => self.add_to_group(&mut groups, by, flow),
            }
        }
        let (groups, more_groups) = self.rank_groups(groups);
        Snapshot {
            interfaces: self.interfaces.clone(),
            captures: self.captures.clone(),
            first: span.map(|(first, _)| first),
            last: span.map(|(_, last)| last),
            flows,
            total,
            rows: rows.into_sorted().map(|f| self.record(f)).collect(),
            groups,
            more_groups,
            dns: self.recent.iter().cloned().collect(),
            dns_totals: self.dns_totals,
            ledger: self.ledger(counted, hidden),
            live: None,
            is_final,
        }
    }

    fn add_to_group(&self, groups: &mut HashMap<GroupKey, Group>, by: GroupBy, flow: &Flow) {
        let key = self.group_key(by, flow);
        let group = groups.entry_ref(&key).or_insert_with(|| Group {
            key: key.clone(),
            pids: Vec::new(),
            flows: 0,
            sent: Counters::default(),
            received: Counters::default(),
            first: flow.first,
            last: flow.last,
        });
        group.flows += 1;
        group.sent += flow.sent(flow.initiator);
        group.received += flow.sent(flow.initiator.other());
        group.first = group.first.min(flow.first);
        group.last = group.last.max(flow.last);
    }

    fn group_key(&self, by: GroupBy, flow: &Flow) -> GroupKey {
        // The far end is the responder, unless only the initiator is remote.
        let inbound = self.config.selection.direction(flow) == Some(FlowDirection::Inbound);
        let far = if inbound { flow.initiator } else { flow.initiator.other() };
        let responder = flow.key.endpoint(flow.initiator.other());
        let (far, near) = (flow.key.endpoint(far).addr, flow.key.endpoint(far.other()).addr);
        match by {
            GroupBy::Process | GroupBy::Container | GroupBy::User => {
                GroupKey::Unowned("captures do not say".into())
            }
            GroupBy::Host => GroupKey::Host(far),
            GroupBy::Name => {
                let name = self.names.of(far, near, flow.first);
                name.map_or(GroupKey::Host(far), GroupKey::Name)
            }
            GroupBy::Service => GroupKey::Service(flow.key.protocol(), responder.port),
            GroupBy::Interface => GroupKey::Interface(InterfaceId(flow.interface)),
        }
    }

    fn rank_groups(&self, groups: HashMap<GroupKey, Group>) -> (Option<Vec<Group>>, u64) {
        if self.config.group.is_none() {
            return (None, 0);
        }
        let all = groups.len();
        let mut ranked: Vec<Group> = groups.into_values().collect();
        ranked.sort_unstable_by(|a, b| {
            let (x, y) = (a.total(), b.total());
            (y.ip_bytes, y.packets).cmp(&(x.ip_bytes, x.packets)).then_with(|| a.key.cmp(&b.key))
        });
        ranked.truncate(self.config.rows);
        let more = (all - ranked.len()) as u64;
        (Some(ranked), more)
    }

    fn ledger(&self, counted: Counters, hidden: (u64, Counters)) -> Ledger {
        let silent = InterfaceTotals::default();
        let totals = self.totals.interfaces.iter().chain(std::iter::repeat(&silent));
        let named = self.interfaces.iter().zip(totals);
        Ledger {
            interfaces: named.map(|(name, totals)| interface_ledger(name, totals)).collect(),
            counted,
            evicted_flows: self.evicted_flows,
            evicted: self.evicted,
            hidden,
            odd: most_first(self.totals.odd.iter().map(|(what, &n)| (what.name(), n))),
            malformed_messages: most_first(
                self.totals.malformed_messages.iter().map(|((who, why), &n)| (format!("{who}: {why}"), n)),
            ),
        }
    }
}

fn interface_ledger(name: &InterfaceName, totals: &InterfaceTotals) -> InterfaceLedger {
    let (mut names, mut malformed) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
    let mut not_ip = (0, 0);
    for (why, frames) in &totals.no_flow {
        not_ip = (not_ip.0 + frames.packets, not_ip.1 + frames.bytes);
        match why.malformed() {
            Some(reason) => *malformed.entry(reason).or_default() += frames.packets,
            None => *names.entry(why.name()).or_default() += frames.packets,
        }
    }
    let seen = (totals.seen.packets, totals.seen.bytes);
    InterfaceLedger {
        interface: name.clone(),
        seen,
        counted: (seen.0 - not_ip.0, seen.1 - not_ip.1),
        not_ip,
        not_ip_names: most_first(names.into_iter()),
        malformed: most_first(malformed.into_iter()),
        live: None,
    }
}

fn most_first(counts: impl Iterator<Item = (String, u64)>) -> Vec<(String, u64)> {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}
