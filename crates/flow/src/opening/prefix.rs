//! The first bytes of one end of a flow, put in order.

use super::MAX_SAID;

/// Segments that wait for others before them.
const MAX_EARLY: usize = 16;

/// The first bytes of one end.
#[derive(Debug, Default)]
pub(super) struct Prefix {
    /// In order, without a gap.
    pub(super) bytes: Vec<u8>,
    /// Of datagrams: where each ends in `bytes`.
    pub(super) ends: Vec<u32>,
    /// Sequence number of the first byte of `bytes`.
    start: Option<u32>,
    early: Vec<(u32, Vec<u8>)>,
    /// No more is taken: there is as much as is kept, or what follows was not captured.
    pub(super) is_full: bool,
    /// What stood before `bytes` was read and let go.
    went_on: bool,
    /// Nothing more is read of it.
    is_past: bool,
}

impl Prefix {
    /// Adds a datagram, as far as it was captured; gives whether there is more to read than before.
    pub(super) fn add_datagram(&mut self, bytes: &[u8]) -> bool {
        if self.is_full {
            return false;
        }
        let room = MAX_SAID - self.bytes.len();
        self.add(bytes.get(..room).unwrap_or(bytes));
        self.ends.push(self.bytes.len() as u32);
        self.is_full = bytes.len() >= room;
        true
    }

    /// Adds a segment of which `bytes` were captured and `len` sent; gives whether there is more to read than before.
    ///
    /// A segment from before the first one, as reordering makes it, becomes the first.
    pub(super) fn add_segment(&mut self, seq: u32, bytes: &[u8], len: u32) -> bool {
        if self.is_full || self.is_past {
            return false;
        }
        let had = self.bytes.len();
        let start = *self.start.get_or_insert(seq);
        let at = seq.wrapping_sub(start) as i32;
        if at < 0 && !self.went_on {
            return self.begin_earlier(seq, bytes);
        }
        let (bytes, len, at) = match usize::try_from(at) {
            Ok(at) => (bytes, len, at),
            Err(_) => (
                bytes.get(at.unsigned_abs() as usize..).unwrap_or_default(),
                len.saturating_sub(at.unsigned_abs()),
                0,
            ),
        };
        if at > had {
            self.wait(seq, bytes);
        } else {
            self.append(at, bytes);
            // What lies behind a cut is not known, nor is what waits there.
            self.is_full |= bytes.len() < len as usize && at + len as usize > had;
            self.take_early();
        }
        self.bytes.len() > had
    }

    /// What it begins with: changes when a segment comes that belongs before the first one. `None` until there is one.
    pub(super) fn first(&self) -> Option<(u32, u8)> {
        self.bytes.first().map(|&byte| (self.start.unwrap_or(0), byte))
    }

    /// Forgets the first `len` bytes, which may be more than there are; what follows them has room.
    pub(super) fn let_go(&mut self, len: u32) {
        let had_no_room = self.has_no_room();
        self.start = self.start.map(|start| start.wrapping_add(len));
        self.bytes.drain(..self.bytes.len().min(len as usize));
        self.went_on = true;
        self.is_full &= !(had_no_room && len > 0);
        self.take_early();
    }

    /// Forgets all that there is, and takes no more.
    pub(super) fn let_all_go(&mut self) {
        *self = Prefix { is_past: true, ..Prefix::default() };
    }

    /// It is full because there is as much as is kept.
    pub(super) fn has_no_room(&self) -> bool {
        self.is_full && self.bytes.len() >= MAX_SAID
    }

    fn begin_earlier(&mut self, seq: u32, bytes: &[u8]) -> bool {
        let Some(start) = self.start.filter(|start| start.wrapping_sub(seq) as usize <= MAX_SAID) else {
            return false;
        };
        let known = std::mem::take(&mut self.bytes);
        if !known.is_empty() {
            self.wait(start, &known);
        }
        self.start = Some(seq);
        self.append(0, bytes);
        self.take_early();
        true
    }

    fn wait(&mut self, seq: u32, bytes: &[u8]) {
        let held: usize = self.early.iter().map(|(_, bytes)| bytes.len()).sum();
        if self.early.len() >= MAX_EARLY || held + bytes.len() > MAX_SAID {
            self.is_full = true;
            return;
        }
        self.early.push((seq, bytes.to_vec()));
    }

    /// Adds what of `bytes`, which stand `at` so many bytes behind the first, is not there yet.
    fn append(&mut self, at: usize, bytes: &[u8]) {
        let Some(fresh) = bytes.get(self.bytes.len() - at..) else { return };
        let room = MAX_SAID - self.bytes.len();
        self.add(fresh.get(..room).unwrap_or(fresh));
        self.is_full |= fresh.len() >= room;
    }

    /// Adds bytes to the end. Most of what is kept is a segment or two.
    fn add(&mut self, bytes: &[u8]) {
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn take_early(&mut self) {
        let Some(start) = self.start else { return };
        let offset = |seq: u32| seq.wrapping_sub(start) as i32;
        while let Some(next) = self.early.iter().position(|&(seq, _)| offset(seq) <= self.bytes.len() as i32)
        {
            let (seq, bytes) = self.early.swap_remove(next);
            let at = offset(seq);
            let known = if at < 0 { at.unsigned_abs() as usize } else { 0 };
            self.append(at.max(0) as usize, bytes.get(known..).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stream::cut;

    proptest! {
        /// However the first bytes are cut, shuffled and repeated, they come out once and in order.
        #[test]
        fn any_order_gives_the_first_bytes(
            start in any::<u32>(),
            cuts in prop::collection::vec(1usize..60, 1..12),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let (bytes, places) = cut(start, &cuts);
            let segments: Vec<_> = places.into_iter().map(|(seq, place)| (seq, &bytes[place])).collect();
            let mut prefix = Prefix::default();
            for (seq, part) in picks.iter().map(|pick| *pick.get(&segments)).chain(segments.iter().copied()) {
                prefix.add_segment(seq, part, part.len() as u32);
            }
            prop_assert!(!prefix.is_full);
            prop_assert_eq!(prefix.bytes, bytes);
        }
    }

    #[test]
    fn nothing_is_read_across_what_was_not_captured() {
        let mut prefix = Prefix::default();
        assert!(prefix.add_segment(10, b"abc", 100));
        assert!(!prefix.add_segment(110, b"next", 4));
        assert_eq!((&prefix.bytes[..], prefix.is_full), (&b"abc"[..], true));
    }

    /// Requests behind each other without a pause: what was read makes room, also for what is a part of the same segment,
    /// for segments that come early, and for those that come again.
    #[test]
    fn what_was_read_makes_room_for_what_follows() {
        let bytes: Vec<u8> = (0..3 * MAX_SAID).map(|n| (n % 251) as u8).collect();
        let mut prefix = Prefix::default();
        let last = bytes.len() - 1000;
        let mut at = 0;
        prefix.add_segment(7, &bytes, bytes.len() as u32);
        while at < last {
            assert!(prefix.has_no_room());
            assert_eq!(prefix.bytes, bytes[at..at + MAX_SAID]);
            prefix.let_go(MAX_SAID as u32 - 100);
            at += MAX_SAID - 100;
            prefix.add_segment(7, &bytes, bytes.len() as u32);
            if bytes.len() - at < MAX_SAID {
                break;
            }
        }
        assert_eq!((&prefix.bytes[..], prefix.is_full), (&bytes[at..], false));
        let mut prefix = Prefix::default();
        assert!(prefix.add_segment(0, &bytes[..10], 10));
        prefix.let_go(30);
        assert!(!prefix.add_segment(40, &bytes[40..50], 10), "it is early");
        assert!(!prefix.add_segment(0, &bytes[..10], 10), "it was let go");
        assert!(prefix.add_segment(20, &bytes[20..40], 20));
        assert_eq!(prefix.bytes, bytes[30..50]);
        prefix.let_all_go();
        assert!(!prefix.add_segment(50, &bytes[50..60], 10) && !prefix.is_full);
    }

    #[test]
    fn no_more_than_the_bound_is_kept() {
        let mut prefix = Prefix::default();
        for n in 0..20u32 {
            prefix.add_segment(n * 1000, &[0; 1000], 1000);
        }
        assert_eq!((prefix.bytes.len(), prefix.is_full), (MAX_SAID, true));
        let mut prefix = Prefix::default();
        prefix.add_datagram(&vec![0; MAX_SAID + 1]);
        assert_eq!((prefix.bytes.len(), prefix.is_full), (MAX_SAID, true));
        let mut prefix = Prefix::default();
        prefix.add_segment(0, b"x", 1);
        for n in 0..20u32 {
            prefix.add_segment(10_000 + n * 2000, &[0; 1000], 1000);
        }
        assert!(prefix.is_full);
    }
}
