//! Which of a flow's payloads are read.

use crate::key::Side;

/// Which of a flow's payloads somebody wants to read, and how far that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heed(u8);

impl Heed {
    /// Both ends' payloads are wanted.
    const BOTH: u8 = 0b11;
    /// The flow's opening has been read: what is wanted may begin another.
    const TOLD: u8 = 1 << 2;
    /// Its opening is read in parts.
    const PENDING: u8 = 1 << 3;
    /// Its protocol is one of which openings follow each other.
    const RECURS: u8 = 1 << 4;
    /// All its payloads are counted: it is of encrypted lookups.
    const COUNTED: u8 = 1 << 5;
    /// The payload at hand lies far from what its side said before, in a flow that is told.
    const ASTRAY: u8 = 1 << 6;
    /// What it says may have been counted where it passed: then sequence numbers are caught up with first.
    const ELSEWHERE: u8 = 1 << 7;

    /// Of a flow that begins.
    pub(super) fn of(protocol: u8) -> Self {
        Heed(if matches!(protocol, 6 | 17) { Self::BOTH } else { Self::TOLD })
    }

    /// Whether `side`'s payloads are wanted.
    #[inline]
    pub(crate) fn wants(self, side: Side) -> bool {
        self.0 >> side.index() & 1 != 0
    }

    /// Whether what `side` says next is read, whatever it begins with.
    pub(crate) fn hears(self, side: Side) -> bool {
        self.wants(side) && (self.0 & Self::TOLD == 0 || self.0 & (Self::PENDING | Self::RECURS) != 0)
    }

    pub(crate) fn is_told(self) -> bool {
        self.0 & Self::TOLD != 0
    }

    pub(crate) fn is_pending(self) -> bool {
        self.0 & Self::PENDING != 0
    }

    pub(crate) fn recurs(self) -> bool {
        self.0 & Self::RECURS != 0
    }

    pub(crate) fn is_counted(self) -> bool {
        self.0 & Self::COUNTED != 0
    }

    /// Whether it is told, and a payload is only wanted if it begins another opening.
    #[inline]
    pub(crate) fn is_at_rest(self) -> bool {
        self.0 & (Self::TOLD | Self::PENDING | Self::COUNTED | Self::ASTRAY) == Self::TOLD
    }

    /// Whether nobody has a use for what `side` says next, unless it begins another opening.
    pub(crate) fn is_done_with(self, side: Side) -> bool {
        let unwanted = self.0 & (Self::PENDING | Self::COUNTED) == 0 && !self.wants(side);
        unwanted || self.is_at_rest() && !self.recurs()
    }

    /// From now on, all its payloads are counted.
    pub(crate) fn count(&mut self) {
        self.0 |= Self::COUNTED | Self::BOTH;
    }

    /// Its opening is read in parts, whichever end they are of.
    pub(crate) fn pend(&mut self) {
        self.0 |= Self::PENDING | Self::BOTH;
    }

    pub(crate) fn is_astray(self) -> bool {
        self.0 & Self::ASTRAY != 0
    }

    /// What a side says now lies far from what it said before: the beginning of another connection may not have been captured.
    #[cold]
    pub(super) fn stray(&mut self) {
        if self.is_told() {
            self.0 |= Self::ASTRAY | if self.is_pending() { 0 } else { Self::BOTH };
        } else {
            self.begin_again();
        }
    }

    /// What was said astray has been looked at.
    pub(crate) fn go_on(&mut self) {
        if self.is_astray() {
            let wanted = self.0 & (Self::RECURS | Self::COUNTED | Self::PENDING) != 0;
            self.0 &= !(Self::ASTRAY | if wanted { 0 } else { Self::BOTH });
        }
    }

    /// Another connection begins, whose opening has not been read.
    #[cold]
    pub(crate) fn begin_again(&mut self) {
        self.0 = self.0 & (Self::COUNTED | Self::ELSEWHERE) | Self::BOTH;
    }

    /// The opening was read. Another protocol's may follow, or another one of the same, if it `recurs`.
    pub(crate) fn told(&mut self, another_s: bool, recurs: bool) {
        let both = if another_s || recurs || self.is_counted() { Self::BOTH } else { 0 };
        let kept = self.0 & (Self::COUNTED | Self::ELSEWHERE);
        self.0 = Self::TOLD | both | kept | if recurs { Self::RECURS } else { 0 };
    }

    #[inline]
    pub(crate) fn is_elsewhere(self) -> bool {
        self.0 & Self::ELSEWHERE != 0
    }

    /// Whether what it says may be counted where it passes, from now on.
    pub(crate) fn set_elsewhere(&mut self, is_elsewhere: bool) {
        self.0 = self.0 & !Self::ELSEWHERE | if is_elsewhere { Self::ELSEWHERE } else { 0 };
    }

    /// What `side` says next is not wanted.
    pub(crate) fn ignore(&mut self, side: Side) {
        if !self.is_counted() {
            self.0 &= !(1 << side.index());
        }
    }

    /// Nobody knows what `side` says. If nobody knows the other one's either, the flow is told, and another protocol's
    /// opening may follow, as above.
    pub(crate) fn nothing_known(&mut self, side: Side, another_s: bool) {
        self.ignore(side);
        if self.0 & Self::BOTH == 0 {
            self.told(another_s, false);
        }
    }
}
