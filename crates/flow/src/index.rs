//! From a key's hash to the place of its flow, in one cache line.
//!
//! Open addressing with linear probing over 8-byte slots: 32 bits of hash and
//! the flow's number. The hash bits that a slot keeps are also the ones that
//! place it, so that growing never needs the keys. A general-purpose table
//! touches two lines for the same look-up; on a million flows that second miss
//! is what the packet costs.

/// Marks a slot that was never used, or whose flow is gone.
const EMPTY: u64 = 0;
/// Slots of the smallest index that is not empty.
const FEWEST: usize = 1 << 10;

/// Hash → number of a flow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    slots: Vec<u64>,
    len: usize,
}

fn slot(hash: u32, number: u32) -> u64 {
    u64::from(hash) << 32 | (u64::from(number) + 1)
}

/// The number in `slot`, if it was put there under `hash`.
#[inline]
fn number_in(slot: u64, hash: u32) -> Option<u32> {
    ((slot >> 32) as u32 == hash && slot != EMPTY).then(|| (slot as u32).wrapping_sub(1))
}

impl Index {
    #[inline]
    fn mask(&self) -> usize {
        self.slots.len().wrapping_sub(1)
    }

    /// The number that `hash` leads to and `is` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u32, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.mask();
        let mut at = hash as usize & mask;
        loop {
            let slot = *self.slots.get(at)?;
            if slot == EMPTY {
                return None;
            }
            if let Some(number) = number_in(slot, hash)
                && is(number)
            {
                return Some(number);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds `number`, which must not be there yet.
    pub(crate) fn insert(&mut self, hash: u32, number: u32) {
        // Half of them empty: a probe more costs more than its memory.
        if (self.len + 1) * 2 > self.slots.len() {
            self.grow();
        }
        self.place(slot(hash, number));
        self.len += 1;
    }

    fn place(&mut self, slot: u64) {
        let mask = self.mask();
        let mut at = (slot >> 32) as usize & mask;
        while self.slots[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    fn grow(&mut self) {
        let larger = vec![EMPTY; (self.slots.len() * 2).max(FEWEST)];
        for slot in std::mem::replace(&mut self.slots, larger) {
            if slot != EMPTY {
                self.place(slot);
            }
        }
    }

    /// Takes `number` out, and closes the gap so that probing still finds what stood behind it.
    pub(crate) fn remove(&mut self, hash: u32, number: u32) {
        let mask = self.mask();
        let wanted = slot(hash, number);
        let mut gap = hash as usize & mask;
        if self.slots.is_empty() {
            return;
        }
        while self.slots[gap] != wanted {
            if self.slots[gap] == EMPTY {
                return;
            }
            gap = (gap + 1) & mask;
        }
        self.len -= 1;
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot == EMPTY {
                break;
            }
            let home = (slot >> 32) as usize & mask;
            // Movable when its home does not lie between the gap and where it stands, cyclically.
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(gap) & mask) {
                self.slots[gap] = slot;
                gap = at;
            }
        }
        self.slots[gap] = EMPTY;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few hashes, so that probes collide, wrap around and close gaps.
        #[test]
        fn behaves_as_a_map(steps in prop::collection::vec((0u32..40, any::<bool>()), 1..400)) {
            let hash_of = |n: u32| (n % 7).wrapping_mul(0x3ff);
            let (mut index, mut model) = (Index::default(), HashSet::new());
            for (number, add) in steps {
                if add && !model.contains(&number) {
                    index.insert(hash_of(number), number);
                    model.insert(number);
                } else if !add && model.remove(&number) {
                    index.remove(hash_of(number), number);
                }
                for n in 0..40 {
                    let found = index.find(hash_of(n), |m| m == n).is_some();
                    prop_assert_eq!(found, model.contains(&n));
                }
            }
        }
    }

    #[test]
    fn growing_keeps_every_entry() {
        let mut index = Index::default();
        for n in 0..100_000u32 {
            index.insert(n.wrapping_mul(0x9E37_79B1), n);
        }
        for n in 0..100_000u32 {
            assert_eq!(index.find(n.wrapping_mul(0x9E37_79B1), |m| m == n), Some(n));
        }
    }
}
