//! The bytes of TCP stream directions in order, for those whose payload somebody reads.
//!
//! A direction starts at its SYN, or at the first segment seen. Segments that
//! come early wait; what was there before is dropped. A hole that does not
//! close within the bounds ends the direction: nothing is guessed.

use std::collections::VecDeque;

use hashbrown::{HashMap, HashSet};

use crate::key::{FlowKey, Side};

/// Stream directions followed at once; the oldest makes room.
const MAX_STREAMS: usize = 4096;
/// Bytes that a direction keeps, in order and waiting. DNS allows 65,535 a message (RFC 1035, section 4.2.2).
const MAX_KEPT: usize = 2 * (65_535 + 2);
/// Bytes that all of them keep; whoever has kept some for longest makes room.
const MAX_KEPT_BY_ALL: usize = 16 << 20;

/// One direction of a stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Sequence number after the last byte of `ready`.
    next: u32,
    /// Bytes in order that were not consumed yet.
    pub(crate) ready: Vec<u8>,
    /// Segments that came before their turn.
    early: Vec<(u32, Vec<u8>)>,
    /// Nobody reads this direction any more.
    pub(crate) given_up: bool,
    /// Bytes that it kept when it was last looked at.
    counted: usize,
    /// It stands in [`Streams::keeping`].
    queued: bool,
}

impl Stream {
    /// Adds a segment; what is in order lands in `ready`.
    fn push(&mut self, seq: u32, bytes: &[u8]) {
        if self.given_up {
            return;
        }
        let ahead = seq.wrapping_sub(self.next) as i32;
        if ahead > 0 {
            self.early.push((seq, bytes.to_vec()));
        } else {
            self.append(seq, bytes);
            while let Some(at) = self.early.iter().position(|(s, _)| s.wrapping_sub(self.next) as i32 <= 0) {
                let (seq, bytes) = self.early.swap_remove(at);
                self.append(seq, &bytes);
            }
        }
        if self.kept() > MAX_KEPT {
            self.give_up();
        }
    }

    /// Bytes that it keeps.
    fn kept(&self) -> usize {
        self.ready.len() + self.early.iter().map(|(_, b)| b.len() + 32).sum::<usize>()
    }

    fn append(&mut self, seq: u32, bytes: &[u8]) {
        let known = self.next.wrapping_sub(seq) as usize;
        if let Some(fresh) = bytes.get(known..) {
            self.ready.extend_from_slice(fresh);
            self.next = self.next.wrapping_add(fresh.len() as u32);
        }
    }

    /// Stops following this direction and lets its bytes go.
    pub(crate) fn give_up(&mut self) {
        let Stream { counted, queued, .. } = *self;
        *self = Stream { given_up: true, counted, queued, ..Stream::default() };
    }
}

/// The stream directions that are followed.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    followed: HashMap<(FlowKey, Side), Stream>,
    order: VecDeque<(FlowKey, Side)>,
    /// Those that keep bytes, or have since somebody asked, in the order in which they began to.
    keeping: VecDeque<(FlowKey, Side)>,
    /// Bytes that all keep.
    kept: usize,
    /// Directions that had to make room.
    pub(crate) evicted: u64,
}

impl Streams {
    /// Notes that a direction begins: its first byte has sequence number `first`.
    pub(crate) fn begin(&mut self, key: FlowKey, side: Side, first: u32) {
        let stream = self.stream(key, side, first);
        let Stream { counted, queued, .. } = *stream;
        *stream = Stream { next: first, counted, queued, ..Stream::default() };
        self.settle(key, side);
    }

    /// Whether a direction is followed, or was given up.
    pub(crate) fn knows(&self, key: FlowKey, side: Side) -> bool {
        self.followed.contains_key(&(key, side))
    }

    /// Adds a segment, and gives the direction it belongs to.
    pub(crate) fn push(&mut self, key: FlowKey, side: Side, seq: u32, bytes: &[u8]) -> &mut Stream {
        let stream = self.stream(key, side, seq);
        stream.push(seq, bytes);
        stream
    }

    /// Takes note of what a direction keeps, after it was given bytes or some were read.
    pub(crate) fn settle(&mut self, key: FlowKey, side: Side) {
        let id = (key, side);
        let Some(stream) = self.followed.get_mut(&id) else { return };
        let kept = stream.kept();
        self.kept = self.kept + kept - stream.counted;
        stream.counted = kept;
        if kept > 0 && !stream.queued {
            stream.queued = true;
            self.keeping.push_back(id);
        }
        while self.kept > MAX_KEPT_BY_ALL {
            let Some(oldest) = self.keeping.pop_front() else { return };
            let Some(stream) = self.followed.get_mut(&oldest).filter(|stream| stream.queued) else {
                continue;
            };
            stream.queued = false;
            if stream.counted > 0 {
                self.kept -= std::mem::take(&mut stream.counted);
                stream.give_up();
                self.evicted += 1;
            }
        }
        if self.keeping.len() > 2 * MAX_STREAMS {
            self.forget_idle();
        }
    }

    /// Takes those out of the queue that keep nothing, or are not followed any more.
    fn forget_idle(&mut self) {
        let mut seen = HashSet::new();
        self.keeping.retain(|id| match self.followed.get_mut(id) {
            Some(stream) if stream.queued && stream.counted > 0 => seen.insert(*id),
            Some(stream) => {
                stream.queued = false;
                false
            }
            None => false,
        });
    }

    fn stream(&mut self, key: FlowKey, side: Side, first: u32) -> &mut Stream {
        let id = (key, side);
        if !self.followed.contains_key(&id) {
            if self.order.len() >= MAX_STREAMS
                && let Some(oldest) = self.order.pop_front()
            {
                self.kept -= self.followed.remove(&oldest).map_or(0, |stream| stream.counted);
                self.evicted += 1;
            }
            self.order.push_back(id);
        }
        self.followed.entry(id).or_insert_with(|| Stream { next: first, ..Stream::default() })
    }
}

impl std::hash::Hash for Side {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u8(self.index() as u8);
    }
}

/// Bytes, and the sequence numbers and places of segments of these lengths, of which the first begins at `start`.
#[cfg(test)]
pub(crate) fn cut(start: u32, lengths: &[usize]) -> (Vec<u8>, Vec<(u32, std::ops::Range<usize>)>) {
    let mut at = 0;
    let places = lengths.iter().map(|len| {
        at += len;
        (start.wrapping_add((at - len) as u32), at - len..at)
    });
    let places = places.collect();
    ((0..at).map(|n| n as u8).collect(), places)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use dissect::{Endpoint, FiveTuple};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However a stream is cut, shuffled and repeated, its bytes come out once and in order.
        #[test]
        fn any_order_gives_the_stream(
            start in any::<u32>(),
            cuts in prop::collection::vec(1usize..60, 1..20),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let (bytes, places) = cut(start, &cuts);
            let segments: Vec<_> = places.into_iter().map(|(seq, place)| (seq, &bytes[place])).collect();
            let mut stream = Stream { next: start, ..Stream::default() };
            for pick in picks {
                let (seq, part) = segments[pick.index(segments.len())];
                stream.push(seq, part);
                prop_assert!(bytes.starts_with(&stream.ready));
            }
            for (seq, part) in segments {
                stream.push(seq, part);
            }
            prop_assert_eq!(stream.ready, bytes);
        }
    }

    #[test]
    fn a_hole_is_not_waited_for_forever() {
        let mut streams = Streams::default();
        streams.begin(FlowKey::default(), Side::Low, 0);
        for n in 0..200u32 {
            streams.push(FlowKey::default(), Side::Low, 10_000 + n * 1000, &[0; 1000]);
        }
        assert!(streams.push(FlowKey::default(), Side::Low, 0, &[0; 10]).given_up);
    }

    fn key(port: u16) -> FlowKey {
        let end = |n: u8| Endpoint { addr: Ipv4Addr::new(10, 0, 0, n).into(), port };
        FlowKey::of_tuple(&FiveTuple { src: end(1), dst: end(2), protocol: 6 }).0
    }

    #[test]
    fn all_streams_together_are_bounded() {
        let mut streams = Streams::default();
        let mut kept = 0;
        for port in 0..8000 {
            // Messages that never end, on twice as many streams as are followed; every third one is read.
            for n in 0..100 {
                let stream = streams.push(key(port), Side::Low, n * 1000, &[0; 1000]);
                if port % 3 == 0 {
                    stream.ready.clear();
                }
                streams.settle(key(port), Side::Low);
                kept = kept.max(streams.kept);
            }
        }
        let held = || streams.followed.values().map(Stream::kept);
        assert_eq!(held().sum::<usize>(), streams.kept);
        assert!(kept <= MAX_KEPT_BY_ALL && kept > MAX_KEPT_BY_ALL - 200_000, "{kept}");
        assert!(streams.keeping.len() <= 2 * MAX_STREAMS && streams.followed.len() <= MAX_STREAMS);
        assert_eq!(held().filter(|&kept| kept > 0).count(), MAX_KEPT_BY_ALL / 100_000, "the latest");
    }
}
