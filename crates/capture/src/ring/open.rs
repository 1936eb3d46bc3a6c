//! How capturing begins.

use std::cell::Cell;
use std::time::Duration;

use super::choice::Choice;
use super::follow::NOTHING;
use super::known::KnownLinks;
use super::late::{self, Late};
use super::link::Links;
use super::sys::{self, Blocks, Socket};
use super::{Error, ON_THE_WAY, Options, RingSource, filter};
use crate::bpf::Refusal;

/// `PACKET_FANOUT_HASH`, alike for both directions, under a number that nobody else uses
/// (`PACKET_FANOUT_FLAG_UNIQUEID`). Not `FLAG_DEFRAG`, which makes one packet of fragments.
const FANOUT_HASH_NEW: u32 = 0x2000 << 16;
/// The lower half of a fanout argument.
const FANOUT_ID: u32 = 0xffff;

impl RingSource {
    /// Begins to capture.
    pub fn open(options: &Options) -> Result<Self, Error> {
        let mut loader = options.count_in_kernel.then(late::Loader::new);
        let mut source = Self::prepare(options, options.interfaces.len() == 1, loader.as_mut())?;
        source.attach_filter()?;
        source.baseline[0] = source.counters()?;
        std::thread::sleep(ON_THE_WAY);
        source.bind()?;
        source.baseline[1] = source.counters()?;
        source.make_promiscuous()?;
        Ok(source)
    }

    /// Begins to capture with `workers` rings, among which packets are divided so that both directions of a
    /// flow are one's. The memory is divided too. Fragments of one datagram are one's, but not always the
    /// same one's as whole packets of its flow.
    ///
    /// A ring takes a moment to make: as soon as nobody `wants` more, there are no more than were made by then.
    pub fn open_group(
        options: &Options,
        workers: usize,
        wants: impl Fn() -> bool,
    ) -> Result<Vec<Self>, Error> {
        if workers <= 1 {
            return Ok(vec![Self::open(options)?]);
        }
        let mut options = options.clone();
        options.ring_bytes /= workers;
        let mut group: Vec<Self> = Vec::with_capacity(workers);
        let mut fanout = FANOUT_HASH_NEW;
        let mut loader = options.count_in_kernel.then(late::Loader::new);
        while group.len() < workers && (group.is_empty() || wants()) {
            let source = Self::prepare(&options, false, loader.as_mut())?;
            // Until all share the packets nobody takes any, or some would be taken twice.
            source.attach(&NOTHING)?;
            source.bind()?;
            source.socket.join_fanout(fanout).map_err(|e| Error::system("join the fanout group", e))?;
            if group.is_empty() {
                let made =
                    source.socket.fanout().map_err(|e| Error::system("ask for the fanout group", e))?;
                fanout = made & FANOUT_ID;
            }
            group.push(source);
        }
        if let Some(first) = group.first_mut() {
            first.baseline[0] = first.counters()?;
        }
        std::thread::sleep(ON_THE_WAY);
        for source in &group {
            source.attach_filter()?;
        }
        if let Some(first) = group.first_mut() {
            first.baseline[1] = first.counters()?;
            first.make_promiscuous()?;
        }
        Ok(group)
    }

    /// Everything but the filter and what makes packets come. `loader` loads what counts in the kernel, if that is wanted.
    fn prepare(options: &Options, bound: bool, loader: Option<&mut late::Loader>) -> Result<Self, Error> {
        let sockets = sys::within(options.namespace.as_deref(), || Ok((Links::sockets(), Socket::packet())));
        let (links, socket) = sockets.map_err(|source| match &options.namespace {
            Some(path) => Error::Namespace { name: path.display().to_string(), source },
            None => Error::system("open a socket", source),
        })?;
        let socket = socket.map_err(|e| Error::system("open a packet socket", e))?;
        let links = links.and_then(Links::watch).map_err(|e| Error::system("list interfaces", e))?;
        let choice = Choice::of(&options.interfaces, &links, bound)?;
        if options.hardware_clock {
            socket.stamp_by_hardware().map_err(|e| Error::system("use hardware clocks", e))?;
        }
        let counted = Options {
            ring_bytes: options.ring_bytes >> u32::from(options.halve_if_counted),
            ..options.clone()
        };
        let late = loader.map(|loader| count_late(loader, &counted, &choice));
        let (late, refusal) = match late.transpose() {
            Ok(late) => (late, None),
            Err(refusal) => (None, Some(refusal)),
        };
        let options = if late.is_some() { counted } else { options.clone() };
        let blocks = map(&socket, &options)?;
        Ok(Self {
            socket,
            blocks,
            late,
            refusal,
            at: 0,
            given_back: 0,
            rest: None,
            records: Vec::new(),
            pauses: Vec::new(),
            interfaces: Vec::new(),
            known: KnownLinks::default(),
            links,
            changes: Vec::new(),
            bell: None,
            choice,
            stopped: false,
            options,
            received: 0,
            captured: 0,
            totals: Cell::default(),
            baseline: Default::default(),
        })
    }
}

fn count_late(loader: &mut late::Loader, options: &Options, choice: &Choice) -> Result<Late, Refusal> {
    let decisions = filter::program(options.snaplen, None);
    let (block_size, blocks) = shape(options);
    let ring = late::Ring { block_size, blocks, patience: patience(options) };
    loader.load(&decisions, matches!(choice, Choice::Filtered(_)), ring)
}

/// How long a block is filled at most: the kernel counts milliseconds.
fn patience(options: &Options) -> Duration {
    Duration::from_millis(options.patience.as_millis().clamp(1, 60_000) as u64)
}

/// Bytes of a block, and how many of them a ring has.
fn shape(options: &Options) -> (usize, usize) {
    /// Fewer and a block would be waited for while it is read.
    const LEAST: usize = 4;
    let size = options.block_bytes.max(4096).next_power_of_two();
    (size, (options.ring_bytes / size).max(LEAST))
}

fn map(socket: &Socket, options: &Options) -> Result<Blocks, Error> {
    let (size, count) = shape(options);
    let retire = patience(options).as_millis() as u32;
    Blocks::map(socket, size as u32, count as u32, retire).map_err(|source| match source.raw_os_error() {
        Some(libc::ENOMEM) => Error::NoMemory { bytes: (size * count) as u64, source },
        _ => Error::system("make the ring", source),
    })
}
