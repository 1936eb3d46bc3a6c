//! Things that stand in one place while they are there, and are known by it.

/// Places are given again.
#[derive(Debug)]
pub(super) struct Arena<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Arena<T> {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn get(&self, place: u32) -> Option<&T> {
        self.slots.get(place as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        self.slots.get_mut(place as usize)?.as_mut()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().flatten()
    }

    /// Gives its place.
    pub(super) fn insert(&mut self, thing: T) -> u32 {
        let Some(place) = self.free.pop() else {
            self.slots.push(Some(thing));
            return self.slots.len() as u32 - 1;
        };
        if let Some(slot) = self.slots.get_mut(place as usize) {
            *slot = Some(thing);
        }
        place
    }

    pub(super) fn remove(&mut self, place: u32) -> Option<T> {
        let thing = self.slots.get_mut(place as usize)?.take()?;
        self.free.push(place);
        Some(thing)
    }
}
