//! The letters of a flow's history, and how it is kept: five bits a letter, in the order of first appearance.

use crate::key::Side;

/// History letters, by bit; order decides nothing.
const LETTERS: [u8; 11] = *b"SHADFRGTWIQ";
pub(super) const SYN: u8 = 0;
pub(super) const SYN_ACK: u8 = 1;
pub(super) const PURE_ACK: u8 = 2;
pub(super) const CONTENT: u8 = 3;
pub(super) const FIN: u8 = 4;
pub(super) const RST: u8 = 5;
pub(super) const GAP: u8 = 6;
pub(super) const RETRANSMIT: u8 = 7;
pub(super) const ZERO_WINDOW: u8 = 8;
pub(super) const INCONSISTENT: u8 = 9;
pub(super) const MULTIPLE: u8 = 10;

/// How many letters there are.
pub(super) const KINDS: usize = LETTERS.len();

/// Numbers from here on stand for letters that tell how a flow stands, but are not in its history.
const HIDDEN: u8 = 11;
/// Those letters.
const UNWRITTEN: [u8; 4] = [SYN, SYN_ACK, FIN, RST];

/// Letters that one word of history holds, at [`WIDTH`] bits each.
const A_WORD: u32 = 12;
const WIDTH: u32 = 5;

/// A letter that a side sent: bit 4 is the side, bits 0–3 the letter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u8);

impl Mark {
    const SIDE: u8 = 1 << 4;

    fn written(side: Side, letter: u8) -> Self {
        Mark(letter | (side.index() as u8) << 4)
    }

    /// One that does not show in the history; of a letter that always does, the same as that.
    fn unwritten(side: Side, letter: u8) -> Self {
        let number = UNWRITTEN.iter().position(|&one| one == letter).map(|at| HIDDEN + at as u8);
        Self::written(side, number.unwrap_or(letter))
    }

    pub(super) fn side(self) -> Side {
        if self.0 & Self::SIDE == 0 { Side::Low } else { Side::High }
    }

    /// Whether it stands for this letter, written or not.
    pub(super) fn is(self, side: Side, letter: u8) -> bool {
        [Self::written(side, letter), Self::unwritten(side, letter)].contains(&self)
    }

    /// How the history shows it, if it does: in upper case what `initiator` sent.
    fn show(self, initiator: Side) -> Option<char> {
        let letter = char::from(*LETTERS.get(usize::from(self.0 & !Self::SIDE))?);
        Some(if self.side() == initiator { letter } else { letter.to_ascii_lowercase() })
    }
}

/// Marks in the order of appearance; how many they are is known by what was seen ([`super::seen::Seen::letters`]).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct History([u64; 2]);

impl History {
    /// Puts a letter of `side` at the next `place`; it shows there if it is `written`.
    #[inline]
    pub(super) fn set(&mut self, place: u32, side: Side, letter: u8, written: bool) {
        let mark = if written { Mark::written(side, letter) } else { Mark::unwritten(side, letter) };
        self.0[(place / A_WORD) as usize] |= u64::from(mark.0) << (place % A_WORD * WIDTH);
    }

    /// The mark at `place`, where there is one.
    pub(super) fn at(&self, place: u32) -> Mark {
        let mark = self.0[(place / A_WORD) as usize] >> (place % A_WORD * WIDTH);
        Mark(mark as u8 & ((1 << WIDTH) - 1))
    }

    /// The first `count` of them, as people read them; in upper case what `initiator` sent.
    pub(super) fn show(&self, count: u32, initiator: Side) -> String {
        (0..count).filter_map(|place| self.at(place).show(initiator)).collect()
    }

    /// Exchanges the sides of the first `count` of them.
    pub(super) fn flip(&mut self, count: u32) {
        for place in 0..count {
            self.0[(place / A_WORD) as usize] ^= u64::from(Mark::SIDE) << (place % A_WORD * WIDTH);
        }
    }
}
