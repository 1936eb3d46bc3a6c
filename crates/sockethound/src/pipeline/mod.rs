//! The path of the packets: workers → collector → outputs, one way, one owner a value.
//!
//! Workers take packets from captures or rings and count them; the collector
//! merges, learns owners and freezes; the calling thread hands events and
//! snapshots to whoever shows them. The channels are bounded. A slow output
//! slows the reading of a capture; a ring's worker goes on: what it cannot
//! hand on it keeps adding up, until flows pile up that nobody takes.

mod bell;
#[cfg(target_os = "linux")]
mod clocks;
#[cfg(target_os = "linux")]
mod desk;
#[cfg(target_os = "linux")]
mod drops;
mod files;
#[cfg(target_os = "linux")]
pub mod live;
#[cfg(not(target_os = "linux"))]
#[path = "no_live.rs"]
pub mod live;
#[cfg(target_os = "linux")]
mod others;
#[cfg(target_os = "linux")]
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use capture::Reader;
use capture::file::Name;
use dissect::Packet;
use flow::{Collector, Config, Event, Fetch, FlowTable, NamedBy, Options, Snapshot};

pub use self::bell::Bell;
pub use self::files::Files;
pub use self::live::Live;

/// How long a thread waits for what it works on before it looks at the clock and at signals.
const PATIENCE: Duration = Duration::from_millis(250);
/// Messages and evicted flows that a table holds before it hands them on: few enough to stay in the cache, many enough
/// that handing on costs nothing.
const EVENTS_AT_ONCE: usize = 1024;

/// A table that counts batches.
struct Observe<'t>(&'t mut FlowTable);

impl<'a> Reader<'a> for Observe<'_> {
    #[inline]
    fn read(self, packets: impl Iterator<Item = Packet<'a>>) {
        self.0.observe_batch_by::<Near>(packets);
    }
}

/// The processor can have memory brought near.
struct Near;

impl Fetch for Near {
    #[inline(always)]
    fn fetch(place: *const u8) {
        capture::bring_near(place);
    }
}

/// Where packets come from.
#[derive(Debug)]
pub enum Input {
    /// Captures.
    Files(Files),
    /// This machine's interfaces.
    Live(Box<Live>),
}

/// How it is counted.
#[derive(Debug)]
pub struct Job {
    /// How flows are counted.
    pub options: Options,
    /// What views want.
    pub config: Config,
    /// Names from the hosts file, for addresses that no lookup names.
    pub names: Vec<Name>,
    /// Interim snapshots: live, and while a pipe keeps coming.
    pub interval: Option<Duration>,
    /// Stop after this long.
    pub duration: Option<Duration>,
}

/// What the workers have done so far, for whoever watches; and the wish to end.
#[derive(Debug, Default)]
pub struct Watch {
    /// Packets counted.
    pub packets: AtomicU64,
    /// Bytes of the captures read, as stored.
    pub consumed: AtomicU64,
    /// Set to end the run: what was read is reported.
    pub stop: Arc<AtomicBool>,
    /// Set to get a snapshot now.
    pub report: Arc<AtomicBool>,
    /// Set, live, to get [`Output::Asked`].
    pub asked: Arc<AtomicBool>,
    /// Live, to be rung when any of these was set.
    pub bell: Option<Bell>,
}

/// What comes out at the end of the path.
#[derive(Debug)]
pub enum Output {
    /// What happened, in order.
    Events(Vec<Event>),
    /// What stands.
    Snapshot(Arc<Snapshot>),
    /// A capture is damaged, or could not be read: one line.
    Fault {
        /// What to tell the user.
        line: String,
        /// The good part was counted.
        damage: bool,
    },
    /// Something that the user should know, and that is no fault: one line.
    Notice(String),
    /// Whoever takes outputs is to look at what else is asked of it ([`Watch::asked`]).
    Asked,
}

/// The other side is gone: nobody wants the rest.
struct Gone;

/// Counts what comes from `input`, and gives what comes out to `each`, until that says to stop by `false`; `idle` is
/// called behind each, and while captures are read now and then.
pub fn run(
    input: Input,
    job: &Job,
    watch: &Watch,
    mut each: impl FnMut(Output) -> bool,
    mut idle: impl FnMut(),
) {
    let (outputs, results) = sync_channel(2);
    let mut collector = Collector::new(job.config.clone());
    for name in &job.names {
        collector.give_name(name.addr, &name.name, NamedBy::Hosts);
    }
    // Live, the collector looks at the clock anyway: a thread that wakes for it alone costs as much as thousands of packets.
    let looks = matches!(input, Input::Files(_));
    thread::scope(|scope| {
        match input {
            Input::Files(files) => files.spawn(scope, job, watch, collector, outputs),
            Input::Live(live) => live.spawn(scope, job, watch, collector, outputs),
        }
        loop {
            let next = if looks {
                results.recv_timeout(PATIENCE)
            } else {
                results.recv().map_err(RecvTimeoutError::from)
            };
            match next {
                Ok(output) => {
                    if !each(output) {
                        break;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            idle();
        }
        // All threads end when they find that nobody listens.
        watch.stop.store(true, Ordering::Relaxed);
        watch.bell.iter().for_each(Bell::ring);
        drop(results);
    });
}

/// Starts a thread under a name that `ps -L` shows.
///
/// # Panics
/// If the system has no thread to give.
fn start<'s>(scope: &'s thread::Scope<'s, '_>, name: &str, work: impl FnOnce() + Send + 's) {
    thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work).expect("a thread can be started");
}

/// Tells of every flow that is still open, if somebody wants to hear of flows at all.
fn end_flows(collector: &Collector, events: bool, outputs: &SyncSender<Output>) -> Result<(), Gone> {
    if !events {
        return Ok(());
    }
    let mut gone = false;
    collector.end_flows(|flows| gone = gone || outputs.send(Output::Events(flows)).is_err());
    if gone { Err(Gone) } else { Ok(()) }
}
