//! Segments of TCP that carry nothing: acknowledgements of flows that have settled.
//!
//! Behind what begins or ends a connection they are seen again, and the program forgets what it was told. But such a packet may
//! have passed before it was told, and wait in the ring: so they are counted when the reader has had every block that may hold
//! one, and still has the flow as settled.

use std::collections::{HashMap, VecDeque};

use dissect::Way;

/// Those that are told of, and not counted yet.
#[derive(Debug, Default)]
pub(super) struct Acks {
    /// By place: which blocks the reader must have had.
    all: HashMap<u32, (u64, Way)>,
    /// In the order of these.
    watched: VecDeque<(u32, u64)>,
}

impl Acks {
    /// The program was told of a place, and the reader is to have had all blocks before `since`.
    pub(super) fn watch(&mut self, place: u32, way: Way, since: u64) {
        self.all.insert(place, (since, way));
        self.watched.push_back((place, since));
    }

    /// The next one that may be counted, now that the reader is done with so many blocks.
    pub(super) fn next_due(&mut self, done: u64) -> Option<(u32, Way)> {
        while let Some(&(place, since)) = self.watched.front().filter(|(_, since)| *since <= done) {
            self.watched.pop_front();
            if self.all.get(&place).is_some_and(|one| one.0 == since) {
                return self.all.remove(&place).map(|(_, way)| (place, way));
            }
        }
        None
    }

    /// A place is nobody's any more.
    pub(super) fn forget(&mut self, place: u32) {
        self.all.remove(&place);
    }
}
