//! The pieces of one packet's payload, until nothing is missing.

use dissect::{Fragment, Timestamp};

use super::is_stale;

/// Pieces of one packet; more is an attack.
const MAX_PIECES: usize = 128;
/// Bytes of the pieces of one packet, which may lie over each other.
const MAX_HELD: usize = 2 * 65_535;

/// Pieces of one packet's payload.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// When the first one of them came.
    since: Timestamp,
    /// (offset, bytes), as they came; what adds nothing to those before is not kept.
    parts: Vec<(u16, Vec<u8>)>,
    /// Which bytes are there: from and to, in order, none next to another.
    spans: Vec<(usize, usize)>,
    /// Known once the last piece has come.
    whole: Option<usize>,
    /// Bytes in `parts`.
    held: usize,
    /// Its first piece was seen, and nobody reads its flow.
    refused: bool,
}

impl Pieces {
    /// None yet; the first one comes at this time.
    pub(super) fn since(since: Timestamp) -> Self {
        Pieces { since, ..Pieces::default() }
    }

    /// Nobody reads the packet: what is there is let go.
    pub(super) fn refuse(&mut self) {
        *self = Pieces { refused: true, since: self.since, ..Pieces::default() };
    }

    /// Whether a piece of `len` bytes is not kept: nobody reads the packet, or there is too much of it.
    pub(super) fn takes_no_more(&self, len: usize) -> bool {
        self.refused || self.parts.len() == MAX_PIECES || self.held + len > MAX_HELD
    }

    #[cfg(test)]
    pub(super) fn are_none(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether this piece, which came at `at`, is of another packet: one that nobody was asked about, or of which the first
    /// piece says something else.
    pub(super) fn is_other(&self, at: Timestamp, fragment: Fragment, bytes: &[u8]) -> bool {
        // Only one is kept: the same adds nothing, and what differs is another packet's.
        let first = || self.parts.iter().find(|(offset, _)| *offset == 0);
        let differs = || first().is_some_and(|(_, part)| part != bytes);
        is_stale(self.since, at) || fragment.offset == 0 && (self.refused || differs())
    }

    /// Adds a piece, if it has any byte that is not there.
    ///
    /// That takes no look at the bytes of others, however many lie over each other: they are moved once nothing is missing.
    pub(super) fn add(&mut self, fragment: Fragment, bytes: &[u8]) {
        let from = usize::from(fragment.offset);
        let to = from + bytes.len();
        if !fragment.more {
            self.whole = Some(to);
        }
        let first = self.spans.partition_point(|&(_, end)| end < from);
        let behind = self.spans.partition_point(|&(start, _)| start <= to);
        let touched = self.spans.get(first..behind).unwrap_or_default();
        let span =
            touched.iter().fold((from, to), |(from, to), &(start, end)| (from.min(start), to.max(end)));
        if touched != [span] {
            self.spans.splice(first..behind, [span]);
            self.parts.push((fragment.offset, bytes.to_vec()));
            self.held += bytes.len();
        }
    }

    /// The payload, once nothing is missing; of overlapping pieces the earlier one counts.
    pub(super) fn join(&self) -> Option<Vec<u8>> {
        let whole = self.whole?;
        if self.spans.first().is_none_or(|&(start, end)| start > 0 || end < whole) {
            return None;
        }
        let mut bytes = vec![0; whole];
        for (offset, part) in self.parts.iter().rev() {
            let room = bytes.get_mut(usize::from(*offset)..).unwrap_or_default();
            let len = part.len().min(room.len());
            room[..len].copy_from_slice(&part[..len]);
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What pieces of these offsets, lengths and bytes make, of which the last one ends the packet; worked out byte by byte.
    fn by_bytes(pieces: &[(u16, usize, u8)]) -> Option<Vec<u8>> {
        let &(offset, len, _) = pieces.last()?;
        let of = |at: usize| {
            let has = |&&(offset, len, _): &&(u16, usize, u8)| {
                (offset as usize..offset as usize + len).contains(&at)
            };
            pieces.iter().find(has).map(|&(.., byte)| byte)
        };
        (0..offset as usize + len).map(of).collect()
    }

    proptest! {
        /// However pieces lie over each other, the earlier one counts, and nothing comes out where a byte is missing.
        #[test]
        fn pieces_may_lie_over_each_other(
            pieces in prop::collection::vec((0u16..12, 0usize..7, any::<u8>()), 1..12),
        ) {
            let mut all = Pieces::default();
            for (n, &(offset, len, byte)) in pieces.iter().enumerate() {
                let more = n + 1 < pieces.len();
                all.add(Fragment { id: 7, offset, more }, &vec![byte; len]);
            }
            prop_assert_eq!(all.join(), by_bytes(&pieces));
        }
    }

    /// Pieces that lie over each other, with a hole that never closes, are held to what they bring.
    #[test]
    fn what_is_there_already_is_not_kept() {
        let mut pieces = Pieces::default();
        pieces.add(Fragment { id: 7, offset: 800, more: false }, &[1; 200]);
        for _ in 0..3 {
            for offset in (0..792).step_by(8) {
                pieces.add(Fragment { id: 7, offset, more: true }, &[2; 8]);
            }
        }
        assert_eq!((pieces.parts.len(), pieces.held), (100, 992));
        assert_eq!(pieces.spans, [(0, 792), (800, 1000)]);
        assert_eq!(pieces.join(), None);
        pieces.add(Fragment { id: 7, offset: 700, more: true }, &[3; 150]);
        let whole = [[2; 792].as_slice(), &[3; 8], &[1; 200]].concat();
        assert_eq!(pieces.join(), Some(whole));
    }
}
