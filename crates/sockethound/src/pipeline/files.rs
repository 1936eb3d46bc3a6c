//! Capture files and pipes, read into one table.

use std::mem::ManuallyDrop;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use capture::file::{FileSource, Name};
use capture::{Batch, Interface, Next, PacketSource};
use dissect::{Packet, Timestamp};
use flow::{CaptureEnd, Collector, Delta, FlowTable, InterfaceId, InterfaceName, NamedBy};

use super::{EVENTS_AT_ONCE, Gone, Job, Observe, Output, PATIENCE, Watch, end_flows};
use crate::when::When;

/// What is read.
#[derive(Debug)]
pub struct Files {
    /// Captures; they are read in the order of their first packets, if none is a pipe.
    pub paths: Vec<PathBuf>,
    /// Packets before this do not count.
    pub since: Option<When>,
    /// Packets from this on do not count.
    pub until: Option<When>,
    /// Whether times are given in UTC.
    pub utc: bool,
}

enum ToCollector {
    Interface(InterfaceName),
    Names(Vec<Name>),
    Own(Vec<IpAddr>),
    Delta(Box<Delta>),
    Report,
    Fault { line: String, damage: bool },
}

impl Files {
    /// Starts the threads that read and merge.
    pub(super) fn spawn<'s>(
        self,
        scope: &'s Scope<'s, '_>,
        job: &Job,
        watch: &'s Watch,
        collector: Collector,
        outputs: SyncSender<Output>,
    ) {
        let (deltas, incoming) = sync_channel(2);
        let worker = Worker::new(job, self, watch, deltas);
        let events = job.config.events;
        super::start(scope, "read", move || drop(worker.run()));
        super::start(scope, "collect", move || drop(collect(collector, events, incoming, &outputs)));
    }
}

/// Reads captures into one table.
struct Worker<'a> {
    files: Files,
    interval: Option<Duration>,
    watch: &'a Watch,
    table: FlowTable,
    to: SyncSender<ToCollector>,
    /// Interfaces named so far, over all captures.
    interfaces: u32,
    /// Those of the capture that is being read, or as many as there was a number for.
    announced: usize,
    windowed: bool,
    next_report: Option<Instant>,
    end: Option<Instant>,
    consumed_before: u64,
    packets_before: u64,
}

impl<'a> Worker<'a> {
    fn new(job: &Job, files: Files, watch: &'a Watch, to: SyncSender<ToCollector>) -> Self {
        let now = Instant::now();
        let mut table = FlowTable::new(job.options.clone());
        let windowed = files.since.is_none() && files.until.is_none();
        if !windowed {
            // Until a packet says what offsets are from, none has a time.
            table.set_window(Timestamp::UNKNOWN, None);
        }
        Worker {
            table,
            watch,
            to,
            interfaces: 0,
            announced: 0,
            windowed,
            next_report: job.interval.map(|i| now + i),
            end: job.duration.map(|d| now + d),
            consumed_before: 0,
            packets_before: 0,
            interval: job.interval,
            files,
        }
    }

    fn run(mut self) -> Result<(), Gone> {
        for path in in_order(std::mem::take(&mut self.files.paths)) {
            if self.stopped() {
                break;
            }
            match FileSource::open(&path) {
                Ok(mut source) => self.read(&mut source)?,
                Err(e) => self.send(ToCollector::Fault { line: e.to_string(), damage: e.is_damage() })?,
            }
        }
        let Worker { table, to, .. } = self;
        to.send(ToCollector::Delta(Box::new(table.finish()))).map_err(|_| Gone)
    }

    fn read(&mut self, source: &mut FileSource) -> Result<(), Gone> {
        let path: Arc<str> = match source.path().to_string_lossy() {
            name if name == "-" => "stdin".into(),
            name => name.into(),
        };
        let first = u16::try_from(self.interfaces).unwrap_or(u16::MAX);
        self.announced = 0;
        self.table.begin_capture(Arc::clone(&path), InterfaceId(first));
        let streaming = source.size().is_none();
        let stop = loop {
            if self.stopped() {
                break CaptureEnd::Interrupted;
            }
            let next = source.next_batch(PATIENCE);
            match next {
                Ok(Next::Batch(batch)) => {
                    if !self.windowed
                        && let Some(packet) = first_with_time(&batch)
                    {
                        self.open_window(packet.timestamp);
                    }
                    self.announce(batch.interfaces, &path)?;
                    batch.read_by(Observe(&mut self.table));
                }
                Ok(Next::Idle) => {}
                Ok(Next::End) => break CaptureEnd::Complete,
                Err(e) => {
                    let line = e.to_string();
                    let reason = line.strip_prefix(&format!("{path}: ")).unwrap_or(&line).to_owned();
                    self.send(ToCollector::Fault { line, damage: e.is_damage() })?;
                    if !e.is_damage() {
                        // It never began: there is nothing to tell of it.
                        return Ok(());
                    }
                    let cut = e.is_truncation();
                    break if cut { CaptureEnd::Truncated(reason) } else { CaptureEnd::Malformed(reason) };
                }
            }
            self.after_batch(source, streaming)?;
        };
        self.announce(source.interfaces(), &path)?;
        self.after_batch(source, streaming)?;
        self.consumed_before += source.stats().consumed;
        self.packets_before += source.stats().received;
        self.table.end_capture(stop);
        Ok(())
    }

    /// Says how the capture's interfaces are called that were not spoken of yet. All beyond the last number share it, and
    /// have no name.
    fn announce(&mut self, interfaces: &[Interface], path: &Arc<str>) -> Result<(), Gone> {
        const LAST: u32 = u16::MAX as u32;
        for interface in interfaces.get(self.announced..).unwrap_or_default() {
            self.announced += 1;
            if self.interfaces > LAST {
                continue;
            }
            let name = interface.name.as_deref().filter(|_| self.interfaces < LAST).map(Into::into);
            self.send(ToCollector::Interface(InterfaceName { file: Some(Arc::clone(path)), name }))?;
            self.interfaces += 1;
        }
        Ok(())
    }

    /// Hands on what has piled up, and what the clock asks for.
    fn after_batch(&mut self, source: &mut FileSource, streaming: bool) -> Result<(), Gone> {
        let stats = source.stats();
        self.watch.packets.store(self.packets_before + stats.received, Ordering::Relaxed);
        self.watch.consumed.store(self.consumed_before + stats.consumed, Ordering::Relaxed);
        let own = source.take_own();
        if !own.is_empty() {
            self.send(ToCollector::Own(own))?;
        }
        let names = source.take_names();
        if !names.is_empty() {
            self.send(ToCollector::Names(names))?;
        }
        if self.table.events() >= EVENTS_AT_ONCE {
            let delta = Box::new(self.table.take_events());
            self.send(ToCollector::Delta(delta))?;
        }
        let due = streaming && self.next_report.is_some_and(|at| Instant::now() >= at);
        let asked = self.watch.report.swap(false, Ordering::Relaxed);
        if due || asked {
            self.next_report = self.interval.map(|i| Instant::now() + i);
            let delta = Box::new(self.table.take_delta());
            self.send(ToCollector::Delta(delta))?;
            self.send(ToCollector::Report)?;
        }
        Ok(())
    }

    fn open_window(&mut self, first: Timestamp) {
        let resolve = |when: Option<When>| when.map(|when| when.resolve(first, self.files.utc));
        let since = resolve(self.files.since).unwrap_or(Timestamp::UNKNOWN);
        self.table.set_window(since, resolve(self.files.until));
        self.windowed = true;
    }

    fn stopped(&self) -> bool {
        self.watch.stop.load(Ordering::Relaxed) || self.end.is_some_and(|end| Instant::now() >= end)
    }

    fn send(&self, message: ToCollector) -> Result<(), Gone> {
        self.to.send(message).map_err(|_| Gone)
    }
}

/// `paths` in the order of their first packets, whatever order they were named in: parts of one capture give what the whole
/// one does. What has none comes last. A pipe can be read only once: then they stay as they are.
fn in_order(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let is_pipe =
        |path: &PathBuf| std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
    if paths.len() > 1 && !paths.iter().any(|path| path == Path::new("-") || is_pipe(path)) {
        paths.sort_by_cached_key(|path| {
            let begins = begins(path);
            (begins.is_none(), begins, path.clone())
        });
    }
    paths
}

/// When the first packet of a capture passed, if it can be told.
fn begins(path: &Path) -> Option<Timestamp> {
    let mut source = FileSource::open(path).ok()?;
    loop {
        match source.next_batch(PATIENCE).ok()? {
            Next::Batch(batch) => {
                if let Some(packet) = first_with_time(&batch) {
                    return Some(packet.timestamp);
                }
            }
            Next::Idle => {}
            Next::End => return None,
        }
    }
}

/// The first packet that has a time: some blocks of pcapng have none.
fn first_with_time<'a>(batch: &Batch<'a>) -> Option<Packet<'a>> {
    batch.packets().next().filter(|packet| packet.timestamp != Timestamp::UNKNOWN)
}

/// Merges what comes in; sends on events as they happen, snapshots when asked, and all that stands at the end.
fn collect(
    mut collector: Collector,
    events: bool,
    incoming: Receiver<ToCollector>,
    outputs: &SyncSender<Output>,
) -> Result<(), Gone> {
    let put = |output| outputs.send(output).map_err(|_| Gone);
    for message in incoming {
        match message {
            ToCollector::Interface(name) => collector.add_interface(name),
            ToCollector::Names(names) => {
                for n in &names {
                    collector.give_name(n.addr, &n.name, NamedBy::Capture);
                }
            }
            ToCollector::Own(own) => {
                for addr in own {
                    collector.give_own(addr);
                }
            }
            ToCollector::Delta(delta) => {
                collector.absorb(*delta);
                let happened = collector.take_events(None);
                if !happened.is_empty() {
                    put(Output::Events(happened))?;
                }
            }
            ToCollector::Report => put(Output::Snapshot(Arc::new(collector.snapshot(None, false))))?,
            ToCollector::Fault { line, damage } => put(Output::Fault { line, damage })?,
        }
    }
    // Nothing comes behind this: the end of the program gives all memory back at once, sooner than flow by flow.
    let collector = ManuallyDrop::new(collector);
    end_flows(&collector, events, outputs)?;
    put(Output::Snapshot(Arc::new(collector.snapshot(None, true))))
}
