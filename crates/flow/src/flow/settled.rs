//! Which of a flow's packets the source counts itself.

use dissect::Unread;

use crate::key::Side;

/// Which packets of a flow the source was told to count itself, by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled(u8);

impl Settled {
    const NOTHING: u8 = 1;
    const DATA: u8 = 1 << 2;
    /// The source has been told of the side, and not to forget it.
    const TOLD: u8 = 1 << 4;

    fn bit(unread: Unread) -> u8 {
        match unread {
            Unread::Nothing => Self::NOTHING,
            Unread::Data => Self::DATA,
        }
    }

    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether the source has been told to count these.
    pub(crate) fn has(self, side: Side, unread: Unread) -> bool {
        self.0 >> side.index() & Self::bit(unread) != 0
    }

    /// Whether it has been told of this side.
    pub(crate) fn is_told(self, side: Side) -> bool {
        self.0 >> side.index() & Self::TOLD != 0
    }

    /// Whether it may count anything of either side, or has counted data with which the flow has not caught up.
    pub(crate) fn has_any(self) -> bool {
        self.0 & (0b11 * (Self::NOTHING | Self::DATA)) != 0
    }

    pub(crate) fn set(&mut self, side: Side, unread: Unread) {
        self.0 |= (Self::bit(unread) | Self::TOLD) << side.index();
    }

    /// What carries nothing is seen again, from both sides.
    pub(crate) fn see(&mut self) {
        self.0 &= !(0b11 * Self::NOTHING);
    }

    /// The flow has caught up with data of this side.
    pub(crate) fn catch_up(&mut self, side: Side) {
        self.0 &= !(Self::DATA << side.index());
    }

    /// The source is told to forget this side; what data it has counted is still to be caught up with.
    pub(crate) fn forget(&mut self, side: Side) {
        self.0 &= !((Self::NOTHING | Self::TOLD) << side.index());
    }
}
