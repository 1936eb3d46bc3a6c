//! Flows that are told of, in pieces.

use crate::store::FlowParts;

/// Flows of a piece.
const PIECE: usize = 256;

/// Flows apart from their store, in pieces of memory of one size: each takes the place of one that was told before. All in one
/// piece, they would find none that is as long, and take fresh memory at one report after the other.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// All but the last are full.
    pieces: Vec<Vec<FlowParts>>,
    /// How many more may come.
    expected: usize,
}

impl Parts {
    /// Room for so many, of which there may be fewer.
    pub(crate) fn expecting(count: usize) -> Self {
        Self { pieces: Vec::new(), expected: count }
    }

    /// So many more may come.
    pub(crate) fn expect(&mut self, count: usize) {
        self.expected = count;
    }

    pub(crate) fn push(&mut self, part: FlowParts) {
        if self.pieces.last().is_none_or(|last| last.len() == PIECE) {
            self.pieces.push(Vec::with_capacity(self.expected.clamp(1, PIECE)));
        }
        if let Some(last) = self.pieces.last_mut() {
            last.push(part);
        }
        self.expected = self.expected.saturating_sub(1);
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut FlowParts> {
        self.pieces.iter_mut().flatten()
    }

    /// The pieces, in order: whoever is done with one gives it back before the next.
    pub(crate) fn into_pieces(self) -> impl Iterator<Item = Vec<FlowParts>> {
        self.pieces.into_iter()
    }
}

impl Extend<FlowParts> for Parts {
    fn extend<T: IntoIterator<Item = FlowParts>>(&mut self, parts: T) {
        parts.into_iter().for_each(|part| self.push(part));
    }
}
