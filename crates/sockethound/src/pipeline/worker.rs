//! One ring's worker: takes its packets into a table, and tells of it.
//!
//! A worker does not wait for the collector: what it cannot hand on it keeps
//! adding up, unless it is flows that ended, which are too many in a flood:
//! then it waits, and the kernel counts what its ring has no room for. It tells
//! of flows that began a few times a second, so that their owners are found
//! while they live, and of everything at every report.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use capture::memory::make_ready;
use capture::ring::{Error, InterfaceCounters, LinkChange, ON_THE_WAY, RingSource, RingStats};
use capture::{Interface, Next, PacketSource};
use dissect::Timestamp;
use flow::{Delta, FlowTable, Settle};

use super::clocks::Clocks;
use super::live::now;
use super::others::Others;
use super::{EVENTS_AT_ONCE, Gone, Job, Observe, PATIENCE, Watch};

/// Messages and ended flows that a worker keeps at most while nobody takes them.
const MAX_KEPT: usize = 2 * EVENTS_AT_ONCE;
/// How long the only worker waits for packets while it has nothing to tell: it is woken when it is asked for anything.
const CALM: Duration = Duration::from_secs(2);
/// How long packets that passed are waited for at the end, at most: longer than the ring keeps them.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The same before a report that is asked for.
const LAST_ASKED: Duration = Duration::from_millis(300);
/// How often the last counts are taken: there are two generations of them.
const LAST_COUNTS: usize = 3;
/// How long one worker waits for packets while it waits for the others.
const TOGETHER: Duration = Duration::from_millis(2);
/// Settled flows that are read ahead together: about as many cache misses as a core can wait for at once.
const AHEAD: usize = 16;

/// What a worker has to tell.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) worker: usize,
    /// Interfaces that were not spoken of yet, in the order of their numbers: number in the system, name.
    pub(super) interfaces: Vec<(u32, String)>,
    pub(super) delta: Option<Delta>,
    pub(super) changes: Vec<LinkChange>,
    /// What the interfaces have counted, from the worker that asks; at the end, also what they had shortly before.
    pub(super) counters: Option<Vec<InterfaceCounters>>,
    pub(super) counters_before: Option<Vec<InterfaceCounters>>,
    /// What its ring has had so far, and had no room for.
    pub(super) ring: RingStats,
    /// Up to this report, by the workers' count, this tells everything.
    pub(super) report: Option<u64>,
    /// Nothing is captured any more, since then.
    pub(super) stopped: Option<Timestamp>,
    /// It is the worker's last.
    pub(super) last: bool,
    /// What went wrong.
    pub(super) fault: Option<String>,
}

/// What workers share: how they report and end together. The interfaces' counters are read before the first and after the
/// last one has ended.
#[derive(Debug)]
pub(super) struct Shared {
    workers: usize,
    /// Reports that were asked for.
    reports: AtomicU64,
    ending: AtomicBool,
    /// Workers that take no packets any more.
    stopped: AtomicUsize,
}

impl Shared {
    pub(super) fn new(workers: usize) -> Self {
        let (reports, ending, stopped) = Default::default();
        Self { workers, reports, ending, stopped }
    }
}

/// Takes the packets of one ring into one table.
pub(super) struct Worker<'a> {
    number: usize,
    shared: Arc<Shared>,
    others: Others,
    ring: RingSource,
    table: FlowTable,
    watch: &'a Watch,
    to: SyncSender<Box<News>>,
    /// What the collector had no room for; until it has, nothing more is taken from the table.
    waiting: Option<Box<News>>,
    /// Interfaces that the table knows.
    met: usize,
    /// Interfaces spoken of.
    known: usize,
    /// Of [`Shared::reports`].
    reported: u64,
    /// When a report was asked for that is to come as soon as what passed before has been read.
    asked: Option<Instant>,
    clocks: Clocks,
}

impl<'a> Worker<'a> {
    /// The first one asks for reports: the others follow it, so that they do not drift apart. `told`: whether the kernel
    /// tells owners.
    pub(super) fn new(
        (number, told): (usize, bool),
        (ring, others): (RingSource, Others),
        job: &Job,
        watch: &'a Watch,
        shared: &Arc<Shared>,
        to: SyncSender<Box<News>>,
        start: Instant,
    ) -> Self {
        Worker {
            number,
            shared: Arc::clone(shared),
            others,
            ring,
            table: FlowTable::new(job.options.clone()),
            watch,
            to,
            waiting: None,
            met: 0,
            known: 0,
            reported: 0,
            asked: None,
            clocks: Clocks::new(job, start, number == 0, told),
        }
    }

    pub(super) fn run(mut self) -> Result<(), Gone> {
        let fault = loop {
            if self.stopped() {
                break None;
            }
            if let Err(e) = self.take_packets(self.patience()) {
                // What the others still count would look like all there is.
                self.watch.stop.store(true, Ordering::Relaxed);
                break Some(e);
            }
            self.heed_clock()?;
        };
        self.finish(fault)
    }

    fn stopped(&self) -> bool {
        self.watch.stop.load(Ordering::Relaxed) || self.clocks.is_over(Instant::now())
    }

    /// How long packets are waited for: not beyond what the clock asks for next.
    fn patience(&self) -> Duration {
        let is_free = self.waiting.is_none();
        let begun = (is_free && self.has_news()).then(|| self.table.begun());
        let is_woken = self.watch.bell.is_some() && self.shared.workers == 1;
        let longest = if is_free && is_woken && self.asked.is_none() { CALM } else { PATIENCE };
        self.clocks.rest(Instant::now(), begun, longest)
    }

    /// Whether there is anything to tell before the next report.
    fn has_news(&self) -> bool {
        self.table.begun() > 0 || self.table.has_ended() || self.table.events() > 0
    }

    /// Counts the next block of packets; gives whether there was one.
    fn take_packets(&mut self, patience: Duration) -> Result<bool, Error> {
        let any = match self.ring.next_batch(patience)? {
            Next::Batch(batch) => {
                heed_interfaces(&mut self.table, &mut self.met, batch.interfaces);
                self.others.listen(&mut self.table);
                batch.pauses.iter().for_each(|pause| self.table.observe_pause(pause));
                if let Some(room) = self.table.next_room() {
                    make_ready(room);
                }
                batch.read_by(Observe(&mut self.table));
                self.others.tell(&mut self.table);
                true
            }
            Next::Idle | Next::End => false,
        };
        self.settle();
        let report = self.is_report_due();
        if !any || report || self.ring.is_counting_much() {
            self.take_counts()?;
        }
        if report || self.clocks.are_counts_due(Instant::now()) {
            self.take_settled();
        }
        Ok(any)
    }

    /// Whether the next look at the clock will make a report, which is to have all that was counted.
    fn is_report_due(&mut self) -> bool {
        let now = Instant::now();
        if self.watch.report.swap(false, Ordering::Relaxed) {
            self.asked.get_or_insert(now);
        }
        if self.asked.is_some_and(|at| now >= at + LAST_ASKED || self.ring.is_drained()) {
            self.asked = None;
            self.shared.reports.fetch_add(1, Ordering::Relaxed);
        }
        self.shared.reports.load(Ordering::Relaxed) > self.reported || self.clocks.is_report_due(now)
    }

    /// Tells the ring which flows' packets it need not have.
    fn settle(&mut self) {
        let settling = self.table.take_settling();
        self.ring.read_ahead(settling.iter().filter_map(Settle::begun));
        for settle in settling {
            match settle {
                Settle::Begin(way, unread) => self.ring.settle(way, unread),
                Settle::End(way) => self.ring.unsettle(&way),
                Settle::EndAll => self.ring.unsettle_all(),
            }
        }
        self.ring.count_streams(|way, unread| self.table.next_of(way, unread));
    }

    /// Counts what the kernel has counted of settled flows.
    fn take_settled(&mut self) {
        let mut some = Vec::with_capacity(AHEAD);
        self.ring.take_settled(|count| {
            some.push(*count);
            if some.len() == AHEAD {
                self.table.observe_all_settled(&some);
                some.clear();
            }
        });
        self.table.observe_all_settled(&some);
        self.clocks.note_counts(Instant::now());
    }

    /// Counts what the kernel has counted for want of room. Packets that are still in the ring mostly came earlier, so this comes
    /// after them.
    fn take_counts(&mut self) -> Result<(), Error> {
        if !self.ring.has_counted() {
            return Ok(());
        }
        let counts = self.ring.take_counts()?;
        heed_interfaces(&mut self.table, &mut self.met, self.ring.interfaces());
        self.table.observe_counts(counts.counts());
        for rest in counts.unplaced() {
            self.table.observe_unplaced(rest.interface, rest.packets, rest.frame_bytes);
        }
        Ok(())
    }

    /// Hands on what has piled up, and what the clock asks for.
    fn heed_clock(&mut self) -> Result<(), Gone> {
        let now = Instant::now();
        // While nothing is taken, flows that ended would only pile up.
        if self.waiting.is_none() && self.clocks.take_expiry(now) {
            self.table.expire(self::now());
        }
        if self.clocks.take_report(now) {
            self.shared.reports.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(news) = self.waiting.take() {
            if self.table.events() > MAX_KEPT {
                self.to.send(news).map_err(|_| Gone)?;
            } else {
                self.hand_on(news)?;
            }
        }
        if self.waiting.is_some() {
            return Ok(());
        }
        let asked = self.shared.reports.load(Ordering::Relaxed);
        if asked > self.reported {
            self.reported = asked;
            self.watch.packets.store(self.ring.stats().received, Ordering::Relaxed);
            let delta = self.table.take_delta();
            let mut news = self.news(Some(delta), Some(asked));
            // Where reports are as frequent as wake-ups, nothing else would tell of them.
            news.changes = self.take_changes();
            return self.hand_on(news);
        }
        let changes = self.take_changes();
        let piled = self.table.events() >= EVENTS_AT_ONCE;
        let due = self.has_news() && self.clocks.is_news_due(now, self.table.begun());
        if piled || due || !changes.is_empty() {
            self.clocks.note_news(now);
            let delta = self.table.take_events();
            let mut news = self.news(Some(delta), None);
            news.changes = changes;
            return self.hand_on(news);
        }
        if self.number == 0 && self.watch.asked.load(Ordering::Relaxed) {
            // The collector is to look at that.
            let news = self.news(None, None);
            return self.hand_on(news);
        }
        Ok(())
    }

    /// What became of interfaces, from the worker that tells: every ring knows.
    fn take_changes(&mut self) -> Vec<LinkChange> {
        let changes = self.ring.take_changes();
        if self.number == 0 { changes } else { Vec::new() }
    }

    /// What there is to tell besides `delta`.
    fn news(&mut self, delta: Option<Delta>, report: Option<u64>) -> Box<News> {
        let mut news = Box::new(News { worker: self.number, delta, report, ..News::default() });
        for interface in self.ring.interfaces().iter().skip(self.known) {
            let ifindex = self.ring.ifindex(self.known).unwrap_or(0);
            let name = interface.name.clone().unwrap_or_else(|| format!("if{ifindex}"));
            news.interfaces.push((ifindex, name));
            self.known += 1;
        }
        if report.is_some() {
            news.ring = self.ring.ring_stats();
            news.counters = if self.number == 0 { self.ring.counters().ok() } else { None };
        }
        news
    }

    /// Sends `news`, or keeps it until there is room.
    fn hand_on(&mut self, news: Box<News>) -> Result<(), Gone> {
        match self.to.try_send(news) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(news)) => {
                self.waiting = Some(news);
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Err(Gone),
        }
    }

    /// Has the ring take no packets any more; gives what the interfaces had counted before and after, from the worker
    /// that asks.
    fn stop_ring(&mut self, fault: &mut Option<Error>) -> [Option<Vec<InterfaceCounters>>; 2] {
        let asks = self.number == 0;
        let before = asks.then(|| self.ring.counters().ok()).flatten();
        if asks {
            // What was counted by then must be seen.
            let until = Instant::now() + ON_THE_WAY;
            while fault.is_none() && Instant::now() < until {
                *fault = self.take_packets(TOGETHER).err();
            }
            self.shared.ending.store(true, Ordering::Release);
        }
        self.wait_until(fault, |shared| shared.ending.load(Ordering::Acquire));
        if fault.is_none() {
            *fault = self.ring.stop().err();
        }
        self.shared.stopped.fetch_add(1, Ordering::AcqRel);
        if !asks {
            return [None, None];
        }
        self.wait_until(fault, |shared| shared.stopped.load(Ordering::Acquire) == shared.workers);
        [before, self.ring.counters().ok()]
    }

    /// Waits for the other workers, which may wait for packets, and takes packets meanwhile.
    fn wait_until(&mut self, fault: &mut Option<Error>, holds: fn(&Shared) -> bool) {
        let until = Instant::now() + 5 * PATIENCE;
        while fault.is_none() && !holds(&self.shared) && Instant::now() < until {
            *fault = self.take_packets(TOGETHER).err();
        }
    }

    /// Takes what the ring has had before it was stopped.
    fn take_last(&mut self) -> Result<(), Error> {
        let until = Instant::now() + LAST_WORDS;
        while !self.ring.is_drained() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.take_packets(left)?;
        }
        Ok(())
    }

    /// Takes the packets that passed before the end, and tells everything.
    fn finish(mut self, fault: Option<Error>) -> Result<(), Gone> {
        let mut fault = fault;
        let [before, counters] = self.stop_ring(&mut fault);
        if self.number == 0 {
            let news = News { worker: self.number, stopped: Some(now()), ..News::default() };
            self.to.send(Box::new(news)).map_err(|_| Gone)?;
        }
        fault = fault.or_else(|| self.take_last().err());
        for _ in 0..LAST_COUNTS {
            fault = fault.or_else(|| self.take_counts().err());
        }
        self.take_settled();
        if let Some(news) = self.waiting.take() {
            self.to.send(news).map_err(|_| Gone)?;
        }
        let mut news = self.news(None, None);
        news.ring = self.ring.ring_stats();
        (news.counters_before, news.counters) = (before, counters);
        news.changes = self.take_changes();
        news.fault = fault.map(|e| e.to_string());
        news.last = true;
        let Worker { table, to, .. } = self;
        news.delta = Some(table.finish());
        to.send(news).map_err(|_| Gone)
    }
}

/// Has the table know what interfaces split themselves, of those that were not `met`.
fn heed_interfaces(table: &mut FlowTable, met: &mut usize, interfaces: &[Interface]) {
    for (number, interface) in (0..).zip(interfaces).skip(*met) {
        if let Some(longest) = interface.splits_at {
            table.set_split(number, longest);
        }
    }
    *met = interfaces.len();
}
