//! Flows, and what is known of them, by number, in chunks that do not move, but for the first one while it is small.
//!
//! One growing list would copy every flow each time it doubles, and touch twice the memory: on a hundred thousand
//! flows that costs more than reading them again and again.

use std::ops::{Index, IndexMut, Range};

use crate::flow::Flow;

/// So many of the first chunk grow by doubling; then it gets room for these at once, of which only what is used takes memory, …
const FEW: usize = 1 << 8;
/// … and then its whole size: to clear large pages takes longer than what so many save by them.
const SOME: usize = 1 << 14;
/// Flows a chunk; a power of two, so that a number splits by its bits, and three large pages (2 MiB) of memory.
const FLOWS: usize = 1 << 15;

/// Things by number, `CHUNK` in one piece; of the first one, room for `MIDDLE` comes before its whole size.
#[derive(Debug)]
pub(crate) struct Arena<T = Flow, const CHUNK: usize = FLOWS, const MIDDLE: usize = SOME> {
    /// All but the last are full.
    chunks: Vec<Vec<T>>,
    /// So many have room that was had ready.
    ready: usize,
}

impl<T, const CHUNK: usize, const MIDDLE: usize> Default for Arena<T, CHUNK, MIDDLE> {
    fn default() -> Self {
        Self { chunks: Vec::new(), ready: 0 }
    }
}

impl<T, const CHUNK: usize, const MIDDLE: usize> Arena<T, CHUNK, MIDDLE> {
    /// How many there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let number = number as usize;
        self.chunks.get(number / CHUNK)?.get(number % CHUNK)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let number = number as usize;
        self.chunks.get_mut(number / CHUNK)?.get_mut(number % CHUNK)
    }

    /// Adds one and gives its number: the next one.
    pub(crate) fn push(&mut self, thing: T) -> u32 {
        let number = self.len() as u32;
        if (number as usize).is_multiple_of(CHUNK) {
            // Few flows take little memory: the first chunk grows.
            let at_once = if number == 0 { 0 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(at_once));
        }
        if let Some(last) = self.chunks.last_mut() {
            if number as usize == FEW {
                enlarge(last, MIDDLE.min(CHUNK));
            } else if number as usize == MIDDLE {
                enlarge(last, CHUNK);
            }
            last.push(thing);
        }
        number
    }

    /// Where so many to come and some more will stand, unless that was told before, or there are few: whoever can may have that
    /// memory ready before it is written.
    pub(crate) fn next_room(&mut self, count: usize) -> Option<Range<*const u8>> {
        /// Room that is given beyond what is asked for: some pages.
        const MORE: usize = 1 << 8;
        let len = self.len();
        let ready = self.ready.saturating_sub(len);
        let last = self.chunks.last_mut().filter(|_| len > FEW && ready < count)?;
        let room = last.spare_capacity_mut();
        let end = (count + MORE).min(room.len());
        self.ready = len + end;
        let Range { start, end } = room.get(ready..end)?.as_ptr_range();
        (start < end).then_some(start.cast()..end.cast())
    }

    /// All of them, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flatten()
    }
}

/// Makes room for so many at once.
fn enlarge<T>(few: &mut Vec<T>, room: usize) {
    if few.capacity() < room {
        let mut more = Vec::with_capacity(room);
        more.append(few);
        *few = more;
    }
}

impl<T, const CHUNK: usize, const MIDDLE: usize> Index<u32> for Arena<T, CHUNK, MIDDLE> {
    type Output = T;

    #[inline]
    fn index(&self, number: u32) -> &T {
        &self.chunks[number as usize / CHUNK][number as usize % CHUNK]
    }
}

impl<T, const CHUNK: usize, const MIDDLE: usize> IndexMut<u32> for Arena<T, CHUNK, MIDDLE> {
    #[inline]
    fn index_mut(&mut self, number: u32) -> &mut T {
        &mut self.chunks[number as usize / CHUNK][number as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use dissect::Timestamp;

    use super::*;
    use crate::key::{FlowKey, Side};

    #[test]
    fn room_is_told_once() {
        let mut arena = Arena::<u64, 4096, 2048>::default();
        let length = |room: Range<*const u8>| (room.end.addr() - room.start.addr()) / size_of::<u64>();
        let mut rooms: Vec<(usize, usize)> = Vec::new();
        for n in 0..5000 {
            rooms.extend(arena.next_room(8).map(|room| (n, length(room))));
            arena.push(0);
        }
        // Not while there are few; then in whole pieces, and never beyond what there is.
        let given: usize = rooms.iter().map(|(_, room)| room).sum();
        assert!(rooms[0].0 == FEW + 1 && rooms.len() < 24, "{rooms:?}");
        assert!(given + FEW + 2 >= 5000 && given < 5000 + 2 * 264, "{given}");
        let much = arena.next_room(1000).map_or(0, length);
        assert!(much >= 1000 - 264 && arena.next_room(1000).is_none());
    }

    #[test]
    fn numbers_go_on_over_chunks() {
        const CHUNK: usize = FLOWS;
        let mut arena = Arena::<Flow>::default();
        let flow = |n| Flow::new(FlowKey::default(), n, Timestamp(0), Side::Low);
        for n in 0..2 * CHUNK as u32 + 3 {
            assert_eq!(arena.push(flow(n)), n);
        }
        assert_eq!((arena.len(), arena.iter().count()), (2 * CHUNK + 3, 2 * CHUNK + 3));
        for n in [0, CHUNK as u32 - 1, CHUNK as u32, 2 * CHUNK as u32 + 2] {
            assert_eq!(arena.get(n).map(|f| f.hash), Some(n));
        }
        assert!(arena.get(2 * CHUNK as u32 + 3).is_none() && arena.get(u32::MAX).is_none());
    }
}
