//! What was seen of both sides, a word each: which letters, and what else decides how a flow stands.

use super::letters::{CONTENT, FIN, KINDS, PURE_ACK, RST, SYN, SYN_ACK};
use crate::key::Side;

pub(super) const LETTERS_SEEN: u16 = (1 << KINDS) - 1;
/// The side sent data beside a SYN, FIN or RST.
pub(super) const DATA_BESIDE: u16 = 1 << 11;
/// What the side sent of an end was of a connection before.
pub(super) const ENDED_BEFORE: u16 = 1 << 12;
/// There is, or was, a hole in what the side sent.
pub(super) const HOLE: u16 = 1 << 13;
/// Where the side's next data begins is known.
pub(super) const STARTED: u16 = 1 << 14;
/// Stands beside the letters for SYN, FIN or RST: never seen, so that those are always looked at.
pub(super) const CONTROL: u16 = 1 << 15;

/// By side: letters by their bits, then what stands above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen(pub(super) [u16; 2]);

impl Seen {
    /// Whether any of these bits is set.
    #[inline]
    pub(super) fn has(self, side: Side, bits: u16) -> bool {
        self.0[side.index()] & bits != 0
    }

    /// Whether `side` sent this letter.
    #[inline]
    pub(super) fn saw(self, side: Side, letter: u8) -> bool {
        self.has(side, 1 << letter)
    }

    /// Whether there was a segment.
    #[inline]
    pub(crate) fn began(self) -> bool {
        self != Seen::default()
    }

    /// How many letters the history has.
    #[inline]
    pub(super) fn letters(self) -> u32 {
        let [low, high] = self.0;
        (low & LETTERS_SEEN).count_ones() + (high & LETTERS_SEEN).count_ones()
    }

    /// Another connection begins: both ends count anew.
    pub(super) fn begin_again(self) -> Self {
        Seen(self.0.map(|seen| seen & !(STARTED | HOLE) | ENDED_BEFORE))
    }

    /// Whether segments of `side` that carry nothing say nothing new any more.
    pub(crate) fn acknowledges(self, side: Side) -> bool {
        self.saw(side, PURE_ACK) && self.has(side, STARTED)
    }

    /// Whether data of `side` says nothing new any more, but where the next begins.
    pub(crate) fn goes_on(self, side: Side) -> bool {
        self.saw(side, CONTENT) && self.has(side, STARTED) && !self.is_over()
    }

    /// Whether nothing more is to come: both sides have finished, or one has reset.
    pub(super) fn is_over(self) -> bool {
        let ended = |side: Side, letter| self.saw(side, letter) && !self.has(side, ENDED_BEFORE);
        let both = |letter| ended(Side::Low, letter) && ended(Side::High, letter);
        let either = |letter| ended(Side::Low, letter) || ended(Side::High, letter);
        both(FIN) || either(RST)
    }

    /// Whether `side` sent data, with whatever flags.
    pub(super) fn sent_data(self, side: Side) -> bool {
        self.has(side, 1 << CONTENT | DATA_BESIDE)
    }

    /// Whether `side` sent a SYN.
    pub(crate) fn asked(self, side: Side) -> bool {
        self.saw(side, SYN)
    }

    /// Whether there is, or was, a hole in what `side` sent.
    pub(crate) fn misses_earlier(self, side: Side) -> bool {
        self.has(side, HOLE)
    }

    /// Whether either side sent a SYN.
    pub(crate) fn saw_syn(self) -> bool {
        const ANY: u16 = 1 << SYN | 1 << SYN_ACK;
        self.has(Side::Low, ANY) || self.has(Side::High, ANY)
    }

    /// Exchanges the sides.
    pub(super) fn flipped(self) -> Self {
        let [low, high] = self.0;
        Seen([high, low])
    }
}
