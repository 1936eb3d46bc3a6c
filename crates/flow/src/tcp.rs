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

use std::hint::select_unpredictable;
use std::time::Duration;

use dissect::{Stretch, Tcp, TcpFlags, Timestamp};

use crate::key::Side;

/// A segment that fills a hole this soon was reordered, not sent again (as Wireshark has it).
const REORDERING: i64 = 3_000_000;

/// A SYN that comes again behind no more bytes than this is one that was late.
const SENT_SINCE_SYN: u32 = 1 << 20;
/// Data that lies no further than this from what its side sent last is of the same connection; beyond, it may be another's.
const FAR: u32 = 1 << 20;

/// History letters, by bit; order decides nothing.
const LETTERS: [u8; 11] = *b"SHADFRGTWIQ";
const SYN: u8 = 0;
const SYN_ACK: u8 = 1;
const PURE_ACK: u8 = 2;
const CONTENT: u8 = 3;
const FIN: u8 = 4;
const RST: u8 = 5;
const GAP: u8 = 6;
const RETRANSMIT: u8 = 7;
const ZERO_WINDOW: u8 = 8;
const INCONSISTENT: u8 = 9;
const MULTIPLE: u8 = 10;
/// Codes from here on stand for letters that tell how a flow stands, but are not in its history.
const HIDDEN: u8 = 11;
/// Those letters.
const UNWRITTEN: [u8; 4] = [SYN, SYN_ACK, FIN, RST];

/// Letters that one word of history holds, at 5 bits each.
const A_WORD: u32 = 12;

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
    /// What was seen of a side: letters by their bits, then [`HOLE`] and [`STARTED`].
    seen: [u16; 2],
    /// Retransmissions of a side beyond those in [`TcpEvents`]: 4 bits each.
    resent: u8,
}

/// What few segments change.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TcpEvents {
    syn_at: i64,
    /// Letters in order of appearance: bit 4 is the side, bits 0–3 the letter.
    history: [u64; 2],
    /// Nanoseconds from SYN to SYN-ACK, +1; 0 for none. Saturates at 4.29 s.
    rtt: u32,
    /// Retransmissions, in steps of [`RESENT_STEP`].
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

/// TCP facts of one flow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TcpFacts {
    pub(crate) state: TcpState,
    pub(crate) events: TcpEvents,
}

/// One more than 4 bits hold.
const RESENT_STEP: u8 = 16;
const LETTERS_SEEN: u16 = (1 << LETTERS.len()) - 1;
/// The side sent data beside a SYN, FIN or RST.
const DATA_BESIDE: u16 = 1 << 11;
/// What the side sent of an end was of a connection before.
const ENDED_BEFORE: u16 = 1 << 12;
/// A hole is open in what the side sent.
const HOLE: u16 = 1 << 13;
/// The side's `next` counts.
const STARTED: u16 = 1 << 14;

/// Stands beside the letters for SYN, FIN or RST: never seen, so that those are always looked at.
const CONTROL: u16 = 1 << 15;

/// What has been seen of a side if a segment is nothing new, but for its window: by its flags up to ACK, and whether there is
/// data in it.
static EXPECTED: [u16; 64] = {
    let mut table = [STARTED; 64];
    let mut what = 0;
    while what < table.len() {
        let (flags, data) = (TcpFlags((what >> 1) as u8), what & 1 != 0);
        table[what] |= if flags.0 & (TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) != 0 {
            CONTROL
        } else if data {
            1 << CONTENT
        } else if flags.0 & TcpFlags::ACK != 0 {
            1 << PURE_ACK
        } else {
            0
        };
        what += 1;
    }
    table
};

/// What one packet adds to a flow's TCP facts: of most, one word tells that it is nothing new.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Segment {
    pub(crate) seq: u32,
    /// Payload on the wire, in bytes.
    pub(crate) len: u32,
    /// What has been seen of the side if this is nothing new: its letters, [`STARTED`], and [`CONTROL`] for what may be
    /// anything; 0 where there is no TCP.
    expected: u16,
    pub(crate) flags: TcpFlags,
}

impl Segment {
    #[inline(always)]
    pub(crate) fn of(tcp: &Tcp) -> Self {
        // Read from a table: whether there is data is anybody's guess, and no branch depends on it here, either.
        let what = usize::from(tcp.flags.0) << 1 | usize::from(tcp.payload_len > 0);
        let expected = EXPECTED[what % EXPECTED.len()] | u16::from(tcp.window == 0) << ZERO_WINDOW;
        Segment { seq: tcp.seq, len: tcp.payload_len, expected, flags: tcp.flags }
    }

    /// Whether there is TCP.
    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        self.expected != 0
    }

    /// Whether it may say anything by its sequence number.
    pub(crate) fn is_placed(&self) -> bool {
        self.len > 0 || self.is_control()
    }

    /// Whether it begins or ends a connection.
    pub(crate) fn is_control(&self) -> bool {
        self.expected & CONTROL != 0
    }

    /// Makes it that of a packet without TCP.
    #[inline]
    pub(crate) fn clear(&mut self) {
        (self.expected, self.len) = (0, 0);
    }
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
        let unseen = segment.expected & !self.seen[i];
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
            // Both ends count anew.
            self.seen = self.seen.map(|seen| seen & !(STARTED | HOLE) | ENDED_BEFORE);
        }
        // The window of a reset says nothing, nor does one behind it, nor one to a side that has finished.
        let is_said = !flags.has(TcpFlags::RST) && !self.saw(side, RST) && !self.saw(side.other(), FIN);
        let unsaid = u16::from(!is_said) << ZERO_WINDOW;
        if flags.has(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) {
            self.seen[side.index()] |= u16::from(segment.len > 0) * DATA_BESIDE;
            self.note_control(events, side, at, flags);
        }
        self.note_all(events, side, segment.expected & LETTERS_SEEN & !unsaid);
        if !flags.has(TcpFlags::RST) {
            self.note_sequence(events, side, at, segment);
        }
        course
    }

    /// Another connection begins with a SYN that repeats none, be it sent late; or, where that was not captured, with data
    /// far from what was sent before both ends had finished.
    fn course(&self, side: Side, segment: &Segment) -> Course {
        let (flags, i) = (segment.flags, side.index());
        if self.seen[i] & STARTED == 0 || flags.has(TcpFlags::RST) {
            return Course::On;
        }
        if !flags.has(TcpFlags::SYN) {
            let far = segment.seq.wrapping_sub(self.next[i]).cast_signed().unsigned_abs() > FAR;
            return match (segment.len > 0 && far, self.is_over()) {
                (false, _) => Course::On,
                (true, true) => Course::Anew,
                (true, false) => Course::Astray,
            };
        }
        let sent = self.next[i].wrapping_sub(segment.seq.wrapping_add(1));
        let is_first = !flags.has(TcpFlags::ACK) && sent != 0 && (self.is_over() || sent > SENT_SINCE_SYN);
        if is_first { Course::Anew } else { Course::On }
    }

    /// Notes letters by their bits: mostly all of them stand there already.
    #[inline]
    fn note_all(&mut self, events: &mut TcpEvents, side: Side, letters: u16) {
        let mut fresh = letters & !self.seen[side.index()];
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
            self.seen[side.index()] &= !ENDED_BEFORE;
        }
        let several = u8::from(syn) + u8::from(fin) + u8::from(rst) > 1;
        if several {
            self.note(events, side, if fin && rst { INCONSISTENT } else { MULTIPLE });
        }
        if rst {
            self.note_if(events, side, RST, !several);
        } else if syn && flags.has(TcpFlags::ACK) {
            if self.saw(side.other(), SYN) && !self.saw(side, SYN_ACK) && events.syn_at != i64::MIN {
                let rtt = at.0.saturating_sub(events.syn_at).clamp(0, i64::from(u32::MAX) - 1);
                events.rtt = rtt as u32 + 1;
            }
            self.note_if(events, side, SYN_ACK, !several);
        } else if syn {
            // A second SYN makes it unclear which of them was answered (Karn's rule, RFC 6298, section 3).
            events.syn_at = if self.saw(side, SYN) { i64::MIN } else { at.0 };
            self.note_if(events, side, SYN, !several);
        }
        // Beside a reset it ends nothing any more.
        if fin && !rst {
            self.note_if(events, side, FIN, !several);
        }
    }

    /// Follows the sequence space: what is new, what was there before, what is missing.
    #[inline]
    fn note_sequence(&mut self, events: &mut TcpEvents, side: Side, at: Timestamp, segment: &Segment) {
        let (i, seq, flags) = (side.index(), segment.seq, segment.flags);
        let phantom = u32::from(flags.has(TcpFlags::SYN)) + u32::from(flags.has(TcpFlags::FIN));
        let len = segment.len + phantom;
        let end = seq.wrapping_add(len);
        if self.seen[i] & STARTED == 0 {
            self.seen[i] |= STARTED;
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
            self.seen[i] |= HOLE;
        } else if ahead < 0 {
            // RFC 9293, section 3.8.4: a keep-alive repeats the last byte, or none, before the next.
            let keep_alive = ahead == -1 && len <= 1 && phantom == 0;
            let hole = self.seen[i] & HOLE != 0;
            let reordered = hole && !fresh && at.0.saturating_sub(self.advanced[i]) < REORDERING;
            if !keep_alive && !reordered {
                self.note_resent(events, i);
                self.note(events, side, RETRANSMIT);
            }
        }
        if fresh {
            (self.next[i], self.advanced[i]) = (end, at.0);
        }
    }

    /// One segment more whose bytes were sent before.
    #[inline]
    fn note_resent(&mut self, events: &mut TcpEvents, i: usize) {
        let one = 1 << (4 * i);
        let all = one * (RESENT_STEP - 1);
        if self.resent & all == all {
            events.retransmits[i] = events.retransmits[i].saturating_add(u32::from(RESENT_STEP));
            self.resent &= !all;
        } else {
            self.resent += one;
        }
    }

    #[inline]
    fn note(&mut self, events: &mut TcpEvents, side: Side, letter: u8) {
        self.note_if(events, side, letter, true);
    }

    /// Notes a letter, in the history only if it is `written` there.
    #[inline]
    fn note_if(&mut self, events: &mut TcpEvents, side: Side, letter: u8, written: bool) {
        if !self.saw(side, letter) {
            let place = self.letters();
            let code =
                u64::from(if written { letter } else { unwritten(letter) }) | (side.index() as u64) << 4;
            self.seen[side.index()] |= 1 << letter;
            events.history[(place / A_WORD) as usize] |= code << (place % A_WORD * 5);
        }
    }

    #[inline]
    fn saw(&self, side: Side, letter: u8) -> bool {
        self.seen[side.index()] & 1 << letter != 0
    }

    /// How many letters the history has.
    #[inline]
    fn letters(&self) -> u32 {
        let [low, high] = self.seen;
        (low & LETTERS_SEEN).count_ones() + (high & LETTERS_SEEN).count_ones()
    }

    /// Whether a segment of these flags is the SYN that the first segment answers.
    fn is_answered(&self, events: &TcpEvents, side: Side, flags: TcpFlags) -> bool {
        let is_syn = flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::ACK | TcpFlags::RST);
        is_syn && !self.saw(side, SYN) && self.answered_first(events) == Some(side.other())
    }

    /// Whose first segment answered a SYN, if none was before it.
    fn answered_first(&self, events: &TcpEvents) -> Option<Side> {
        let first = (events.history[0] & 31) as u8;
        let is_answer = [SYN_ACK, unwritten(SYN_ACK)].contains(&(first & 15)) && self.letters() > 0;
        is_answer.then_some(if first >> 4 == 0 { Side::Low } else { Side::High })
    }

    /// Whether segments of `side` that carry nothing say nothing new any more.
    pub(crate) fn acknowledges(&self, side: Side) -> bool {
        self.saw(side, PURE_ACK) && self.seen[side.index()] & STARTED != 0
    }

    /// Whether data of `side` says nothing new any more, but where the next begins.
    pub(crate) fn goes_on(&self, side: Side) -> bool {
        self.saw(side, CONTENT) && self.seen[side.index()] & STARTED != 0 && !self.is_over()
    }

    /// One past the highest sequence number of `side`, if there was any.
    pub(crate) fn next(&self, side: Side) -> Option<u32> {
        (self.seen[side.index()] & STARTED != 0).then_some(self.next[side.index()])
    }

    /// Goes on behind a piece of what `side` sent.
    pub(crate) fn skip(&mut self, side: Side, stretch: &Stretch) {
        self.next[side.index()] = stretch.next;
        self.advanced[side.index()] = stretch.last.0;
    }

    /// Whether `side` sent a SYN.
    pub(crate) fn asked(&self, side: Side) -> bool {
        self.saw(side, SYN)
    }

    /// Who began the flow, where its first segment answers a SYN that is known from `other`, whose clock is another one.
    pub(crate) fn asker(&self, events: &TcpEvents, other: &TcpState) -> Option<Side> {
        let asker = self.answered_first(events)?.other();
        other.asked(asker).then_some(asker)
    }

    /// Whether there is, or was, a hole in what `side` sent.
    pub(crate) fn misses_earlier(&self, side: Side) -> bool {
        self.seen[side.index()] & HOLE != 0
    }

    /// Whether nothing more is to come: both sides have finished, or one has reset.
    pub(crate) fn is_over(&self) -> bool {
        let ended =
            |side: Side, letter| self.saw(side, letter) && self.seen[side.index()] & ENDED_BEFORE == 0;
        let both = |letter| ended(Side::Low, letter) && ended(Side::High, letter);
        let either = |letter| ended(Side::Low, letter) || ended(Side::High, letter);
        both(FIN) || either(RST)
    }

    /// Whether either side sent a SYN.
    pub(crate) fn saw_syn(&self) -> bool {
        (self.seen[0] | self.seen[1]) & (1 << SYN | 1 << SYN_ACK) != 0
    }

    /// Whether there was a segment.
    #[inline]
    pub(crate) fn began(&self) -> bool {
        let seen = self.seen;
        seen != [0; 2]
    }
}

/// The code of a letter that is not written in the history; its own, of one that always is.
fn unwritten(letter: u8) -> u8 {
    UNWRITTEN.iter().position(|&one| one == letter).map_or(letter, |at| HIDDEN + at as u8)
}

impl TcpFacts {
    /// Exchanges the sides.
    pub(crate) fn flip(&mut self) {
        const SIDE: u64 = 1 << 4;
        let TcpState { advanced, next, seen, resent } = self.state;
        let turned = |[low, high]: [u32; 2]| [high, low];
        self.state = TcpState {
            advanced: [advanced[1], advanced[0]],
            next: turned(next),
            seen: [seen[1], seen[0]],
            resent: resent.rotate_left(4),
        };
        self.events.retransmits = turned(self.events.retransmits);
        for place in 0..self.state.letters() {
            self.events.history[(place / A_WORD) as usize] ^= SIDE << (place % A_WORD * 5);
        }
    }

    /// Whether nothing more is to come: both sides have finished, or one has reset.
    pub(crate) fn is_over(&self) -> bool {
        self.state.is_over()
    }

    /// The history letters; upper case is what `initiator` sent.
    pub(crate) fn history(&self, initiator: Side) -> String {
        let letter = |place: u32| {
            let code = self.events.history[(place / A_WORD) as usize] >> (place % A_WORD * 5);
            let letter = char::from(*LETTERS.get((code & 15) as usize)?);
            let is_initiator_s = (code >> 4 & 1) as usize == initiator.index();
            Some(if is_initiator_s { letter } else { letter.to_ascii_lowercase() })
        };
        (0..self.state.letters()).filter_map(letter).collect()
    }

    /// How the flow stands, as Zeek's `conn_state`.
    pub(crate) fn state(&self, initiator: Side) -> &'static str {
        // Who answered a SYN is the responder, also where the SYN itself was missed.
        let answered = [Side::Low, Side::High].into_iter().find(|&s| self.state.saw(s, SYN_ACK));
        let asked = [initiator, initiator.other()].into_iter().find(|&s| self.state.saw(s, SYN));
        let (orig, resp) = match (asked, answered) {
            (Some(orig), _) => (orig, orig.other()),
            (None, Some(resp)) => (resp.other(), resp),
            (None, None) => return "OTH",
        };
        let fin = |s: Side| self.state.saw(s, FIN);
        let content = |s: Side| self.state.seen[s.index()] & (1 << CONTENT | DATA_BESIDE) != 0;
        // A reset behind a FIN says nothing new, once the other side has finished too.
        let rst = |s: Side| {
            self.state.saw(s, RST)
                && !(fin(s) && fin(s.other()) && self.place_of(s, FIN) < self.place_of(s, RST))
        };
        match (asked.is_some(), self.state.saw(resp, SYN_ACK)) {
            (true, true) if rst(orig) && rst(resp) && !content(orig) && !content(resp) => "REJ",
            (true, true) if rst(resp) => "RSTR",
            (true, true) if rst(orig) => "RSTO",
            (true, true) => match (fin(orig), fin(resp)) {
                (true, true) => "SF",
                (true, false) => "S2",
                (false, true) => "S3",
                (false, false) => "S1",
            },
            (true, false) if rst(resp) => "REJ",
            (true, false) if rst(orig) => "RSTOS0",
            (true, false) if fin(orig) => "SH",
            (true, false) if self.state.saw(resp, PURE_ACK) || content(resp) => "OTH",
            (true, false) => "S0",
            (false, _) if rst(resp) => "RSTRH",
            (false, _) if fin(resp) => "SHR",
            (false, _) => "OTH",
        }
    }

    /// Where a letter stands in the history.
    fn place_of(&self, side: Side, letter: u8) -> Option<u32> {
        let code = |letter: u8| u64::from(letter) | (side.index() as u64) << 4;
        let codes = [code(letter), code(unwritten(letter))];
        let at = |place: u32| self.events.history[(place / A_WORD) as usize] >> (place % A_WORD * 5) & 31;
        (0..self.state.letters()).find(|&place| codes.contains(&at(place)))
    }

    /// Round-trip time of the handshake, from SYN to SYN-ACK as they passed the capture point.
    ///
    /// `None` without both, or where the SYN was sent more than once.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        (self.events.rtt > 0).then(|| Duration::from_nanos(u64::from(self.events.rtt - 1)))
    }

    /// Segments with bytes that `side` had sent before.
    ///
    /// Keep-alives do not count, nor what fills a hole within 3 ms (reordering).
    pub(crate) fn retransmits(&self, side: Side) -> u32 {
        let i = side.index();
        let few = self.state.resent >> (4 * i) & (RESENT_STEP - 1);
        self.events.retransmits[i].saturating_add(u32::from(few))
    }
}

#[cfg(test)]
mod tests;
