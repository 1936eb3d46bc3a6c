//! Flows of which nobody reads any more what they say: the kernel counts their packets, and the ring has none of them.
//!
//! A flow's packets in one direction on one interface have a place of their own in memory that we share with the program
//! (`settled.h`). A packet is counted there by one addition, and we take counts by exchanging them for zero. So nothing has to
//! be stopped to take them, and no packet is counted twice or not at all.

use std::hint::black_box;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use dissect::app::{Interest, quic};
use dissect::{Direction, Endpoint, FiveTuple, SettledCount, Timestamp, Unread, Way};

use super::memory::{EPOCH, READ, SEED, SETTLED_FLOWS};
use crate::bpf::Words;

/// Places, and how many of them a flow may be at; words of a `struct settled`.
pub(super) const PLACES: usize = 1 << 15;
const WAYS: usize = 2;
pub(super) const WORDS: usize = 8;
/// In such a place.
const HASH: usize = 0;
const COUNTED: usize = 1;
const PADDING: usize = 2;
const SPLIT: usize = 3;
const LAST: usize = 4;
const PRINTS: usize = 5;
/// Of which epoch the prints are, above how many there are; in the second half, how much their frames begin with, above what
/// is counted.
const PRINTED: usize = 7;
/// Bits of IP bytes in what is counted, and of headers in what is split, below packets.
const BYTES: u32 = 40;
const HEADERS: u32 = 36;
/// Bits of what is counted, and of the number of prints.
const COUNTS: u32 = 8;
const COUNTS_NOTHING: u32 = 1;
const COUNTS_DATA: u32 = 2;
const UNTOUCHED: u32 = 4;
const EPOCHS: u32 = 3;
/// Bit of an interface's number in a key.
const SENT: u32 = 1 << 31;
/// A program that has found a place before it became nobody's may still count there, for some microseconds.
const LEAVING: Duration = Duration::from_millis(100);
/// Places that are looked at together.
const TOGETHER: usize = 16;
const UDP: u8 = 17;

/// What is counted so.
#[derive(Debug)]
pub(super) struct Settled {
    places: Words,
    seed: u64,
    all: Vec<One>,
    /// Of places that are somebody's, or were until a moment ago, [`mark_of`] the hash; else 0. It is looked at
    /// before the places themselves, which another processor writes.
    used: Vec<u32>,
    /// Some places are nobody's, and not given away yet.
    leaving: bool,
}

/// One of them.
#[derive(Debug)]
struct One {
    place: u32,
    ifindex: u32,
    way: Way,
    /// When it was seen that its place is nobody's.
    left: Option<Instant>,
}

impl Settled {
    /// None yet; says in `state` what is read of such flows all the same.
    pub(super) fn new(places: Words, state: &[AtomicU64]) -> Self {
        for first in 0..=u8::MAX {
            if Interest::of(UDP, first).follows() || quic::may_be_handshake(first) {
                state[READ + usize::from(first >> 6)].fetch_or(1 << (first & 63), Relaxed);
            }
        }
        Self {
            places,
            seed: state[SEED].load(Relaxed),
            all: Vec::new(),
            used: vec![0; PLACES],
            leaving: false,
        }
    }

    /// Has the kernel count these packets from now on, if there is a place for them: gives it. Segments that carry nothing only
    /// from [`Self::count_nothing`] on.
    pub(super) fn add(&mut self, way: Way, ifindex: u32, unread: Unread, state: &[AtomicU64]) -> Option<u32> {
        let hash = hash(&way, ifindex, self.seed);
        let mut free = None;
        for place in ways(hash) {
            match self.used[place] {
                0 => free = free.or(Some(place)),
                mark if mark == mark_of(hash) && self.hash_at(place).load(Relaxed) == hash => {
                    if unread == Unread::Nothing {
                        self.counts_at(place).fetch_and(!in_counts(COUNTS_NOTHING), Relaxed);
                    }
                    self.counts_at(place).fetch_or(counts(unread), Release);
                    return Some(place as u32);
                }
                _ => {}
            }
        }
        let place = free?;
        if self.all.capacity() == 0 {
            // What is not used of it costs nothing, and nothing is ever copied.
            self.all.reserve_exact(PLACES);
        }
        self.used[place] = mark_of(hash);
        self.all.push(One { place: place as u32, ifindex, way, left: None });
        self.counts_at(place).store(counts(unread), Relaxed);
        self.hash_at(place).store(hash, Release);
        state[SETTLED_FLOWS].fetch_add(1, Relaxed);
        Some(place as u32)
    }

    /// Reads ahead what [`Self::add`] will change.
    pub(super) fn warm(&self, way: &Way, ifindex: u32) -> u64 {
        let first = ways(hash(way, ifindex, self.seed)).start;
        u64::from(self.used[first]) ^ self.hash_at(first).load(Relaxed)
    }

    /// Has segments that carry nothing counted at `place`, if nothing has begun or ended a connection since it was told of.
    pub(super) fn count_nothing(&self, place: u32) {
        self.counts_at(place as usize).fetch_or(in_counts(COUNTS_NOTHING), Release);
    }

    fn counts_at(&self, place: usize) -> &AtomicU64 {
        &self.places.all()[place * WORDS + PRINTED]
    }

    fn hash_at(&self, place: usize) -> &AtomicU64 {
        &self.places.all()[place * WORDS + HASH]
    }

    /// Has these packets go into the ring again; gives the place that they had.
    pub(super) fn remove(&mut self, way: &Way, ifindex: u32) -> Option<u32> {
        let hash = hash(way, ifindex, self.seed);
        let mut marked = ways(hash).filter(|&place| self.used[place] == mark_of(hash));
        let place = marked.find(|&place| self.hash_at(place).load(Relaxed) == hash)?;
        self.hash_at(place).store(0, Release);
        self.leaving = true;
        Some(place as u32)
    }

    /// The same of all on an interface, or of all there are.
    pub(super) fn remove_all(&mut self, of: Option<u32>, mut left: impl FnMut(u32)) {
        for one in self.all.iter().filter(|one| of.is_none_or(|ifindex| one.ifindex == ifindex)) {
            self.hash_at(one.place as usize).store(0, Release);
            left(one.place);
        }
        self.leaving = true;
    }

    /// Hands `to` what was counted since the last time; `offset` is from the monotonic clock to that of packets.
    ///
    /// What is counted at this very moment may be left for the next time. `freed`: places that may be given away from now on.
    pub(super) fn take(
        &mut self,
        offset: i64,
        state: &[AtomicU64],
        mut to: impl FnMut(&SettledCount),
        freed: impl FnMut(u32),
    ) {
        let epoch = state[EPOCH].load(Relaxed);
        let places = self.places.all();
        let words = |one: &One| &places[one.place as usize * WORDS..][..WORDS];
        for together in self.all.chunks(TOGETHER) {
            // Another processor has written them: what is fetched of several at once is waited for once.
            black_box(together.iter().fold(0, |sum, one| sum ^ words(one)[COUNTED].load(Relaxed)));
            let counts = together.iter().filter_map(|one| take(one.way, words(one), epoch as u32, offset));
            counts.for_each(|count| to(&count));
        }
        // From here on first packets are those of the next time: of all flows at once, so that they can be compared.
        state[EPOCH].store(epoch.wrapping_add(1), Release);
        if self.leaving {
            self.free(state, freed);
        }
    }

    /// Gives away places that have been nobody's for long enough.
    fn free(&mut self, state: &[AtomicU64], mut freed: impl FnMut(u32)) {
        let places = self.places.all();
        self.leaving = false;
        self.all.retain_mut(|one| {
            let words = &places[one.place as usize * WORDS..][..WORDS];
            if words[HASH].load(Relaxed) != 0 {
                return true;
            }
            if one.left.get_or_insert_with(Instant::now).elapsed() < LEAVING {
                self.leaving = true;
                return true;
            }
            freed(one.place);
            self.used[one.place as usize] = 0;
            for word in words {
                word.store(0, Relaxed);
            }
            state[SETTLED_FLOWS].fetch_sub(1, Relaxed);
            false
        });
    }
}

/// What a place has counted since it was last taken, if anything.
fn take(way: Way, words: &[AtomicU64], epoch: u32, offset: i64) -> Option<SettledCount> {
    let is_any = |word: usize| words[word].load(Acquire) != 0;
    if !is_any(COUNTED) && !is_any(PADDING) && !is_any(SPLIT) {
        return None;
    }
    let take = |word: usize| if is_any(word) { words[word].swap(0, AcqRel) } else { 0 };
    // First: what is counted meanwhile may have filled up its frame already, which is told now, and itself the next time.
    let counted = take(COUNTED);
    let (padding, split) = (take(PADDING), take(SPLIT));
    let (packets, ip_bytes) = parts(counted, BYTES);
    let (split, split_bytes) = parts(split, HEADERS);
    let [printed, link] = halves(words[PRINTED].load(Relaxed));
    let (of_epoch, printed) = (printed >> EPOCHS, printed & ((1 << EPOCHS) - 1));
    let printed = if of_epoch == epoch & (u32::MAX >> EPOCHS) { printed as usize } else { 0 };
    let [[a, b], [c, d]] = [PRINTS, PRINTS + 1].map(|at| halves(words[at].load(Relaxed)));
    let mut prints = [a, b, c, d];
    prints.iter_mut().skip(printed).for_each(|print| *print = 0);
    Some(SettledCount {
        way,
        last: Timestamp((words[LAST].load(Relaxed) as i64).saturating_add(offset)),
        packets,
        ip_bytes,
        frame_bytes: ip_bytes + packets * u64::from(link >> COUNTS) + padding,
        split,
        split_bytes,
        prints,
    })
}

/// A word's upper bits, and the lower ones.
fn parts(word: u64, lower: u32) -> (u64, u64) {
    (word >> lower, word & ((1 << lower) - 1))
}

/// What is told of a place.
fn counts(unread: Unread) -> u64 {
    match unread {
        Unread::Nothing => in_counts(UNTOUCHED),
        Unread::Data => in_counts(COUNTS_DATA),
    }
}

/// Bits of what is counted, as they stand beside [`PRINTED`].
fn in_counts(counts: u32) -> u64 {
    let mut bytes = [0; 8];
    bytes[4..].copy_from_slice(&counts.to_ne_bytes());
    u64::from_ne_bytes(bytes)
}

/// The two 32-bit halves of a word, in the order in which they lie in memory.
fn halves(word: u64) -> [u32; 2] {
    let half = |bytes: &[u8]| bytes.first_chunk().map_or(0, |half| u32::from_ne_bytes(*half));
    let bytes = word.to_ne_bytes();
    [half(&bytes), half(&bytes[4..])]
}

fn mark_of(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

/// The places that a key of this hash may be at.
fn ways(hash: u64) -> Range<usize> {
    let first = ((hash >> 32) as usize % PLACES) & !(WAYS - 1);
    first..first + WAYS
}

/// The hash of a key as the program has it (`struct key`), by the interface's number in the system.
fn hash(way: &Way, ifindex: u32, seed: u64) -> u64 {
    let mix = |a: u64, b: u64| {
        let a = (a ^ b).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        a ^ a >> 32
    };
    let key = key(way, ifindex);
    let [a, b, c, d, ..] = key;
    let addresses = if way.tuple.src.addr.is_ipv4() {
        mix(seed, a | c << 32)
    } else {
        [a, b, c, d].into_iter().fold(seed, mix)
    };
    mix(mix(mix(addresses, key[4]), key[5]), seed)
}

fn key(way: &Way, ifindex: u32) -> [u64; 6] {
    let FiveTuple { src, dst, protocol } = way.tuple;
    let sent = if way.direction == Direction::Outbound { SENT } else { 0 };
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&(ifindex | sent).to_ne_bytes());
    bytes[8..10].copy_from_slice(&src.port.to_be_bytes());
    bytes[10..12].copy_from_slice(&dst.port.to_be_bytes());
    let (ether_type, version): (u16, u8) = if src.addr.is_ipv4() { (0x0800, 4) } else { (0x86dd, 6) };
    bytes[12..14].copy_from_slice(&ether_type.to_ne_bytes());
    (bytes[14], bytes[15]) = (protocol, version);
    let word = |at: usize| bytes[at..].first_chunk().map_or(0, |word| u64::from_ne_bytes(*word));
    let ([a, b], [c, d]) = (address(&src), address(&dst));
    [a, b, c, d, word(0), word(8)]
}

/// An address as two words: as its bytes lie there, four at a time.
fn address(end: &Endpoint) -> [u64; 2] {
    let four = |bytes: &[u8]| bytes.first_chunk().map_or(0, |four| u64::from(u32::from_ne_bytes(*four)));
    match end.addr {
        IpAddr::V4(addr) => [four(&addr.octets()), 0],
        IpAddr::V6(addr) => {
            let octets = addr.octets();
            [0, 8].map(|at| four(&octets[at + 4..]) << 32 | four(&octets[at..]))
        }
    }
}
