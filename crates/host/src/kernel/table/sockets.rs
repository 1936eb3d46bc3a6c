//! Sockets, by cookie.

use std::hash::BuildHasher;
use std::time::Instant;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::super::arena::Arena;
use super::super::ends::Ends;
use super::super::{Event, Known};
use super::{FEW, NONE};

/// Sockets known at once; beyond, those that ended are forgotten first, then no further ones are learned.
const MAX_SOCKETS: usize = 262_144;
/// Flows of one unconnected socket that are remembered to have been answered for.
const MAX_ANSWERED: usize = 64;

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) cookie: u64,
    pub(super) namespace: u64,
    /// Number in [`super::Tasks`].
    pub(super) task: u32,
    /// The snapshot that it was last seen in or after.
    pub(super) seen: u32,
    /// The latest of its five-tuples.
    pub(super) first: u32,
    pub(super) known: Known,
    /// When it ended, as events are stamped.
    pub(super) ended: Option<u64>,
    pub(super) asked: Option<Instant>,
    /// The flows for which an answer named its owner, though only its own end was told.
    pub(super) answered: Vec<Ends>,
}

impl Socket {
    /// One that nobody has and that has no five-tuple, so far.
    pub(super) fn new(event: &Event, seen: u32) -> Self {
        Self {
            cookie: event.cookie,
            namespace: event.namespace,
            task: NONE,
            seen,
            first: NONE,
            known: event.known,
            ended: None,
            asked: None,
            answered: Vec::new(),
        }
    }

    /// Notes that an answer about this flow named its owner.
    pub(super) fn note_flow(&mut self, flow: Ends) {
        if self.answered.len() < MAX_ANSWERED && !self.answered.contains(&flow) {
            self.answered.push(flow);
        }
    }
}

#[derive(Debug)]
pub(super) struct Sockets {
    hasher: RandomState,
    arena: Arena<Socket>,
    by_cookie: HashTable<u32>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            arena: Arena::default(),
            by_cookie: HashTable::with_capacity(FEW),
        }
    }
}

impl Sockets {
    pub(super) fn is_full(&self) -> bool {
        self.arena.len() >= MAX_SOCKETS
    }

    pub(super) fn get(&self, place: u32) -> Option<&Socket> {
        self.arena.get(place)
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Socket> {
        self.arena.get_mut(place)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Socket> {
        self.arena.iter_mut()
    }

    pub(super) fn find(&self, cookie: u64) -> Option<u32> {
        let is_it = |place: &u32| self.get(*place).is_some_and(|socket| socket.cookie == cookie);
        self.by_cookie.find(self.hasher.hash_one(cookie), is_it).copied()
    }

    /// Adds one whose cookie is not known; gives its place.
    pub(super) fn insert(&mut self, socket: Socket) -> u32 {
        let hash = self.hasher.hash_one(socket.cookie);
        let place = self.arena.insert(socket);
        let (sockets, hasher) = (&self.arena, &self.hasher);
        let rehash = |place: &u32| sockets.get(*place).map_or(0, |socket| hasher.hash_one(socket.cookie));
        self.by_cookie.insert_unique(hash, place, rehash);
        place
    }

    pub(super) fn remove(&mut self, cookie: u64) -> Option<Socket> {
        let (sockets, hash) = (&self.arena, self.hasher.hash_one(cookie));
        let is_it = |place: &u32| sockets.get(*place).is_some_and(|socket| socket.cookie == cookie);
        let (place, _) = self.by_cookie.find_entry(hash, is_it).ok()?.remove();
        self.arena.remove(place)
    }

    /// How many there are, and in the index.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.arena.len(), self.by_cookie.len())
    }
}
