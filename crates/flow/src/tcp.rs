//! What the TCP headers of a flow tell: its history, how it stands, round-trip time, retransmissions.
//!
//! History and states are those of Zeek's conn.log (`history`, `conn_state`);
//! each letter stands once a direction, in the order of first appearance,
//! upper case for the initiator. A segment with one of SYN, FIN and RST is S or
//! H, F or R, and nothing besides, also with data; with two of them it is Q, or
//! I for FIN and RST; with none it is D with data, else A if it acknowledges.
//!
//! Other than there, no letter comes again (for another sequence number, for
//! ten, a hundred, …), checksums are not verified (C), and no flow is turned
//! round by a guess (^).

mod facts;
mod letters;
mod seen;
mod segment;
mod sequence;

use std::hint::select_unpredictable;

use dissect::{TcpFlags, Timestamp};

pub(crate) use self::facts::TcpFacts;
use self::letters::{FIN, History, INCONSISTENT, MULTIPLE, RST, SYN, SYN_ACK, ZERO_WINDOW};
pub(crate) use self::seen::Seen;
use self::seen::{DATA_BESIDE, ENDED_BEFORE, LETTERS_SEEN};
pub(crate) use self::segment::Segment;
use crate::key::Side;

/// What any segment may change of a flow's TCP facts.
///
/// Packed, since it shares two cache lines with what every packet changes: 1 byte more would need a third.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, packed)]
pub(crate) struct TcpState {
    /// When `next` was reached.
    advanced: [i64; 2],
    /// One past the highest sequence number seen, a side.
    next: [u32; 2],
    pub(crate) seen: Seen,
    /// Retransmissions of a side beyond those in [`TcpEvents`]: 4 bits each.
    resent: u8,
}

/// What few segments change.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TcpEvents {
    syn_at: i64,
    history: History,
    /// Nanoseconds from SYN to SYN-ACK, +1; 0 for none. Saturates at 4.29 s.
    rtt: u32,
    /// Retransmissions that a flow's [`TcpState::resent`] had no room for.
    retransmits: [u32; 2],
}

/// Where a segment stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// It goes on with them.
    On,
    /// It begins another connection of the same five-tuple.
    Anew,
    /// It may be of another connection, of which the beginning was not captured; or much was not.
    Astray,
    /// It goes on, and is the SYN that the flow's first segment answers.
    Answered,
}

impl TcpState {
    /// Adds one segment that `side` sent; nothing, of a packet without TCP. Gives where it stands to those
    /// before.
    #[inline]
    pub(crate) fn observe(
        &mut self,
        events: &mut TcpEvents,
        side: Side,
        at: Timestamp,
        segment: &Segment,
    ) -> Course {
        let i = side.index();
        let empty = segment.len == 0;
        // Most segments say nothing new but where the next one begins. Whether they carry data, or there is TCP at all, is
        // anybody's guess: no branch depends on it.
        let unseen = segment.expected & !self.seen.0[i];
        let astray = select_unpredictable(empty, 0, segment.seq ^ self.next[i]);
        if u32::from(unseen) | astray == 0 {
            let end = segment.seq.wrapping_add(segment.len);
            self.next[i] = select_unpredictable(empty, self.next[i], end);
            self.advanced[i] = select_unpredictable(empty, self.advanced[i], at.0);
            return Course::On;
        }
        self.observe_event(events, side, at, segment)
    }

    /// The same of a segment with anything to note.
    #[inline(never)]
    fn observe_event(
        &mut self,
        events: &mut TcpEvents,
        side: Side,
        at: Timestamp,
        segment: &Segment,
    ) -> Course {
        let flags = segment.flags;
        let course = match self.course(side, segment) {
            Course::On if self.is_answered(events, side, flags) => Course::Answered,
            course => course,
        };
        if course == Course::Anew {
            self.seen = self.seen.begin_again();
        }
        // The window of a reset says nothing, nor does one behind it, nor one to a side that has finished.
        let is_said =
            !flags.has(TcpFlags::RST) && !self.seen.saw(side, RST) && !self.seen.saw(side.other(), FIN);
        let unsaid = u16::from(!is_said) << ZERO_WINDOW;
        if flags.has(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) {
            self.seen.0[side.index()] |= u16::from(segment.len > 0) * DATA_BESIDE;
            self.note_control(events, side, at, flags);
        }
        self.note_all(events, side, segment.expected & LETTERS_SEEN & !unsaid);
        if !flags.has(TcpFlags::RST) {
            self.note_sequence(events, side, at, segment);
        }
        course
    }

    /// Notes letters by their bits: mostly all of them stand there already.
    #[inline]
    fn note_all(&mut self, events: &mut TcpEvents, side: Side, letters: u16) {
        let mut fresh = letters & !self.seen.0[side.index()];
        while fresh != 0 {
            self.note(events, side, fresh.trailing_zeros() as u8);
            fresh &= fresh - 1;
        }
    }

    /// Notes an end that is told by flags alone.
    pub(crate) fn note_end(&mut self, events: &mut TcpEvents, side: Side, at: Timestamp, flags: TcpFlags) {
        for flag in [TcpFlags::FIN, TcpFlags::RST] {
            if flags.has(flag) {
                self.note_control(events, side, at, TcpFlags(flag));
            }
        }
    }

    fn note_control(&mut self, events: &mut TcpEvents, side: Side, at: Timestamp, flags: TcpFlags) {
        let (syn, fin, rst) = (flags.has(TcpFlags::SYN), flags.has(TcpFlags::FIN), flags.has(TcpFlags::RST));
        if fin || rst {
            self.seen.0[side.index()] &= !ENDED_BEFORE;
        }
        let several = u8::from(syn) + u8::from(fin) + u8::from(rst) > 1;
        if several {
            self.note(events, side, if fin && rst { INCONSISTENT } else { MULTIPLE });
        }
        if rst {
            self.note_if(events, side, RST, !several);
        } else if syn && flags.has(TcpFlags::ACK) {
            if self.seen.saw(side.other(), SYN) && !self.seen.saw(side, SYN_ACK) && events.syn_at != i64::MIN
            {
                let rtt = at.0.saturating_sub(events.syn_at).clamp(0, i64::from(u32::MAX) - 1);
                events.rtt = rtt as u32 + 1;
            }
            self.note_if(events, side, SYN_ACK, !several);
        } else if syn {
            // A second SYN makes it unclear which of them was answered (Karn's rule, RFC 6298, section 3).
            events.syn_at = if self.seen.saw(side, SYN) { i64::MIN } else { at.0 };
            self.note_if(events, side, SYN, !several);
        }
        // Beside a reset it ends nothing any more.
        if fin && !rst {
            self.note_if(events, side, FIN, !several);
        }
    }

    #[inline]
    fn note(&mut self, events: &mut TcpEvents, side: Side, letter: u8) {
        self.note_if(events, side, letter, true);
    }

    /// Notes a letter, in the history only if it is `written` there.
    #[inline]
    fn note_if(&mut self, events: &mut TcpEvents, side: Side, letter: u8, written: bool) {
        if !self.seen.saw(side, letter) {
            events.history.set(self.seen.letters(), side, letter, written);
            self.seen.0[side.index()] |= 1 << letter;
        }
    }

    /// Whether a segment of these flags is the SYN that the first segment answers.
    fn is_answered(&self, events: &TcpEvents, side: Side, flags: TcpFlags) -> bool {
        let is_syn = flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::ACK | TcpFlags::RST);
        is_syn && !self.seen.saw(side, SYN) && self.answered_first(events) == Some(side.other())
    }

    /// Whose first segment answered a SYN, if none was before it.
    fn answered_first(&self, events: &TcpEvents) -> Option<Side> {
        let first = events.history.at(0);
        (self.seen.letters() > 0 && first.is(first.side(), SYN_ACK)).then(|| first.side())
    }

    /// Who began the flow, where its first segment answers a SYN that is known from `other`, whose clock is another one.
    pub(crate) fn asker(&self, events: &TcpEvents, other: &TcpState) -> Option<Side> {
        let asker = self.answered_first(events)?.other();
        other.seen.asked(asker).then_some(asker)
    }

    /// Exchanges the sides.
    fn flip(&mut self) {
        let TcpState { advanced: [of_low, of_high], next: [low, high], seen, resent } = *self;
        *self = TcpState {
            advanced: [of_high, of_low],
            next: [high, low],
            seen: seen.flipped(),
            resent: resent.rotate_left(4),
        };
    }
}

impl TcpEvents {
    /// Exchanges the sides of a flow whose history has so many letters.
    fn flip(&mut self, letters: u32) {
        self.retransmits.reverse();
        self.history.flip(letters);
    }
}

#[cfg(test)]
mod tests;
