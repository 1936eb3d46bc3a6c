//! Live capture on Linux: a ring that the kernel fills and we read, packet(7).
//!
//! One socket sees the packets of all interfaces, so that interfaces may come,
//! go and be renamed, and one ring is all the memory there is. Each packet says
//! which interface it passed. Where one interface alone is wanted, the socket is
//! bound to it, and packets of others cost nothing at all; where several are, the
//! filter chooses. The filter also decides how much of each packet is kept.
//!
//! A batch is a part of a block of the ring, lent in place: nothing is copied.
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
mod follow;
mod known;
mod late;
mod link;
mod open;
mod options;
mod program;
mod sys;

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use dissect::Pause;

use self::block::{Rest, Slots};
use self::choice::Choice;
use self::known::{Known, KnownLinks};
use self::late::Late;
use self::link::Links;
use self::sys::{Blocks, Socket};
use crate::bpf::Refusal;
use crate::fetch;
use crate::{Batch, CaptureStats, Interface, Next, PacketSource, Record, Records};

pub use self::counts::{KernelCounts, Unplaced};
pub use self::error::Error;
pub use self::filter::Snaplen;
pub use self::link::{InterfaceCounters, LinkChange, LinkChangeKind};
pub use self::options::Options;

/// How long it takes at most from an interface's counting packets to a ring's seeing them: an interface counts what it
/// has at once before it passes it on.
pub const ON_THE_WAY: Duration = Duration::from_millis(10);

/// Packets that are lent at once: what is written and read of them stays in the processor's nearest cache.
const TOGETHER: usize = 128;
/// So far ahead of the packet that is counted others are fetched, since another processor has just written them: beyond
/// those that are lent with it, so that they have come when they are listed.
const AHEAD: usize = 32 << 10;

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
    /// How many blocks were given back.
    given_back: u64,
    /// What was not lent of it yet; `None` if nothing was.
    rest: Option<Rest>,
    records: Vec<Record>,
    /// What the kernel has counted of streams before some of these packets.
    pauses: Vec<Pause>,
    interfaces: Vec<Interface>,
    known: KnownLinks,
    links: Links,
    changes: Vec<LinkChange>,
    bell: Option<Socket>,
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
            counters.interface = self.known.latest(counters.ifindex).map(|known| known.number);
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
        self.known.ifindex(number)
    }

    /// Names of the captured interfaces that are there now.
    pub fn interface_names(&self) -> Vec<String> {
        self.links.all().filter(|&(n, _)| self.choice.has(n)).map(|(_, link)| link.name.clone()).collect()
    }

    /// Those of them that are down: nothing passes there.
    pub fn down(&self) -> Vec<String> {
        let chosen = self.links.all().filter(|&(number, link)| self.choice.has(number) && !link.up);
        chosen.map(|(_, link)| link.name.clone()).collect()
    }

    /// Lists packets of the block that is read which were not lent yet, in `records`; `false` if it is not ours yet.
    fn list(&mut self) -> Result<bool, Error> {
        self.records.clear();
        loop {
            let Some(block) = self.blocks.get(self.at) else { return Ok(false) };
            let mut slots = if let Some(rest) = self.rest {
                Slots::from(block, rest)
            } else {
                fetch::lines(block, 0, AHEAD);
                Slots::of(block)
            };
            let mut last: Option<Known> = None;
            let mut stranger = None;
            while self.records.len() < TOGETHER {
                let rest = slots.rest();
                let Some(slot) = slots.next() else { break };
                let known = match last {
                    Some(known) if known.is_of(&slot) => known,
                    _ => {
                        let Some(known) = self.known.of(&slot) else {
                            stranger = Some((slot.ifindex, slot.hatype, rest));
                            break;
                        };
                        *last.insert(known)
                    }
                };
                self.records.push(known.record(&slot));
            }
            let Some((ifindex, hatype, rest)) = stranger else {
                self.rest = Some(slots.rest());
                return Ok(true);
            };
            self.rest = Some(rest);
            self.welcome(ifindex, hatype)?;
        }
    }

    /// Has [`PacketSource::next_batch`] wait no longer, whatever it was told, once `bell` can be read; it must not block.
    pub fn heed_bell(&mut self, bell: OwnedFd) {
        self.bell = Some(Socket::of(bell));
    }

    fn hear_bell(&mut self) {
        let Some(bell) = &self.bell else { return };
        loop {
            match bell.receive(&mut [0; 64]) {
                Ok(Some(1..)) => {}
                Ok(None) => return,
                // Nobody rings any more.
                Ok(Some(0)) | Err(_) => break,
            }
        }
        self.bell = None;
    }

    /// Whether all that is in the ring by now has been lent, and is not lent any more.
    pub fn is_drained(&mut self) -> bool {
        if self.rest.is_some_and(Rest::is_empty) {
            self.give_back();
        }
        self.rest.is_none() && self.blocks.is_empty(self.at)
    }

    /// Sleeps until something may have happened, and looks whether there is news of interfaces; gives whether the bell has rung.
    fn sleep(&mut self, timeout: Duration) -> Result<bool, Error> {
        let ready = sys::wait(&self.socket, &self.links.news, self.bell.as_ref(), timeout)
            .map_err(|e| Error::system("wait for packets", e))?;
        if ready.bell {
            self.hear_bell();
        }
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
        Ok(ready.bell)
    }

    fn give_back(&mut self) {
        self.blocks.give_back(self.at);
        self.at = (self.at + 1) % self.blocks.count();
        self.given_back += 1;
        self.rest = None;
        if let Some(late) = &self.late {
            late.set_limit(&self.blocks, self.at);
        }
    }
}

impl PacketSource for RingSource {
    type Error = Error;

    fn next_batch(&mut self, timeout: Duration) -> Result<Next<'_>, Error> {
        if self.rest.is_some_and(Rest::is_empty) {
            self.give_back();
        }
        // Whether it was looked for news of interfaces since this call began: what a new block has may be of one that is new.
        let mut watched = self.rest.is_some();
        let mut deadline = None;
        loop {
            if self.blocks.get(self.at).is_some() && !std::mem::replace(&mut watched, true) {
                self.heed_links()?;
            }
            if self.list()? {
                if self.records.is_empty() {
                    self.give_back();
                    continue;
                }
                break;
            }
            let now = Instant::now();
            let end = *deadline.get_or_insert(now.checked_add(timeout));
            let left = end.map_or(timeout, |end| end.saturating_duration_since(now));
            if left.is_zero() && !watched {
                self.heed_links()?;
            }
            if left.is_zero() || self.sleep(left)? {
                return Ok(Next::Idle);
            }
            watched = true;
        }
        self.pauses.clear();
        if let Some(late) = &mut self.late {
            late.take_pauses(&mut self.pauses);
        }
        self.received += self.records.len() as u64;
        self.captured += self.records.iter().map(|r| u64::from(r.captured)).sum::<u64>();
        let buffer = self.blocks.get(self.at).unwrap_or_default();
        Ok(Next::Batch(Batch {
            buffer,
            ahead: None,
            fetch: AHEAD,
            records: Records::Listed(&self.records),
            interfaces: &self.interfaces,
            pauses: &self.pauses,
        }))
    }

    fn stats(&self) -> CaptureStats {
        let dropped = self.ring_stats().dropped;
        CaptureStats { received: self.received, dropped, consumed: self.captured }
    }
}
