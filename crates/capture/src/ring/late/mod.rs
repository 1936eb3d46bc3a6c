//! Counting in the kernel what the ring may have no room for, so that a late reader loses no packet; and what nobody reads
//! any more ([`settled`]).
//!
//! A program in the kernel takes the filter's place. It decides alike, and
//! estimates meanwhile how full the ring is: a packet for which there may be no
//! room does not go into it, but is added to what its five-tuple has, in memory
//! that we have mapped. So each packet is either in the ring or counted here,
//! once, and the kernel itself drops none. What is missing of those that are
//! counted is what only their bytes would tell.
//!
//! It takes `CAP_BPF` to begin with; from then on all is done through shared memory: no system
//! call, no privilege.
//!
//! # How full the ring is
//!
//! The program adds what each packet may take in the ring to a *position*, and
//! compares that with a *limit*. We set the limit each time that we give a block
//! back: the position of that moment, and what surely fits into the blocks that
//! are free then. The estimate so never drifts: only what passes between two
//! settings is estimated. How the numbers relate to blocks is [`Room`]'s.
//!
//! # How nothing is counted twice, or lost
//!
//! There are two generations of counts. Programs say when they begin and when
//! they end to use the current one. To take it, we make the other one current,
//! wait until nobody uses this one, and have it for ourselves. Whatever finds no
//! place in a generation is added up by interface, which is never set back.

mod acks;
mod entry;
mod extended;
mod loader;
mod memory;
mod room;
mod settled;
mod streams;
mod sys;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::time::Duration;

use aya::Ebpf;
use aya::maps::MapData;
use dissect::{Pause, SettledCount, Unread, Way};

use self::acks::Acks;
pub(super) use self::entry::Entry;
use self::loader::RESERVE;
pub(super) use self::loader::{Loader, Ring};
use self::memory::{ENTRY, LINKS, REST, USE};
use self::room::Room;
use self::settled::Settled;
use self::streams::Streams;
use super::link::{Links, arphrd, start};
use super::sys::{Blocks, Socket};
use crate::bpf::Words;

/// How long programs that still use a generation are waited for; they take some microseconds.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_micros(20);
const TCP: u8 = 6;

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) entries: Vec<Entry>,
    /// From the monotonic clock, which entries have, to that of packets, in nanoseconds.
    pub(super) offset: i64,
    /// By interface, what found no place among the entries; of no interface, of those for which there was no place either.
    pub(super) rests: Vec<(Option<u32>, u64, u64)>,
}

/// The programs of one ring, and what is shared with them. They end with the socket.
pub(super) struct Late {
    first: OwnedFd,
    /// The ring's filter; the first program calls it.
    #[cfg_attr(not(test), expect(dead_code, reason = "it stays loaded"))]
    filter: OwnedFd,
    /// Whether the filter chooses interfaces.
    chosen: bool,
    room: Room,
    entries: usize,
    state: Words,
    generations: Words,
    index: Words,
    counts: Words,
    rests: Words,
    links: Words,
    /// What is taken of the packets that were counted.
    taken: u64,
    /// The generation that is not current, where it was not waited for to the end.
    behind: Option<usize>,
    /// What was taken of `rests`.
    told: Vec<(u64, u64)>,
    settled: Settled,
    streams: Streams,
    acks: Acks,
    /// The kernel forgets what is called when nobody holds this.
    _calls: MapData,
    _ebpf: Ebpf,
}

impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Late")
            .field("room", &self.room)
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

impl Late {
    /// Has `socket` filtered by this from now on.
    pub(super) fn attach(&self, socket: &Socket) -> io::Result<()> {
        socket.attach_extended(self.first.as_fd())
    }

    /// Tells of all interfaces, and which of them are taken; gives whether those can all be told of.
    ///
    /// Packets of one that is not told of are kept whole, unless interfaces are chosen: then they are not taken.
    pub(super) fn set_links(&self, links: &Links, taken: impl Fn(u32) -> bool) -> bool {
        let mut table = vec![0; LINKS];
        let mut all = true;
        let mut links: Vec<_> = links.all().collect();
        // Those that are taken come last, they put others out; and the loopback behind them: of the two copies of its packets
        // one must not be taken, which only what is told of it says.
        links.sort_by_key(|&(number, link)| (taken(number), link.hatype == arphrd::LOOPBACK));
        for (number, link) in links {
            let wanted = taken(number);
            let place = &mut table[number as usize % LINKS];
            all &= !(wanted && memory::is_taken(*place));
            *place = memory::link(number, link.hatype, wanted, start(link.hatype));
        }
        for (place, link) in self.links.all().iter().zip(table) {
            place.store(link, Relaxed);
        }
        all || !self.chosen
    }

    /// Says how much room there is in the ring, whose blocks from number `at` on are still to be read.
    pub(super) fn set_limit(&self, blocks: &Blocks, at: usize) {
        let state = self.state.all();
        // First: what is charged from here on may be in the blocks already, which makes them seem fuller.
        let position = state[memory::POSITION].load(SeqCst);
        let count = blocks.count();
        let full = blocks.full(at);
        let free = count.saturating_sub(full + RESERVE) as u64;
        state[memory::LIMIT].store(position + free * self.room.block, Release);
    }

    /// Whether packets were counted that were not taken.
    pub(super) fn has_counted(&self) -> bool {
        self.state.all()[memory::PACKETS].load(Acquire) != self.taken || self.behind.is_some()
    }

    /// Whether there will soon be no place for further five-tuples.
    pub(super) fn is_nearly_full(&self) -> bool {
        let current = self.state.all()[memory::GENERATION].load(Relaxed) as usize & 1;
        self.generation(current)[memory::USED].load(Relaxed) as usize > self.entries / 2
    }

    fn generation(&self, number: usize) -> &[AtomicU64] {
        &self.generations.all()[number * USE..][..USE]
    }

    /// Takes all that was counted until now, and what found no place.
    ///
    /// What is counted at this very moment may be left for the next time.
    pub(super) fn take(&mut self) -> Taken {
        let state = self.state.all();
        let packets = state[memory::PACKETS].load(Acquire);
        let current = state[memory::GENERATION].load(Relaxed) as usize & 1;
        let old = self.behind.unwrap_or(current);
        if self.behind.is_none() {
            state[memory::GENERATION].store(1 - current as u64, SeqCst);
        }
        if !self.is_left(old) {
            self.behind = Some(old);
            return Taken::default();
        }
        // What was counted since it was left behind is in the other one.
        if self.behind.take().is_none() {
            self.taken = packets;
        }
        Taken { entries: self.clear(old), offset: offset(), rests: self.take_rests() }
    }

    /// Has the kernel count these packets from now on, beside the ring, but for those that somebody may read. All that passes
    /// now is in the ring behind its block number `since`.
    pub(super) fn settle(&mut self, way: Way, ifindex: u32, unread: Unread, since: u64) {
        let state = self.state.all();
        let Some(place) = self.settled.add(way, ifindex, unread, state) else { return };
        match unread {
            Unread::Data => self.streams.watch(place, way, since, state),
            Unread::Nothing if way.tuple.protocol == TCP => self.acks.watch(place, way, since),
            Unread::Nothing => {}
        }
    }

    /// Reads ahead what [`Self::settle`] will change.
    pub(super) fn warm(&self, way: &Way, ifindex: u32) -> u64 {
        self.settled.warm(way, ifindex)
    }

    /// Has these packets go into the ring again.
    pub(super) fn unsettle(&mut self, way: &Way, ifindex: u32) {
        if let Some(place) = self.settled.remove(way, ifindex) {
            self.streams.stop(place);
        }
    }

    /// The same of all that do not, on an interface or anywhere.
    pub(super) fn unsettle_all(&mut self, ifindex: Option<u32>) {
        self.settled.remove_all(ifindex, |place| self.streams.stop(place));
    }

    /// Has segments counted of flows of whose packets before none is left, now that `done` blocks of the ring were read; `next`
    /// says how far one has come.
    pub(super) fn count_streams(&mut self, done: u64, mut next: impl FnMut(&Way, Unread) -> Option<u32>) {
        while let Some((place, way)) = self.acks.next_due(done) {
            if next(&way, Unread::Nothing).is_some() {
                self.settled.count_nothing(place);
            }
        }
        while let Some((place, way)) = self.streams.next_due(done) {
            match next(&way, Unread::Data) {
                Some(next) => self.streams.count(place, next),
                None => self.streams.stop(place),
            }
        }
    }

    /// Tells of pauses in the data that is counted.
    pub(super) fn take_pauses(&mut self, to: &mut Vec<Pause>) {
        self.streams.take_pauses(offset, self.state.all(), to);
    }

    /// Hands over what was counted of settled flows.
    pub(super) fn take_settled(&mut self, to: impl FnMut(&SettledCount)) {
        let state = self.state.all();
        self.settled.take(offset(), state, to, |place| {
            self.streams.forget(place, state);
            self.acks.forget(place);
        });
    }

    /// Whether no program uses a generation any more, which is not current.
    fn is_left(&self, number: usize) -> bool {
        let users = &self.generation(number)[memory::USERS];
        for _ in 0..TRIES {
            if users.load(SeqCst) == 0 {
                return true;
            }
            std::thread::sleep(PAUSE);
        }
        false
    }

    /// Takes what a generation has that nobody else uses.
    fn clear(&self, number: usize) -> Vec<Entry> {
        let used = &self.generation(number)[memory::USED];
        let count = (used.swap(0, Relaxed) as usize).min(self.entries);
        let entries = &self.counts.all()[number * self.entries * ENTRY..][..count * ENTRY];
        let mut all = Vec::with_capacity(count);
        for words in entries.chunks_exact(ENTRY) {
            let entry = Entry::copy(words);
            if let Some(place) = self.index.all().get(entry.slot()) {
                place.store(0, Relaxed);
            }
            all.push(entry);
        }
        all
    }

    fn take_rests(&mut self) -> Vec<(Option<u32>, u64, u64)> {
        let rests = self.rests.all().chunks_exact(REST).zip(&mut self.told).enumerate();
        let news = rests.filter_map(|(number, (words, told))| {
            let now = (words[1].load(Acquire), words[2].load(Acquire));
            let before = std::mem::replace(told, now);
            let ifindex = (number > 0).then(|| words[0].load(Relaxed) as u32);
            (now != before).then(|| (ifindex, now.0 - before.0, now.1 - before.1))
        });
        news.collect()
    }
}

/// From the monotonic clock to that of packets, in nanoseconds.
fn offset() -> i64 {
    sys::time(libc::CLOCK_REALTIME) - sys::time(libc::CLOCK_MONOTONIC)
}

#[cfg(test)]
mod tests;
