//! Where a side's segments stand in its sequence space: what is new, what was there before, what is missing.

use dissect::{Stretch, TcpFlags, Timestamp};

use super::letters::{GAP, RETRANSMIT};
use super::seen::{HOLE, STARTED};
use super::{Course, Segment, TcpEvents, TcpState};
use crate::key::Side;

/// A segment that fills a hole this soon was reordered, not sent again (as Wireshark has it).
const REORDERING: i64 = 3_000_000;

/// A SYN that comes again behind no more bytes than this is one that was late.
const SENT_SINCE_SYN: u32 = 1 << 20;
/// Data that lies no further than this from what its side sent last is of the same connection; beyond, it may be another's.
const FAR: u32 = 1 << 20;

/// One more than 4 bits hold.
const RESENT_STEP: u8 = 16;

impl TcpState {
    /// Another connection begins with a SYN that repeats none, be it sent late; or, where that was not captured, with data
    /// far from what was sent before both ends had finished.
    pub(super) fn course(&self, side: Side, segment: &Segment) -> Course {
        let (flags, i) = (segment.flags, side.index());
        if self.seen.0[i] & STARTED == 0 || flags.has(TcpFlags::RST) {
            return Course::On;
        }
        if !flags.has(TcpFlags::SYN) {
            let far = segment.seq.wrapping_sub(self.next[i]).cast_signed().unsigned_abs() > FAR;
            return match (segment.len > 0 && far, self.seen.is_over()) {
                (false, _) => Course::On,
                (true, true) => Course::Anew,
                (true, false) => Course::Astray,
            };
        }
        let sent = self.next[i].wrapping_sub(segment.seq.wrapping_add(1));
        let is_first =
            !flags.has(TcpFlags::ACK) && sent != 0 && (self.seen.is_over() || sent > SENT_SINCE_SYN);
        if is_first { Course::Anew } else { Course::On }
    }

    /// Follows the sequence space: what is new, what was there before, what is missing.
    #[inline]
    pub(super) fn note_sequence(
        &mut self,
        events: &mut TcpEvents,
        side: Side,
        at: Timestamp,
        segment: &Segment,
    ) {
        let (i, seq, flags) = (side.index(), segment.seq, segment.flags);
        let phantom = u32::from(flags.has(TcpFlags::SYN)) + u32::from(flags.has(TcpFlags::FIN));
        let len = segment.len + phantom;
        let end = seq.wrapping_add(len);
        if self.seen.0[i] & STARTED == 0 {
            self.seen.0[i] |= STARTED;
            (self.next[i], self.advanced[i]) = (end, at.0);
            return;
        }
        let ahead = seq.wrapping_sub(self.next[i]) as i32;
        if ahead == 0 || len == 0 {
            if len > 0 {
                (self.next[i], self.advanced[i]) = (end, at.0);
            }
            return;
        }
        let fresh = end.wrapping_sub(self.next[i]) as i32 > 0;
        if ahead > 0 {
            self.note(events, side, GAP);
            self.seen.0[i] |= HOLE;
        } else {
            // RFC 9293, section 3.8.4: a keep-alive repeats the last byte, or none, before the next.
            let keep_alive = ahead == -1 && len <= 1 && phantom == 0;
            let hole = self.seen.has(side, HOLE);
            let reordered = hole && !fresh && at.0.saturating_sub(self.advanced[i]) < REORDERING;
            if !keep_alive && !reordered {
                self.note_resent(events, side);
                self.note(events, side, RETRANSMIT);
            }
        }
        if fresh {
            (self.next[i], self.advanced[i]) = (end, at.0);
        }
    }

    /// One segment more whose bytes were sent before.
    #[inline]
    fn note_resent(&mut self, events: &mut TcpEvents, side: Side) {
        let i = side.index();
        let one = 1 << (4 * i);
        let all = one * (RESENT_STEP - 1);
        if self.resent & all == all {
            events.retransmits[i] = events.retransmits[i].saturating_add(u32::from(RESENT_STEP));
            self.resent &= !all;
        } else {
            self.resent += one;
        }
    }

    /// Segments of `side` that were sent again and stand here.
    pub(super) fn few_resent(&self, side: Side) -> u32 {
        u32::from(self.resent >> (4 * side.index()) & (RESENT_STEP - 1))
    }

    /// One past the highest sequence number of `side`, if there was any.
    pub(crate) fn next(&self, side: Side) -> Option<u32> {
        self.seen.has(side, STARTED).then_some(self.next[side.index()])
    }

    /// Goes on behind a piece of what `side` sent.
    pub(crate) fn skip(&mut self, side: Side, stretch: &Stretch) {
        self.next[side.index()] = stretch.next;
        self.advanced[side.index()] = stretch.last.0;
    }
}
