//! Data of settled flows: segments of TCP that go on where the one before ended.
//!
//! `stream.h` says how the program watches a stream, counts it and pauses. Here is the reader's part: it says how far a stream
//! has come as soon as it has had all blocks of the ring that may hold what passed before the watch; and it learns of pauses
//! before it lends the packets that made them.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use dissect::{Pause, Stretch, Timestamp, Way};

use super::memory;
use super::settled::PLACES;
use crate::bpf::Words;

/// Words of a `struct stream`, and where they stand in it.
pub(super) const WORDS: usize = 4;
const STATE: usize = 0;
const LAST: usize = 1;
const FROM: usize = 2;
const LEAST: usize = 3;
/// Bits of its state.
const LIVE: u64 = 1 << 34;
const STOPPED: u64 = 1 << 35;
/// How far it has come has been said.
const SAID: u64 = 1 << 32;
/// Words of a `struct pause`, and where they stand in it.
pub(super) const PAUSE: usize = 4;
const PLACE: usize = 0;
const COUNTED: usize = 1;
const PAUSED: usize = 2;
/// Beside the place of its stream: something was counted, and nothing will be.
const HAS_COUNTED: u64 = 1 << 32;
const IS_OVER: u64 = 1 << 33;

/// Streams that are watched or counted, at the places of their flows.
#[derive(Debug)]
pub(super) struct Streams {
    words: Words,
    /// Pauses that the program tells of, in a ring.
    pauses: Words,
    /// How many of these were read.
    read: u64,
    all: HashMap<u32, Stream>,
    /// Whose reader has not had yet what passed before the watch, in the order of [`Stream::since`].
    watched: VecDeque<(u32, u64)>,
    /// Those that were stopped from here.
    ended: Vec<u32>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Stream {
    way: Way,
    /// Blocks of the ring that the reader must have had.
    since: u64,
}

impl Streams {
    pub(super) fn new(words: Words, pauses: Words) -> Self {
        let (all, watched, ended) = Default::default();
        Self { words, pauses, read: 0, all, watched, ended }
    }

    fn of(&self, place: u32) -> &[AtomicU64] {
        &self.words.all()[place as usize * WORDS..][..WORDS]
    }

    /// Watches the stream at `place`, of which all passes from block `since` of the ring on; anew if it has stopped.
    pub(super) fn watch(&mut self, place: u32, way: Way, since: u64, state: &[AtomicU64]) {
        if self.all.contains_key(&place) && self.of(place)[STATE].load(Relaxed) & STOPPED == 0 {
            return;
        }
        self.of(place)[LEAST].store(0, Relaxed);
        self.of(place)[STATE].store(0, Release);
        self.all.insert(place, Stream { way, since });
        self.watched.push_back((place, since));
        state[memory::STREAMS].store(self.all.len() as u64, Relaxed);
    }

    /// The next stream of whose packets before the watch none is left, now that the reader is done with so many blocks.
    pub(super) fn next_due(&mut self, done: u64) -> Option<(u32, Way)> {
        while let Some(&(place, since)) = self.watched.front().filter(|(_, since)| *since <= done) {
            self.watched.pop_front();
            if let Some(stream) = self.all.get(&place).filter(|stream| stream.since == since) {
                return Some((place, stream.way));
            }
        }
        None
    }

    /// The reader knows of the stream at `place` up to sequence number `next`.
    pub(super) fn count(&mut self, place: u32, next: u32) {
        self.of(place)[LEAST].store(SAID | u64::from(next), Release);
    }

    /// The flow of a place is over, or its packets are to be seen.
    pub(super) fn stop(&mut self, place: u32) {
        if self.all.contains_key(&place) && self.of(place)[STATE].fetch_or(STOPPED, AcqRel) & STOPPED == 0 {
            self.ended.push(place);
        }
    }

    /// A place is nobody's any more.
    pub(super) fn forget(&mut self, place: u32, state: &[AtomicU64]) {
        if self.all.remove(&place).is_some() {
            state[memory::STREAMS].store(self.all.len() as u64, Relaxed);
        }
    }

    /// Tells of pauses since the last call, in order; `offset` is from the monotonic clock to that of packets.
    pub(super) fn take_pauses(&mut self, offset: impl Fn() -> i64, state: &[AtomicU64], to: &mut Vec<Pause>) {
        let pauses = state[memory::PAUSES].load(Acquire);
        if pauses == self.read && self.ended.is_empty() {
            return;
        }
        let offset = offset();
        while self.read != pauses {
            let words = &self.pauses.all()[self.read as usize % PLACES * PAUSE..][..PAUSE];
            let told = words[PLACE].load(Acquire);
            // A program that has not written it yet has not let its packet into the ring, either.
            let Some(place) = (told as u32).checked_sub(1) else { break };
            let counted = words[COUNTED].load(Relaxed);
            let stretch =
                stretch(counted as u32, (counted >> 32) as u32, words[PAUSED].load(Relaxed), offset);
            let counted = (told & HAS_COUNTED != 0).then_some(stretch);
            words[PLACE].store(0, Release);
            self.read += 1;
            let pause = |stream: &Stream| Pause { way: stream.way, counted, is_over: told & IS_OVER != 0 };
            to.extend(self.all.get(&place).map(pause));
        }
        let ended = std::mem::take(&mut self.ended);
        to.extend(ended.into_iter().filter_map(|place| self.ended(place, offset)));
    }

    /// What is to be told of a stream that was stopped from here.
    fn ended(&self, place: u32, offset: i64) -> Option<Pause> {
        let way = self.all.get(&place)?.way;
        let words = self.of(place);
        let state = words[STATE].load(Acquire);
        let [from, last] = [FROM, LAST].map(|word| words[word].load(Relaxed));
        let counted = (state & LIVE != 0).then(|| stretch(from as u32, state as u32, last, offset));
        Some(Pause { way, counted, is_over: true })
    }
}

fn stretch(from: u32, next: u32, last: u64, offset: i64) -> Stretch {
    Stretch { from, next, last: Timestamp((last as i64).saturating_add(offset)) }
}
