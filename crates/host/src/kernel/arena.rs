//! Things that stand in one place while they are there, and are known by it.

/// Places in one piece of memory: one list that grows would copy all that it has, again and again.
const PIECE: usize = 1 << 10;

/// Places are given again.
#[derive(Debug)]
pub(super) struct Arena<T> {
    /// All but the last are full.
    pieces: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { pieces: Vec::new(), free: Vec::new() }
    }
}

impl<T> Arena<T> {
    pub(super) fn len(&self) -> usize {
        self.places() - self.free.len()
    }

    fn places(&self) -> usize {
        self.pieces.last().map_or(0, |last| (self.pieces.len() - 1) * PIECE + last.len())
    }

    fn slot(&mut self, place: u32) -> Option<&mut Option<T>> {
        self.pieces.get_mut(place as usize / PIECE)?.get_mut(place as usize % PIECE)
    }

    pub(super) fn get(&self, place: u32) -> Option<&T> {
        self.pieces.get(place as usize / PIECE)?.get(place as usize % PIECE)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        self.slot(place)?.as_mut()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.pieces.iter_mut().flatten().flatten()
    }

    /// Gives its place.
    pub(super) fn insert(&mut self, thing: T) -> u32 {
        let Some(place) = self.free.pop() else {
            let place = self.places();
            if place.is_multiple_of(PIECE) {
                // The first one may stay small.
                self.pieces.push(Vec::with_capacity(if place == 0 { 0 } else { PIECE }));
            }
            if let Some(last) = self.pieces.last_mut() {
                last.push(Some(thing));
            }
            return place as u32;
        };
        if let Some(slot) = self.slot(place) {
            *slot = Some(thing);
        }
        place
    }

    pub(super) fn remove(&mut self, place: u32) -> Option<T> {
        let thing = self.slot(place)?.take()?;
        self.free.push(place);
        Some(thing)
    }
}
