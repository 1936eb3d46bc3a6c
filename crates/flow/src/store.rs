//! The flows of one table or collector: an arena, its index, and the facts that few flows have.

mod more;

use std::hint::black_box;
use std::ops::Range;

pub(crate) use self::more::More;
use self::more::Rows;
use crate::arena::Arena;
use crate::flow::{Flow, LINES};
use crate::index::Index;
use crate::key::FlowKey;
use crate::parts::Parts;
use crate::path::Prints;

/// Flows by key, with random access by number.
///
/// All stores of a run share the seed of the hash, so that a flow's hash is computed once.
#[derive(Debug, Default)]
pub(crate) struct FlowStore {
    index: Index,
    flows: Arena,
    free: Vec<u32>,
    more: Rows<More>,
    /// By number; none but in the tables of a live capture.
    prints: Vec<Prints>,
}

/// A flow apart from its store, with all its facts.
#[derive(Clone, Debug)]
pub(crate) struct FlowParts {
    pub(crate) flow: Flow,
    pub(crate) more: More,
    pub(crate) prints: Prints,
}

impl FlowStore {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.flows.len() - self.free.len()
    }

    /// How many of so many flows to come will have no place of one that is gone.
    pub(crate) fn beyond_free(&self, count: usize) -> usize {
        count.saturating_sub(self.free.len())
    }

    /// See [`Arena::next_room`].
    pub(crate) fn next_room(&mut self, count: usize) -> Option<Range<*const u8>> {
        self.flows.next_room(count)
    }

    /// The number that `hash` leads to first: likely its flow's, maybe another's, maybe none's. Asking for many of these at
    /// once overlaps their cache misses.
    #[inline]
    pub(crate) fn guess(&self, hash: u32) -> u32 {
        self.index.guess(hash)
    }

    /// Where in the index `hash` leads.
    #[inline]
    pub(crate) fn place_of(&self, hash: u32) -> *const u8 {
        self.index.place_of(hash)
    }

    /// Where the lines of a flow begin that was guessed by `hash`; of one that is not there, what was read already.
    #[inline]
    pub(crate) fn lines_of(&self, guess: u32, hash: u32) -> [*const u8; LINES] {
        self.flows.get(guess).map_or_else(|| [self.index.place_of(hash); LINES], Flow::lines)
    }

    /// Reads a flow ahead of its use.
    #[inline]
    pub(crate) fn warm(&self, number: u32) -> u64 {
        self.flows.get(number).map_or(0, Flow::warm)
    }

    /// Reads a flow's print ahead of its use.
    #[inline]
    pub(crate) fn warm_print(&self, number: u32) -> u64 {
        self.prints.get(number as usize).map_or(0, Prints::warm)
    }

    /// The flow that was guessed, if it is `key`'s: the guess may have been wrong, or be stale.
    #[inline]
    pub(crate) fn guessed(&mut self, guess: u32, key: &FlowKey) -> Option<&mut Flow> {
        self.flows.get_mut(guess).filter(|flow| flow.key == *key)
    }

    #[inline]
    pub(crate) fn find(&self, hash: u32, key: &FlowKey) -> Option<u32> {
        self.index.find(hash, |n| self.flows.get(n).is_some_and(|f| f.key == *key))
    }

    #[inline]
    pub(crate) fn get(&self, number: u32) -> &Flow {
        &self.flows[number]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> &mut Flow {
        &mut self.flows[number]
    }

    /// Adds `flow`, whose key must not be there yet.
    pub(crate) fn insert(&mut self, flow: Flow) -> u32 {
        debug_assert!(flow.is_open(), "somebody's flow");
        let number = if let Some(number) = self.free.pop() {
            self.flows[number] = flow;
            // They were another flow's.
            if let Some(prints) = self.prints.get_mut(number as usize) {
                *prints = Prints::default();
            }
            number
        } else {
            self.flows.push(flow)
        };
        self.index.insert(flow.hash, number);
        number
    }

    /// Takes a flow out, facts and all.
    pub(crate) fn remove(&mut self, number: u32) -> FlowParts {
        let flow = *self.get(number);
        let more = self.more.remove(flow.more);
        let removed = FlowParts { flow, more, prints: self.prints(number) };
        self.index.remove(flow.hash, number);
        self.get_mut(number).key = FlowKey::NOBODY;
        self.free.push(number);
        removed
    }

    /// Adds a flow from another store, or adds to the one that is here; gives its number.
    pub(crate) fn merge(&mut self, part: FlowParts) -> u32 {
        if let Some(number) = self.find(part.flow.hash, &part.flow.key) {
            let before = self.get(number).initiator;
            self.get_mut(number).absorb(&part.flow);
            self.absorb_more(number, before, part.more, part.flow.initiator);
            return number;
        }
        let mut flow = part.flow;
        flow.more = if part.more.is_empty() { 0 } else { self.more.insert(part.more) };
        self.insert(flow)
    }

    /// A copy of one flow, facts and all.
    fn copy(&self, number: u32) -> FlowParts {
        let flow = *self.get(number);
        let more = self.more.get(flow.more).cloned().unwrap_or_default();
        FlowParts { flow, more, prints: self.prints(number) }
    }

    /// Keeps a print of one of a flow's first packets.
    #[inline]
    pub(crate) fn keep_print(&mut self, number: u32, side: usize, place: usize, print: u32) {
        let number = number as usize;
        if number >= self.prints.len() {
            self.prints.resize_with(number + 1, Prints::default);
        }
        self.prints[number].keep(side, place, print);
    }

    fn prints(&self, number: u32) -> Prints {
        self.prints.get(number as usize).copied().unwrap_or_default()
    }

    /// The flow of a number, if there is one.
    pub(crate) fn open(&self, number: u32) -> Option<&Flow> {
        self.flows.get(number).filter(|flow| flow.is_open())
    }

    /// The flows with their numbers, in no order that means anything.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u32, &Flow)> {
        (0..).zip(self.flows.iter()).filter(|(_, flow)| flow.is_open())
    }

    /// The flows, to be changed in anything but their keys.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Flow> {
        self.flows.iter_mut().filter(|f| f.is_open())
    }

    /// Adds every flow of another store.
    pub(crate) fn absorb(&mut self, other: &Self) {
        for part in other.parts() {
            self.merge(part);
        }
    }

    /// Copies of all flows, facts and all.
    pub(crate) fn parts(&self) -> impl Iterator<Item = FlowParts> {
        self.numbers().map(|number| self.copy(number))
    }

    fn numbers(&self) -> impl Iterator<Item = u32> {
        (0..self.flows.len() as u32).filter(|&number| self.get(number).is_open())
    }

    /// Adds copies of the flows that counted something since the last call; their counters start again at zero.
    pub(crate) fn take_changed(&mut self, changed: &mut Parts) {
        for number in 0..self.flows.len() as u32 {
            changed.extend(self.take_one(number));
        }
        self.prints.clear();
    }

    /// The same of these flows alone. They have long left the processor's cache: those that come next are read while one is
    /// taken, so that their cache misses overlap.
    pub(crate) fn take_those(&mut self, numbers: &[u32]) -> Parts {
        /// About as many cache misses as a core can wait for at once, at four a flow.
        const AHEAD: usize = 8;
        let mut changed = Parts::expecting(numbers.len());
        for some in numbers.chunks(AHEAD) {
            black_box(some.iter().fold(0, |read, &number| read ^ self.warm_whole(number)));
            changed.extend(some.iter().filter_map(|&number| self.take_one(number)));
        }
        changed
    }

    fn warm_whole(&self, number: u32) -> u64 {
        self.flows.get(number).map_or(0, Flow::warm_whole) ^ self.warm_print(number)
    }

    /// The same of one flow; `None` if it counted nothing, or is gone.
    pub(crate) fn take_one(&mut self, number: u32) -> Option<FlowParts> {
        let flow = self.flows.get(number)?;
        if !flow.is_open() || flow.packets == [0; 2] {
            return None;
        }
        let part = self.copy(number);
        self.get_mut(number).clear_counters();
        Some(part)
    }

    /// How many places there are, taken or free.
    pub(crate) fn places(&self) -> usize {
        self.flows.len()
    }

    /// The place that a clock hand points to, if a flow stands there.
    pub(crate) fn at_hand(&self, hand: usize) -> Option<(u32, &Flow)> {
        let number = (hand % self.flows.len().max(1)) as u32;
        self.flows.get(number).filter(|f| f.is_open()).map(|f| (number, f))
    }
}
