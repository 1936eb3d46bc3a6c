//! From a key's hash to the place of its flow, in one cache line.
//!
//! Open addressing over places of 8 bytes: 32 bits of hash and the flow's
//! number. Probing begins at the first place of a bucket of four and goes on
//! place by place. The hash bits that are kept are also the ones that place a
//! number, so that growing never needs the keys. A general-purpose table touches
//! two lines for the same look-up; on a million flows that second miss is what
//! the packet costs.

/// A place that was never taken, or whose flow is gone.
const EMPTY: u32 = 0;
/// Buckets of the smallest index that is not empty.
const FEWEST: usize = 1 << 8;
/// Places a bucket.
const WIDTH: usize = 4;

/// Places that are looked at together; none lies in two cache lines.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Bucket {
    hashes: [u32; WIDTH],
    /// Numbers +1, or [`EMPTY`].
    numbers: [u32; WIDTH],
}

impl Bucket {
    /// Number +1 of a hash, or [`EMPTY`]. In which place it stands is chance: a branch on it would be mispredicted every third
    /// time, and costs more than to look at all.
    #[inline]
    fn find(&self, hash: u32) -> u32 {
        self.hashes.iter().zip(self.numbers).fold(EMPTY, |found, (&h, number)| {
            let all_if_equal = u32::from(h == hash).wrapping_neg();
            found | number & all_if_equal
        })
    }
}

/// Hash → number of a flow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// A power of two of them, or none.
    buckets: Vec<Bucket>,
    len: usize,
}

impl Index {
    /// How many places there are, less one; what masks a place.
    #[inline]
    fn mask(&self) -> usize {
        (self.buckets.len() * WIDTH).wrapping_sub(1)
    }

    /// Where probing begins.
    #[inline]
    fn home(&self, hash: u32) -> usize {
        (hash as usize * WIDTH) & self.mask()
    }

    /// Where probing begins, in memory; nowhere, as long as it is empty.
    #[inline]
    pub(crate) fn place_of(&self, hash: u32) -> *const u8 {
        let bucket = self.buckets.get(self.home(hash) / WIDTH);
        bucket.map_or(std::ptr::null(), |bucket| std::ptr::from_ref(bucket).cast())
    }

    /// Hash and number +1 at a place.
    #[inline]
    fn at(&self, place: usize) -> (u32, u32) {
        let bucket = &self.buckets[place / WIDTH];
        (bucket.hashes[place % WIDTH], bucket.numbers[place % WIDTH])
    }

    fn set(&mut self, place: usize, (hash, number): (u32, u32)) {
        let bucket = &mut self.buckets[place / WIDTH];
        (bucket.hashes[place % WIDTH], bucket.numbers[place % WIDTH]) = (hash, number);
    }

    /// The number that `hash` most likely leads to, or [`u32::MAX`]; where a bucket holds a hash twice, any number.
    ///
    /// Looks at the home bucket and, if that is full of others, at the one behind it, where most of those stand that it had no
    /// room for.
    #[inline]
    pub(crate) fn guess(&self, hash: u32) -> u32 {
        let home = self.home(hash) / WIDTH;
        let Some(bucket) = self.buckets.get(home) else { return u32::MAX };
        let mut found = bucket.find(hash);
        if found == EMPTY && !bucket.numbers.contains(&EMPTY) {
            let next = (home + 1) & (self.buckets.len() - 1);
            found = self.buckets.get(next).map_or(EMPTY, |bucket| bucket.find(hash));
        }
        found.wrapping_sub(1)
    }

    /// The number that `hash` leads to and `is` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u32, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        if self.buckets.is_empty() {
            return None;
        }
        let mut place = self.home(hash);
        loop {
            let (there, number) = self.at(place);
            if number == EMPTY {
                return None;
            }
            if there == hash && is(number - 1) {
                return Some(number - 1);
            }
            place = (place + 1) & self.mask();
        }
    }

    /// Adds `number`, which must not be there yet.
    pub(crate) fn insert(&mut self, hash: u32, number: u32) {
        // Half of them empty: what does not stand in its home bucket costs more than its memory.
        if (self.len + 1) * 2 > self.buckets.len() * WIDTH {
            self.grow();
        }
        self.put(hash, number + 1);
        self.len += 1;
    }

    fn put(&mut self, hash: u32, number: u32) {
        let mut place = self.home(hash);
        while self.at(place).1 != EMPTY {
            place = (place + 1) & self.mask();
        }
        self.set(place, (hash, number));
    }

    fn grow(&mut self) {
        let larger = vec![Bucket::default(); (self.buckets.len() * 2).max(FEWEST)];
        for bucket in std::mem::replace(&mut self.buckets, larger) {
            for (hash, number) in bucket.hashes.into_iter().zip(bucket.numbers) {
                if number != EMPTY {
                    self.put(hash, number);
                }
            }
        }
    }

    /// Takes `number` out, and closes the gap so that probing still finds what stood behind it.
    pub(crate) fn remove(&mut self, hash: u32, number: u32) {
        if self.buckets.is_empty() {
            return;
        }
        let mask = self.mask();
        let mut gap = self.home(hash);
        while self.at(gap) != (hash, number + 1) {
            if self.at(gap).1 == EMPTY {
                return;
            }
            gap = (gap + 1) & mask;
        }
        self.len -= 1;
        let mut place = gap;
        loop {
            place = (place + 1) & mask;
            let there = self.at(place);
            if there.1 == EMPTY {
                break;
            }
            let home = self.home(there.0);
            // Movable when its home does not lie between the gap and where it stands, cyclically.
            if (place.wrapping_sub(home) & mask) >= (place.wrapping_sub(gap) & mask) {
                self.set(gap, there);
                gap = place;
            }
        }
        self.set(gap, (0, EMPTY));
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
        let right = (0..100_000u32).filter(|n| index.guess(n.wrapping_mul(0x9E37_79B1)) == *n).count();
        assert!(right > 90_000, "{right} guesses of 100,000 are right");
    }
}
