//! When what a flow's ends said is read again, there being more of it.
//!
//! Each reading takes all that is there. Two rules bound them, so that neither an end that says little at a time nor one that
//! answers each bit of it makes a flow dearer than others: after some readings half as much again is waited for, unless the
//! other end answers; and no reading is had that what came has not paid for. What was put off is read at the next packet that
//! pays for it, or when nothing more comes, so that nothing is missed.

use super::MAX_SAID;
use crate::key::Side;

/// Readings without regard to how much there is more.
const EAGER: u32 = 24;
/// Bytes that may be read for each packet, and for each byte of its payload.
pub(super) const PAID_BY_PACKET: usize = 256;
pub(super) const PAID_BY_BYTE: usize = 8;
/// Bytes that are read unpaid: what an opening in a handful of turns takes.
pub(super) const UNPAID: usize = MAX_SAID;

/// The readings of one flow's ends.
#[derive(Debug, Default)]
pub(super) struct Turns {
    readings: u32,
    /// Bytes that are waited for.
    next: usize,
    /// Whose bytes wait to be read together with others.
    unread: Option<Side>,
    /// What is there is to be read as soon as that is paid for.
    overdue: bool,
    /// Bytes that may be read, beyond [`UNPAID`], and those that were.
    paid: usize,
    spent: usize,
    /// Ends that have said their last, by side.
    ended: [bool; 2],
}

impl Turns {
    /// A packet came, with so many bytes of payload.
    pub(super) fn note(&mut self, payload: usize) {
        self.paid += PAID_BY_PACKET + PAID_BY_BYTE * payload;
    }

    /// Whether a packet from `side` is reason enough to read: what an end has said is whole once the other one answers.
    pub(super) fn is_due(&self, side: Side) -> bool {
        self.overdue || self.unread.is_some_and(|unread| unread != side)
    }

    /// The end on `side` says its last; gives whether it had not said so before.
    pub(super) fn end(&mut self, side: Side) -> bool {
        !std::mem::replace(&mut self.ended[side.index()], true)
    }

    /// Whether the `held` bytes are read, of which those from `side` may go on.
    pub(super) fn take(&mut self, held: usize, side: Side) -> bool {
        if self.readings >= EAGER && held < self.next {
            self.readings += 1;
            self.unread = Some(side);
            return false;
        }
        self.take_due(held)
    }

    /// Whether the `held` bytes are read, which there is reason to.
    pub(super) fn take_due(&mut self, held: usize) -> bool {
        if self.spent + held > self.paid + UNPAID {
            self.overdue = true;
            return false;
        }
        self.take_last(held)
    }

    /// The `held` bytes are read whatever was paid for, since no more will come; gives that they are.
    pub(super) fn take_last(&mut self, held: usize) -> bool {
        self.readings += 1;
        self.spent += held;
        self.next = held + held / 2;
        (self.unread, self.overdue) = (None, false);
        true
    }

    /// Nothing more comes: the `held` bytes are read if that was put off; gives whether they are.
    pub(super) fn take_rest(&mut self, held: usize) -> bool {
        (self.overdue || self.unread.is_some()) && self.take_last(held)
    }

    /// Bytes were let go: what is there counts anew.
    pub(super) fn made_room(&mut self) {
        self.next = 0;
    }

    /// There were more readings than most flows take.
    pub(super) fn are_many(&self) -> bool {
        self.readings > EAGER
    }
}
