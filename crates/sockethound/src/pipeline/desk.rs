//! Where a live run's news come together: one account of several workers' interfaces, and whose flows are.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use capture::memory::make_ready;
use capture::ring::{InterfaceCounters, LinkChange, LinkChangeKind, RingStats};
use flow::{Collector, InterfaceId, InterfaceName, NamedBy, Readings, Snapshot};
use hashbrown::{HashMap, HashSet};

use super::Output;
use super::drops::Drops;
use super::live::now;
use super::worker::News;
use crate::attribution::Attribution;
use crate::resolver::Resolver;

/// The Ethernet header, which loopback's own byte counters leave out.
const ETHERNET: u64 = 14;
/// Interfaces whose numbers are remembered after they are gone.
const GONE: usize = 4096;
/// How long an interface must be down before that is said: one that is removed goes down first.
const DOWN: Duration = Duration::from_millis(500);

/// The collector of a live run, with what it needs to understand workers.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) collector: Collector,
    attribution: Attribution,
    resolver: Option<Resolver>,
    /// Interfaces by their number in the system.
    ids: HashMap<u32, InterfaceId>,
    /// Numbers in the system of interfaces that are gone, longest first.
    gone: VecDeque<u32>,
    /// Each worker's numbers of interfaces.
    numbers: Vec<Vec<InterfaceId>>,
    /// What the interfaces had counted before and after capturing began.
    baseline: HashMap<u32, [(u64, u64); 2]>,
    /// What they had counted when they were last asked.
    latest: HashMap<u32, (u64, u64)>,
    /// Each worker's ring.
    rings: Vec<RingStats>,
    drops: Drops,
    /// Interfaces that went down, which was not said yet.
    down: Vec<(Instant, u32, String)>,
    /// Interfaces that have a number.
    known: u16,
    /// The report that each worker has told everything for.
    ready: Vec<u64>,
    /// The last one that was made.
    reports: u64,
    /// What workers tell that are ready for a report which others are not ready for: it is not to be in there.
    waiting: Vec<News>,
    quiet: bool,
}

impl Desk {
    pub(super) fn new(
        collector: Collector,
        attribution: Attribution,
        resolver: Option<Resolver>,
        workers: usize,
        baseline: &[Vec<InterfaceCounters>; 2],
        drops: Drops,
        quiet: bool,
    ) -> Self {
        let mut start: HashMap<u32, [(u64, u64); 2]> = HashMap::default();
        for (at, readings) in baseline.iter().enumerate() {
            for c in readings {
                start.entry(c.ifindex).or_default()[at] = counted(c);
            }
        }
        let mut collector = collector;
        if attribution.counts() {
            collector.expect_sockets();
        }
        Desk {
            collector,
            attribution,
            resolver,
            ids: HashMap::default(),
            gone: VecDeque::new(),
            numbers: vec![Vec::new(); workers],
            baseline: start,
            latest: HashMap::default(),
            rings: vec![RingStats::default(); workers],
            drops,
            down: Vec::new(),
            known: 0,
            ready: vec![0; workers],
            reports: 0,
            waiting: Vec::new(),
            quiet,
        }
    }

    /// Speaks of these interfaces, whether they have packets or not.
    pub(super) fn expect(&mut self, interfaces: &[InterfaceCounters]) {
        for interface in interfaces {
            self.interface(interface.ifindex, &interface.name);
        }
    }

    /// Takes what sockets have done by now: at the instant of a report if that is not too often, and when capturing has
    /// ended; gives whether it was taken.
    pub(super) fn take_sockets(&mut self, last: bool) -> bool {
        self.attribution.tell_sockets(&mut self.collector, last)
    }

    /// Takes what a worker tells; gives what the user is to be told of it.
    pub(super) fn take(&mut self, news: News) -> Vec<Output> {
        if self.ready[news.worker] > self.reports {
            self.waiting.push(news);
            return Vec::new();
        }
        self.heed_news(news)
    }

    /// Takes what had to wait for a report.
    pub(super) fn take_waiting(&mut self) -> Vec<Output> {
        let waiting = mem::take(&mut self.waiting);
        waiting.into_iter().flat_map(|news| self.take(news)).collect()
    }

    /// The same at the end, where no report is waited for.
    pub(super) fn take_rest(&mut self) -> Vec<Output> {
        let waiting = mem::take(&mut self.waiting);
        waiting.into_iter().flat_map(|news| self.heed_news(news)).collect()
    }

    fn heed_news(&mut self, news: News) -> Vec<Output> {
        let worker = news.worker;
        let mut outputs = Vec::new();
        for change in &news.changes {
            outputs.extend(self.heed(change).filter(|_| !self.quiet).map(Output::Notice));
        }
        for (ifindex, name) in news.interfaces {
            let id = self.interface(ifindex, &name);
            self.numbers[worker].push(id);
        }
        if let Some(mut delta) = news.delta {
            // What is counted of a five-tuple by now may be of another process than what was before.
            if news.report.is_some() || news.last {
                let told = self.attribution.catch_up(&mut self.collector, now());
                outputs.extend(told.map(Output::Notice));
            }
            delta.renumber(&self.numbers[worker]);
            self.collector.next_room(&delta).for_each(make_ready);
            self.collector.absorb(delta);
        }
        let (now, before) = (&news.ring, &self.rings[worker]);
        if now.seen + now.counted > before.seen + before.counted {
            self.rings[worker] = news.ring;
        }
        let sum = |of: fn(&RingStats) -> u64| self.rings.iter().map(of).sum();
        let (seen, dropped) = (sum(|ring| ring.seen), sum(|ring| ring.dropped));
        self.collector.set_dropped(dropped);
        if let Some(counters) = &news.counters {
            self.take_counters(news.counters_before.as_deref(), counters);
        }
        self.ready[worker] = news.report.unwrap_or(self.ready[worker]);
        let warning = self.drops.heed(seen, dropped, Instant::now());
        outputs.extend(warning.filter(|_| !self.quiet).map(Output::Notice));
        outputs.extend(news.fault.map(|line| Output::Fault { line, damage: false }));
        outputs
    }

    /// Whether all workers are ready for a report that was not made yet.
    pub(super) fn take_report(&mut self) -> bool {
        let ready = self.ready.iter().copied().min().unwrap_or_default();
        mem::replace(&mut self.reports, ready) < ready
    }

    /// The number of an interface in this run.
    fn interface(&mut self, ifindex: u32, name: &str) -> InterfaceId {
        let (collector, known) = (&mut self.collector, &mut self.known);
        *self.ids.entry(ifindex).or_insert_with(|| {
            // Where interfaces have come and gone so often, further ones are the last.
            let next = InterfaceId((*known).min(u16::MAX - 1));
            if next.0 == *known {
                *known += 1;
                collector.add_live_interface(InterfaceName { file: None, name: Some(name.into()) }, ifindex);
            }
            next
        })
    }

    /// Compares with what the interfaces say themselves.
    fn take_counters(&mut self, before: Option<&[InterfaceCounters]>, after: &[InterfaceCounters]) {
        if let Some(before) = before {
            self.latest = before.iter().map(|c| (c.ifindex, counted(c))).collect();
        }
        for c in after {
            let start = self.baseline.get(&c.ifindex).copied().unwrap_or_default();
            let since = |now: (u64, u64), then: (u64, u64)| {
                (now.0.saturating_sub(then.0), now.1.saturating_sub(then.1))
            };
            let now = counted(c);
            let earlier = self.latest.insert(c.ifindex, now).unwrap_or(start[0]);
            let readings = Readings { before: since(earlier, start[1]), after: since(now, start[0]) };
            // One that is silent is not spoken of.
            if readings.after.0 > 0 || self.ids.contains_key(&c.ifindex) {
                let id = self.interface(c.ifindex, &c.name);
                self.collector.set_kernel(id, Some(readings));
            }
        }
        let here: HashSet<u32> = after.iter().map(|c| c.ifindex).collect();
        for (_, &id) in self.ids.iter().filter(|(ifindex, _)| !here.contains(*ifindex)) {
            self.collector.set_kernel(id, None);
        }
    }

    /// What is to be said of a change.
    fn heed(&mut self, change: &LinkChange) -> Option<String> {
        let name = &change.name;
        match &change.kind {
            LinkChangeKind::Removed => {
                self.baseline.remove(&change.ifindex);
                self.latest.remove(&change.ifindex);
                if let Some(&id) = self.ids.get(&change.ifindex) {
                    self.collector.lose_interface(id);
                }
                self.down.retain(|(_, ifindex, _)| *ifindex != change.ifindex);
                self.forget_interfaces(change.ifindex);
                Some(format!("interface {name} is gone; it is captured again when it comes back"))
            }
            LinkChangeKind::Renamed { from } => {
                if let Some(&id) = self.ids.get(&change.ifindex) {
                    self.collector.rename_interface(id, name);
                }
                Some(format!("interface {from} is called {name} now"))
            }
            LinkChangeKind::Down => {
                self.down.push((Instant::now(), change.ifindex, name.clone()));
                None
            }
            LinkChangeKind::Added => {
                // The number in the system may have been another's.
                self.ids.remove(&change.ifindex);
                self.gone.retain(|gone| *gone != change.ifindex);
                None
            }
            LinkChangeKind::Up => {
                self.down.retain(|(_, ifindex, _)| *ifindex != change.ifindex);
                None
            }
        }
    }

    /// Remembers that an interface is gone, of which a worker may still tell, and forgets the number of one that is gone for
    /// long; its account stays.
    fn forget_interfaces(&mut self, ifindex: u32) {
        self.gone.push_back(ifindex);
        if self.gone.len() > GONE
            && let Some(oldest) = self.gone.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    /// Has the names looked up that `snapshot` lacks; the next one may have them.
    pub(super) fn ask_names(&mut self, snapshot: &Snapshot) {
        let Some(resolver) = &mut self.resolver else { return };
        for row in &snapshot.rows {
            for (end, name) in [(&row.source, &row.source_name), (&row.destination, &row.destination_name)] {
                if name.is_none() {
                    resolver.ask(end.addr);
                }
            }
        }
    }

    /// Takes the names that have been found.
    pub(super) fn take_names(&mut self) {
        let Some(resolver) = &mut self.resolver else { return };
        for (addr, name) in resolver.answers() {
            if let Some(name) = name
                && let Some(forgotten) = self.collector.give_name(addr, &name, NamedBy::Reverse)
            {
                resolver.forget(forgotten);
            }
        }
    }

    /// What there is to be said by now that was held back.
    pub(super) fn take_notices(&mut self) -> Vec<String> {
        let said = self.down.extract_if(.., |(since, ..)| since.elapsed() >= DOWN);
        said.map(|(.., name)| format!("interface {name} is down")).filter(|_| !self.quiet).collect()
    }

    /// Whether the kernel tells owners by itself.
    pub(super) fn is_told(&self) -> bool {
        self.attribution.is_told()
    }

    /// Whether nothing waits to be said, and nothing was heard when it was last listened.
    pub(super) fn is_calm(&self) -> bool {
        self.down.is_empty() && !self.collector.holds_events() && !self.attribution.has_heard()
    }

    /// Whether owners were asked for who have not answered.
    pub(super) fn is_waiting(&self) -> bool {
        self.asked() > 0
    }

    /// How many questions have no answer yet.
    pub(super) fn asked(&self) -> usize {
        self.attribution.asked()
    }

    /// Waits a moment for what was asked, if the kernel tells owners: then the answers are there.
    pub(super) fn await_answers(&mut self) -> Option<String> {
        if self.is_waiting() { self.attribution.catch_up(&mut self.collector, now()) } else { None }
    }

    /// Asks for owners, and takes their answers; gives what the user is to be told of it.
    pub(super) fn ask(&mut self) -> Option<String> {
        self.attribution.exchange(&mut self.collector, now())
    }
}

/// Packets and frame bytes that an interface has counted, as a capture sees them.
fn counted(c: &InterfaceCounters) -> (u64, u64) {
    if c.loopback {
        // What is sent is also received, and that is what is captured.
        return (c.rx_packets, c.rx_bytes + ETHERNET * c.rx_packets);
    }
    (c.rx_packets + c.tx_packets, c.rx_bytes + c.tx_bytes)
}
