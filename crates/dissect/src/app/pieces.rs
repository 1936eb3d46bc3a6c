//! Numbered pieces of a message, put together.

use std::borrow::Cow;

/// Pieces that wait for others before them.
const MOST_EARLY: usize = 64;

/// The bytes of a message from offset 0 up to the first one that no piece has, which come a few pieces at a time.
///
/// Pieces come in any order, twice, or over each other. What is there counts; of pieces that come together, the one with the
/// lowest offset, of equal ones the first. Each piece is copied once.
#[derive(Debug, Default)]
pub(super) struct Joined {
    bytes: Vec<u8>,
    early: Vec<(usize, Vec<u8>)>,
}

impl Joined {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds pieces: each with the offset at which it stands.
    pub(super) fn add<'a>(&mut self, pieces: impl Iterator<Item = (usize, &'a [u8])>) {
        let early = std::mem::take(&mut self.early);
        let mut pieces: Vec<_> = pieces.map(|(offset, bytes)| (offset, Cow::Borrowed(bytes))).collect();
        pieces.extend(early.into_iter().map(|(offset, bytes)| (offset, Cow::Owned(bytes))));
        pieces.sort_by_key(|(offset, _)| *offset);
        for (offset, bytes) in pieces {
            match self.bytes.len().checked_sub(offset) {
                Some(known) => self.bytes.extend_from_slice(bytes.get(known..).unwrap_or_default()),
                None if self.early.len() < MOST_EARLY => self.early.push((offset, bytes.into_owned())),
                None => {}
            }
        }
    }
}

/// The same of pieces that are all there.
pub(super) fn join<'a>(pieces: impl Iterator<Item = (usize, &'a [u8])>) -> Vec<u8> {
    let mut joined = Joined::default();
    joined.add(pieces);
    joined.bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where it stands, and its bytes.
    type Piece<'a> = (usize, &'a [u8]);

    #[test]
    fn in_any_order_twice_and_over_each_other() {
        let all = b"abcdefgh";
        let cut = |from: usize, to: usize| (from, &all[from..to]);
        let cases: [(&[Piece<'_>], &[u8]); 4] = [
            (&[cut(5, 8), cut(0, 3), cut(2, 6), cut(0, 3), cut(1, 2)], all),
            (&[cut(5, 8), cut(0, 3)], b"abc"),
            (&[cut(1, 8)], b""),
            (&[(usize::MAX, b"x"), cut(0, 8)], all),
        ];
        for (pieces, expected) in cases {
            assert_eq!(join(pieces.iter().copied()), expected);
            let mut one_by_one = Joined::default();
            for piece in pieces {
                one_by_one.add(std::iter::once(*piece));
            }
            assert_eq!(one_by_one.bytes(), expected);
        }
    }

    #[test]
    fn what_comes_too_early_is_bounded() {
        let mut joined = Joined::default();
        (1..10_000).for_each(|offset| joined.add(std::iter::once((2 * offset, &b"x"[..]))));
        assert_eq!(joined.early.len(), MOST_EARLY);
        joined.add(std::iter::once((0, &b"abc"[..])));
        assert_eq!((joined.bytes(), joined.early.len()), (&b"abc"[..], MOST_EARLY - 1));
    }
}
