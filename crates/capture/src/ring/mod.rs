//! Live capture on Linux: a ring that the kernel fills and we read, packet(7).
//!
//! One socket sees the packets of all interfaces, so that interfaces may come,
//! go and be renamed, and one ring is all the memory there is. Each packet says
//! which interface it passed. Where one interface alone is wanted, the socket is
//! bound to it, and packets of others cost nothing at all; where several are, the
//! filter chooses. The filter also decides how much of each packet is kept.
//!
//! A batch is a block of the ring, lent in place: nothing is copied.
//!
//! Not handled: packets of other network namespaces than the one chosen at the
//! beginning. What an offloading interface splits or merges is seen as one
//! packet, of the length the kernel gives it. A VLAN tag that the kernel took
//! out stands in [`Record::vlan_tci`] and is not part of the wire length.

mod block;
mod choice;
mod counts;
mod error;
mod filter;
mod late;
mod link;
mod options;
mod program;
mod sys;

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use self::block::{Slot, Slots};
use self::choice::Choice;
use self::late::Late;
use self::link::{Link, Links, Start, arphrd};
use self::program::{Instruction, RET_K};
use self::sys::{Blocks, Socket};
use crate::bpf::Refusal;
use crate::{Batch, CaptureStats, Interface, Next, PacketSource, Record, Records};

pub use self::counts::{KernelCounts, Unplaced};
pub use self::error::Error;
pub use self::filter::Snaplen;
pub use self::link::{InterfaceCounters, LinkChange, LinkChangeKind};
pub use self::options::Options;

/// How long it takes at most from an interface's counting packets to a ring's seeing them: an interface counts what it
/// has at once before it passes it on.
pub const ON_THE_WAY: Duration = Duration::from_millis(10);

/// The kernel's account of a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingStats {
    /// Packets that passed the filter, dropped ones included.
    pub seen: u64,
    /// Packets for which there was no room.
    pub dropped: u64,
    /// How often the ring ran full.
    pub freezes: u64,
    /// Packets that were counted in the kernel and are in none of the above.
    pub counted: u64,
}

/// An interface that a packet was seen of.
#[derive(Clone, Copy, Debug)]
struct Known {
    ifindex: u32,
    hatype: u16,
    start: Start,
    /// Index into the interfaces.
    number: u32,
}

/// Packets from interfaces of this machine.
#[derive(Debug)]
pub struct RingSource {
    socket: Socket,
    blocks: Blocks,
    /// Counts what the ring may have no room for, if it is wanted and permitted.
    late: Option<Late>,
    /// Why that is not so.
    refusal: Option<Refusal>,
    /// The block that is read next, or is lent.
    at: usize,
    lent: bool,
    records: Vec<Record>,
    interfaces: Vec<Interface>,
    known: Vec<Known>,
    links: Links,
    /// The last sleep has looked whether there is news of interfaces.
    watched: bool,
    changes: Vec<LinkChange>,
    choice: Choice,
    /// Nothing is taken any more, whatever becomes of interfaces.
    stopped: bool,
    options: Options,
    received: u64,
    captured: u64,
    totals: Cell<RingStats>,
    /// What the interfaces had counted before and after capturing began.
    baseline: [Vec<InterfaceCounters>; 2],
}

impl RingSource {
    /// Begins to capture.
    pub fn open(options: &Options) -> Result<Self, Error> {
        let mut source = Self::prepare(options, options.interfaces.len() == 1)?;
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
    pub fn open_group(options: &Options, workers: usize) -> Result<Vec<Self>, Error> {
        if workers <= 1 {
            return Ok(vec![Self::open(options)?]);
        }
        let mut options = options.clone();
        options.ring_bytes /= workers;
        let mut group: Vec<Self> = Vec::with_capacity(workers);
        let mut fanout = FANOUT_HASH_NEW;
        for _ in 0..workers {
            let source = Self::prepare(&options, false)?;
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

    /// Everything but the filter and what makes packets come.
    fn prepare(options: &Options, bound: bool) -> Result<Self, Error> {
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
        // Before there is a ring: reading the kernel's types takes nearly as much memory.
        let late = options.count_in_kernel.then(|| count_late(options, &choice));
        let blocks = map(&socket, options)?;
        let (late, refusal) = match late.transpose() {
            Ok(late) => (late, None),
            Err(refusal) => (None, Some(refusal)),
        };
        Ok(Self {
            socket,
            blocks,
            late,
            refusal,
            at: 0,
            lent: false,
            records: Vec::new(),
            interfaces: Vec::new(),
            known: Vec::new(),
            links,
            watched: false,
            changes: Vec::new(),
            choice,
            stopped: false,
            options: options.clone(),
            received: 0,
            captured: 0,
            totals: Cell::default(),
            baseline: Default::default(),
        })
    }

    /// What the kernel counts; every packet that passed is seen or, if so told, dropped.
    pub fn ring_stats(&self) -> RingStats {
        let mut totals = self.totals.get();
        if let Ok(new) = self.socket.statistics() {
            totals.seen += u64::from(new.packets);
            totals.dropped += u64::from(new.drops);
            totals.freezes += u64::from(new.freezes);
            self.totals.set(totals);
        }
        totals
    }

    /// Why the kernel does not count what the ring has no room for, though that was wanted.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// Memory of the ring, in bytes.
    pub fn bytes(&self) -> usize {
        self.options.ring_bytes
    }

    /// What became of captured interfaces since the last call.
    ///
    /// A renamed interface keeps its number; its name in [`Batch::interfaces`] is the new one.
    pub fn take_changes(&mut self) -> Vec<LinkChange> {
        std::mem::take(&mut self.changes)
    }

    /// What the captured interfaces have counted since they were made.
    pub fn counters(&mut self) -> Result<Vec<InterfaceCounters>, Error> {
        let mut all = self.links.counters().map_err(|e| Error::system("ask for interface counters", e))?;
        all.retain(|c| self.choice.has(c.ifindex));
        for counters in &mut all {
            let seen = self.known.iter().rev().find(|k| k.ifindex == counters.ifindex);
            counters.interface = seen.map(|k| k.number);
        }
        Ok(all)
    }

    /// What the captured interfaces had counted before the first packet was captured, and after nothing was missed any
    /// more; of a group, its first source knows.
    pub fn baseline(&self) -> &[Vec<InterfaceCounters>; 2] {
        &self.baseline
    }

    /// The interfaces of which a packet was seen; [`Record::interface`] counts through them.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Number in the system of the interface that stands at `number` in [`Batch::interfaces`].
    pub fn ifindex(&self, number: usize) -> Option<u32> {
        self.known.iter().find(|known| known.number as usize == number).map(|known| known.ifindex)
    }

    /// Takes no further packets; those that passed are still handed out, within [`Options::patience`].
    pub fn stop(&mut self) -> Result<(), Error> {
        self.stopped = true;
        self.attach(&NOTHING)
    }

    /// Names of the captured interfaces that are there now.
    pub fn interface_names(&self) -> Vec<String> {
        self.links.all().filter(|&(n, _)| self.choice.has(n)).map(|(_, link)| link.name.clone()).collect()
    }

    fn filter(&self) -> Vec<Instruction> {
        let chosen =
            if let Choice::Filtered(numbers) = &self.choice { Some(numbers.as_slice()) } else { None };
        filter::program(self.options.snaplen, chosen)
    }

    /// Has the filter decide from now on. One that counts can only tell so many interfaces apart.
    fn attach_filter(&self) -> Result<(), Error> {
        match &self.late {
            Some(late) if late.set_links(&self.links, |number| self.choice.has(number)) => {
                late.attach(&self.socket).map_err(|e| Error::system("attach the filter", e))
            }
            _ => self.attach(&self.filter()),
        }
    }

    fn attach(&self, program: &[Instruction]) -> Result<(), Error> {
        self.socket.attach(program).map_err(|e| Error::system("attach the snaplen filter", e))
    }

    fn bind(&self) -> Result<(), Error> {
        let number = match self.choice {
            Choice::Bound(None) => return Ok(()),
            Choice::Bound(Some(number)) => number,
            Choice::All | Choice::Filtered(_) => 0,
        };
        match self.socket.bind_packet(number as i32) {
            // It has gone since we looked; it may come again.
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENODEV | libc::ENXIO)) => Ok(()),
            other => other.map_err(|e| Error::system("bind the packet socket", e)),
        }
    }

    /// Asks every chosen interface for all packets, if that is wanted.
    fn make_promiscuous(&self) -> Result<(), Error> {
        if !self.options.promiscuous {
            return Ok(());
        }
        for (number, link) in self.links.all() {
            if self.choice.has(number) && link.hatype != arphrd::LOOPBACK {
                match self.socket.join_promiscuous(number as i32) {
                    Err(e) if e.raw_os_error() != Some(libc::ENODEV) => {
                        return Err(Error::system("switch to promiscuous mode", e));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Learns what became of the interfaces, and captures those that are to be captured now.
    fn heed_links(&mut self) -> Result<(), Error> {
        self.links.update().map_err(|e| Error::system("watch interfaces", e))?;
        let changes = self.links.take_changes();
        if let Some(late) = self.late.as_ref().filter(|_| !changes.is_empty()) {
            late.set_links(&self.links, |number| self.choice.has(number));
        }
        for change in changes {
            self.heed(change)?;
        }
        Ok(())
    }

    fn heed(&mut self, change: LinkChange) -> Result<(), Error> {
        let number = change.ifindex;
        let ours = self.choice.has(number);
        let wanted = self.options.interfaces.contains(&change.name);
        match &change.kind {
            LinkChangeKind::Added => {
                // The number may have been another's.
                self.known.retain(|k| k.ifindex != number);
                if self.choice == Choice::All && self.options.promiscuous {
                    let _ = self.socket.join_promiscuous(number as i32);
                }
            }
            LinkChangeKind::Renamed { .. } => {
                for known in self.known.iter().filter(|k| k.ifindex == number) {
                    if let Some(interface) = self.interfaces.get_mut(known.number as usize) {
                        interface.name = Some(change.name.clone());
                    }
                }
            }
            _ => {}
        }
        let before = self.choice.clone();
        match change.kind {
            LinkChangeKind::Removed => self.choice.remove(number),
            LinkChangeKind::Added | LinkChangeKind::Renamed { .. } if wanted => self.choice.add(number),
            _ => {}
        }
        if self.choice != before {
            self.choose()?;
        }
        if ours || self.choice.has(number) {
            self.changes.push(change);
        }
        Ok(())
    }

    /// Makes the kernel follow a changed choice, unless nothing is taken any more.
    fn choose(&self) -> Result<(), Error> {
        if self.stopped {
            return Ok(());
        }
        match &self.choice {
            Choice::All => return Ok(()),
            Choice::Bound(_) => self.bind()?,
            Choice::Filtered(_) => self.attach_filter()?,
        }
        self.make_promiscuous()
    }

    /// Reads the next block into `records`; `false` if it is not ours yet.
    fn read_block(&mut self) -> Result<bool, Error> {
        self.records.clear();
        loop {
            let Some(block) = self.blocks.get(self.at) else { return Ok(false) };
            let mut last: Option<Known> = None;
            let mut stranger = false;
            for slot in Slots::of(block).skip(self.records.len()) {
                let known = match last {
                    Some(known) if known.is_of(&slot) => known,
                    _ => {
                        let Some(known) = self.known.iter().find(|k| k.is_of(&slot)) else {
                            stranger = true;
                            break;
                        };
                        *last.insert(*known)
                    }
                };
                self.records.push(known.record(&slot));
            }
            if !stranger {
                return Ok(true);
            }
            let slot = Slots::of(block).nth(self.records.len());
            if let Some(slot) = slot {
                self.welcome(slot.ifindex, slot.hatype)?;
            }
        }
    }

    /// Gives an interface its number.
    fn welcome(&mut self, ifindex: u32, hatype: u16) -> Result<(), Error> {
        if self.links.get(ifindex).is_none() {
            self.heed_links()?;
        }
        let link = self.links.get(ifindex).or_else(|| self.links.departed(ifindex));
        let (name, splits_at) = (link.map(|l| l.name.clone()), link.and_then(Link::splits_at));
        let start = link::start(hatype);
        let link_type = match start {
            Start::Link(link_type) => link_type,
            Start::Network => dissect::LinkType::RAW,
        };
        self.known.push(Known { ifindex, hatype, start, number: self.interfaces.len() as u32 });
        self.interfaces.push(Interface { link_type, name, splits_at });
        Ok(())
    }

    /// Sleeps until something may have happened.
    fn sleep(&mut self, timeout: Duration) -> Result<(), Error> {
        let ready = sys::wait(&self.socket, &self.links.news, timeout)
            .map_err(|e| Error::system("wait for packets", e))?;
        self.watched = true;
        if ready.links {
            self.heed_links()?;
        }
        if ready.error {
            let code = self.socket.take_error().map_err(|e| Error::system("wait for packets", e))?;
            // The interface went down or away: it may come again.
            if !matches!(code, 0 | libc::ENETDOWN | libc::ENODEV | libc::ENXIO) {
                return Err(Error::system("receive packets", io::Error::from_raw_os_error(code)));
            }
        }
        Ok(())
    }

    fn give_back(&mut self) {
        self.blocks.give_back(self.at);
        self.at = (self.at + 1) % self.blocks.count();
        self.lent = false;
        if let Some(late) = &self.late {
            late.set_limit(&self.blocks, self.at);
        }
    }
}

impl PacketSource for RingSource {
    type Error = Error;

    fn next_batch(&mut self, timeout: Duration) -> Result<Next<'_>, Error> {
        if self.lent {
            self.give_back();
        }
        if !std::mem::take(&mut self.watched) {
            self.heed_links()?;
        }
        let mut deadline = None;
        loop {
            if self.read_block()? {
                if self.records.is_empty() {
                    self.give_back();
                    continue;
                }
                self.lent = true;
                break;
            }
            let now = Instant::now();
            let end = *deadline.get_or_insert(now.checked_add(timeout));
            let left = end.map_or(timeout, |end| end.saturating_duration_since(now));
            if left.is_zero() {
                return Ok(Next::Idle);
            }
            self.sleep(left)?;
        }
        self.received += self.records.len() as u64;
        self.captured += self.records.iter().map(|r| u64::from(r.captured)).sum::<u64>();
        let buffer = self.blocks.get(self.at).unwrap_or_default();
        Ok(Next::Batch(Batch {
            buffer,
            ahead: None,
            records: Records::Listed(&self.records),
            interfaces: &self.interfaces,
        }))
    }

    fn stats(&self) -> CaptureStats {
        let dropped = self.ring_stats().dropped;
        CaptureStats { received: self.received, dropped, consumed: self.captured }
    }
}

impl Known {
    #[inline]
    fn is_of(&self, slot: &Slot) -> bool {
        self.ifindex == slot.ifindex && self.hatype == slot.hatype
    }

    #[inline]
    fn record(&self, slot: &Slot) -> Record {
        let skipped = match self.start {
            Start::Link(_) => 0,
            Start::Network => slot.network.min(slot.captured),
        };
        Record {
            timestamp: slot.timestamp,
            start: slot.start + skipped,
            captured: slot.captured - skipped,
            wire_len: slot.wire_len,
            interface: self.number,
            vlan_tci: slot.vlan_tci,
            direction: slot.direction,
        }
    }
}

/// `PACKET_FANOUT_HASH`, alike for both directions, under a number that nobody else uses
/// (`PACKET_FANOUT_FLAG_UNIQUEID`). Not `FLAG_DEFRAG`, which makes one packet of fragments.
const FANOUT_HASH_NEW: u32 = 0x2000 << 16;
/// A filter that no packet passes.
const NOTHING: [Instruction; 1] = [Instruction { code: RET_K, jt: 0, jf: 0, k: 0 }];
/// The lower half of a fanout argument.
const FANOUT_ID: u32 = 0xffff;

fn count_late(options: &Options, choice: &Choice) -> Result<Late, Refusal> {
    let decisions = filter::program(options.snaplen, None);
    let (block_size, blocks) = shape(options);
    let ring = late::Ring { block_size, blocks, patience: patience(options) };
    let late = Late::load(&decisions, matches!(choice, Choice::Filtered(_)), ring);
    // The kernel's types were read for it.
    crate::memory::give_back();
    late
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
