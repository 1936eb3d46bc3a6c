//! Five-tuples, by their ends; each stands once in a namespace.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::super::arena::Arena;
use super::super::ends::Ends;
use super::{FEW, NONE};

/// Five-tuples known at once.
const MAX_TUPLES: usize = 524_288;

/// A five-tuple in a namespace.
#[derive(Debug)]
pub(super) struct Tuple {
    pub(super) ends: Ends,
    pub(super) namespace: u64,
    /// The latest socket that has it.
    pub(super) socket: u32,
    /// Its neighbours among that socket's.
    pub(super) before: u32,
    pub(super) after: u32,
    /// The same ends in another namespace.
    beside: u32,
    /// An answer named its owner.
    pub(super) answered: bool,
}

#[derive(Debug)]
pub(super) struct Tuples {
    hasher: RandomState,
    arena: Arena<Tuple>,
    /// The first of those with the same ends.
    by_ends: HashTable<u32>,
}

impl Default for Tuples {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            arena: Arena::default(),
            by_ends: HashTable::with_capacity(FEW),
        }
    }
}

impl Tuples {
    pub(super) fn get(&self, place: u32) -> Option<&Tuple> {
        self.arena.get(place)
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Tuple> {
        self.arena.get_mut(place)
    }

    /// These ends, in each namespace that has them.
    pub(super) fn places(&self, ends: &Ends) -> impl Iterator<Item = (u32, &Tuple)> {
        self.places_by(self.hasher.hash_one(ends), ends)
    }

    fn places_by(&self, hash: u64, ends: &Ends) -> impl Iterator<Item = (u32, &Tuple)> {
        let is_it = |place: &u32| self.get(*place).is_some_and(|tuple| tuple.ends == *ends);
        let mut next = self.by_ends.find(hash, is_it).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let (place, tuple) = (next, self.get(next)?);
            next = tuple.beside;
            Some((place, tuple))
        })
    }

    /// The place of these ends in a namespace. If they are new there, no socket has them; `None` if there is no room.
    pub(super) fn place_of(&mut self, ends: Ends, namespace: u64) -> Option<u32> {
        let hash = self.hasher.hash_one(ends);
        let known = self.places_by(hash, &ends).find(|(_, tuple)| tuple.namespace == namespace);
        if let Some((place, _)) = known {
            return Some(place);
        }
        (self.arena.len() < MAX_TUPLES).then(|| self.insert(hash, ends, namespace))
    }

    fn insert(&mut self, hash: u64, ends: Ends, namespace: u64) -> u32 {
        let tuple =
            Tuple { ends, namespace, socket: NONE, before: NONE, after: NONE, beside: NONE, answered: false };
        let place = self.arena.insert(tuple);
        let (tuples, hasher) = (&self.arena, &self.hasher);
        let is_it = |place: &u32| tuples.get(*place).is_some_and(|tuple| tuple.ends == ends);
        let rehash = |place: &u32| tuples.get(*place).map_or(0, |tuple| hasher.hash_one(tuple.ends));
        let beside = match self.by_ends.entry(hash, is_it, rehash) {
            Entry::Occupied(mut first) => std::mem::replace(first.get_mut(), place),
            Entry::Vacant(empty) => {
                empty.insert(place);
                NONE
            }
        };
        if let Some(tuple) = self.get_mut(place) {
            tuple.beside = beside;
        }
        place
    }

    /// Takes one out of the index and of the arena.
    pub(super) fn remove(&mut self, place: u32) {
        let Some(Tuple { ends, beside, .. }) = self.arena.remove(place) else { return };
        let hash = self.hasher.hash_one(ends);
        // It is not in the arena any more, so the first one may be known by its place only.
        let tuples = &self.arena;
        let is_it = |at: &u32| *at == place || tuples.get(*at).is_some_and(|tuple| tuple.ends == ends);
        let Ok(mut first) = self.by_ends.find_entry(hash, is_it) else { return };
        if *first.get() == place {
            if beside == NONE {
                first.remove();
            } else {
                *first.get_mut() = beside;
            }
            return;
        }
        let mut at = *first.get();
        while let Some(tuple) = self.arena.get_mut(at) {
            if tuple.beside == place {
                tuple.beside = beside;
                return;
            }
            at = tuple.beside;
        }
    }

    /// How many there are, and in the index.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.arena.len(), self.by_ends.len())
    }
}
