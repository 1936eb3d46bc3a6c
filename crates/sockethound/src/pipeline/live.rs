//! This machine's interfaces: a worker a ring, and a collector that learns owners meanwhile.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::Scope;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use capture::ring::RingSource;
use dissect::Timestamp;
use flow::{Began, Collector, Event};

use super::desk::Desk;
use super::drops::Drops;
use super::others::Others;
use super::worker::{News, Shared, Worker};
use super::{Gone, Job, Output, Watch, end_flows};
use crate::attribution::Attribution;
use crate::resolver::Resolver;

/// How often the collector looks for answers, while there are questions and no kernel tells owners by itself, or
/// [`MANY_ASKED`]; otherwise while anything happens; and while nothing does. Nobody is shown one before the next report, which
/// waits for what is known by then.
const BUSY: Duration = Duration::from_millis(100);
const QUIET: Duration = Duration::from_millis(500);
const CALM: Duration = Duration::from_secs(2);
/// Questions without an answer by now.
const MANY_ASKED: usize = 64;
/// How long the last answers are waited for.
const LAST_ANSWERS: Duration = Duration::from_millis(1500);
/// How often it is looked for them.
const LAST_LOOKS: Duration = Duration::from_millis(20);

/// What a live run has open: rings, and whoever knows owners.
#[derive(Debug)]
pub struct Live {
    /// One a worker.
    pub rings: Vec<RingSource>,
    /// When they were open: intervals and the duration count from here.
    pub begun: Instant,
    /// Whoever knows owners.
    pub attribution: Attribution,
    /// Looks up names of addresses that have none, if that is wanted.
    pub resolver: Option<Resolver>,
    /// Whether the interfaces were named, so that each is spoken of even if it has no packets.
    pub named: bool,
    /// Whether interfaces that come and go are not spoken of.
    pub quiet: bool,
}

/// Now, as packets tell time.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

impl Live {
    /// Has the worker that looks whether the run is to end or to report wait no longer once `bell` can be read.
    pub fn heed_bell(&mut self, bell: OwnedFd) {
        if let Some(ring) = self.rings.first_mut() {
            ring.heed_bell(bell);
        }
    }

    /// Starts the threads that capture and merge.
    pub(super) fn spawn<'s>(
        self,
        scope: &'s Scope<'s, '_>,
        job: &Job,
        watch: &'s Watch,
        collector: Collector,
        outputs: SyncSender<Output>,
    ) {
        dissect::app::prepare();
        let (news, incoming) = sync_channel(2 * self.rings.len().max(1));
        let none = Default::default();
        let baseline = self.rings.first().map_or(&none, RingSource::baseline);
        let shared = Arc::new(Shared::new(self.rings.len()));
        let began = job.config.live.as_ref().map(|live| Began {
            at: live.started,
            interfaces: self
                .rings
                .first()
                .map(RingSource::interface_names)
                .unwrap_or_default()
                .into_iter()
                .map(Into::into)
                .collect(),
            owners_from: live.owners_from,
        });
        let start = self.begun;
        let told = self.attribution.is_told();
        let drops = Drops::new(self.rings.iter().map(RingSource::bytes).sum(), start);
        let mut desk = Desk::new(
            collector,
            self.attribution,
            self.resolver,
            self.rings.len(),
            baseline,
            drops,
            self.quiet,
        );
        if self.named {
            desk.expect(&baseline[0]);
        }
        let mut others = Others::of(self.rings.len());
        for (number, ring) in self.rings.into_iter().enumerate() {
            let ring = (ring, others.next().unwrap_or_default());
            let worker = Worker::new((number, told), ring, job, watch, &shared, news.clone(), start);
            super::start(scope, &format!("capture-{number}"), move || drop(worker.run()));
        }
        let events = job.config.events;
        super::start(scope, "collect", move || {
            drop(collect(desk, began.filter(|_| events), watch, &incoming, &outputs));
        });
    }
}

/// How long the collector waits for what workers tell.
fn patience(desk: &Desk) -> Duration {
    let asked = desk.asked();
    match desk.is_told() {
        false if asked > 0 => BUSY,
        // Answers that nobody takes have whoever gives them wait.
        true if asked > MANY_ASKED => BUSY,
        _ if desk.is_calm() => CALM,
        _ => QUIET,
    }
}

/// Merges what workers tell, beginning with `began` if events are wanted, asks for owners, and sends on events and snapshots.
fn collect(
    mut desk: Desk,
    began: Option<Began>,
    watch: &Watch,
    incoming: &Receiver<Box<News>>,
    outputs: &SyncSender<Output>,
) -> Result<(), Gone> {
    let put = |output| outputs.send(output).map_err(|_| Gone);
    let events = began.is_some();
    if let Some(began) = began {
        put(Output::Events(vec![Event::Began(began)]))?;
    }
    let mut ended = None;
    loop {
        match incoming.recv_timeout(patience(&desk)) {
            Ok(news) if news.stopped.is_some() => {
                ended = news.stopped;
                desk.take_sockets(true);
            }
            Ok(news) => desk.take(*news).into_iter().try_for_each(put)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if watch.asked.swap(false, Ordering::Acquire) {
            put(Output::Asked)?;
        }
        for notice in desk.ask().into_iter().chain(desk.take_notices()) {
            put(Output::Notice(notice))?;
        }
        desk.collector.settle(now());
        let happened = desk.collector.take_events(Some(now()));
        if !happened.is_empty() {
            put(Output::Events(happened))?;
        }
        while desk.take_report() {
            let at = now();
            let counted = desk.take_sockets(false);
            if !counted && let Some(notice) = desk.await_answers() {
                put(Output::Notice(notice))?;
            }
            desk.collector.tick(at);
            desk.take_names();
            let snapshot = if counted {
                desk.collector.snapshot(Some(at), false)
            } else {
                desk.collector.snapshot_without_sockets(at)
            };
            desk.ask_names(&snapshot);
            put(Output::Snapshot(Arc::new(snapshot)))?;
            desk.take_waiting().into_iter().try_for_each(put)?;
        }
    }
    desk.take_rest().into_iter().try_for_each(put)?;
    // What the rings still held is told by now, and nothing passed since.
    let at = ended.unwrap_or_else(now);
    desk.collector.tick_at_end(at);
    let until = Instant::now() + LAST_ANSWERS;
    desk.ask();
    while desk.is_waiting() && Instant::now() < until {
        std::thread::sleep(LAST_LOOKS);
        desk.ask();
    }
    put(Output::Events(desk.collector.take_events(None)))?;
    end_flows(&desk.collector, events, outputs)?;
    desk.take_names();
    put(Output::Snapshot(Arc::new(desk.collector.snapshot(Some(at), true))))
}
