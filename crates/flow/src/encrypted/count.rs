//! About how many lookups a flow holds, by the sizes of what its client sends.
//!
//! A lookup is at least a message with one question; what else a client sends is smaller, with few exceptions:
//!
//! - TLS: an application record for each message. In TLS 1.3 the first one ends the handshake, and is known by its size.
//! - HTTP/2 inside TLS: a large record for each request, be it headers with the question in its path or the body behind
//!   headers that are smaller once they were sent before; or, where all bodies are small too, one of that size. What a
//!   connection begins with (settings, the first headers in full, the first body) goes before the first answer, and is
//!   one request.
//! - QUIC: a datagram of some size with a short header for each message; acknowledgements are smaller, and what is sent while
//!   the server has been silent for longer than it may be is sent again (RFC 9002, section 6.2).
//! - DNSCrypt: a datagram, or a segment, for each.

use dissect::Timestamp;

use super::DnsKind;
use crate::key::Side;

/// Bytes that a TLS record is longer than what it holds, at least (RFC 8446, section 5.2; RFC 5288, section 3).
const SEAL: usize = 17;
/// What DNS over TLS holds at least: length, header, a question for the root.
const LEAST_MESSAGE: usize = 2 + 12 + 5;
/// What HTTP/2 needs at least to carry one: a frame's header, and a message or its like in a path. Frames that
/// acknowledge, and headers that were sent before, are shorter.
const LEAST_REQUEST: usize = 9 + 23;
/// Most headers that were sent before are shorter than this, most messages longer: of 12 and 19 requests in captures of
/// two clients, all were.
const LARGE: usize = SEAL + LEAST_REQUEST + 9;
/// Records that end a client's handshake in TLS 1.3: header, a hash, the seal.
const FINISHED: [usize; 2] = [4 + 32 + SEAL, 4 + 48 + SEAL];
/// Records before the first answer that are not the first request.
const PREFACE: u32 = 2;
/// A datagram of QUIC that holds a lookup is longer than this; one that only acknowledges is not. Beyond the other bound
/// it tries how much the path takes.
const QUIC: std::ops::Range<usize> = 46..1000;
/// Bytes that acknowledgements of several ranges are longer than the shortest one; a lookup is longer yet.
const RANGES: usize = 12;
/// A server acknowledges what it is sent within so many nanoseconds and the time that both take (RFC 9000, section 18.2:
/// `max_ack_delay` is 25 ms unless the ends agree otherwise; RFC 9002, section 6.2.1: a client allows 1 ms more).
const SILENCE: i64 = 26_000_000;
/// A QUIC packet with a long header has its first bit set (RFC 9000, section 17.2).
const LONG_HEADER: u8 = 0x80;

/// A record's header: type, version, length.
const RECORD_HEADER: usize = 5;
/// Types of TLS records, the one of application data last (RFC 8446, section 5.1).
const TYPES: std::ops::RangeInclusive<u8> = 20..=23;
const APPLICATION_DATA: u8 = 23;

/// A payload of a flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard<'a> {
    pub(crate) side: Side,
    /// When it passed.
    pub(crate) at: Timestamp,
    /// What was captured of it.
    pub(crate) bytes: &'a [u8],
    /// How long it is.
    pub(crate) len: usize,
    /// Of a stream, the sequence number of its first byte.
    pub(crate) seq: Option<u32>,
}

/// What the client has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Count {
    /// Records or datagrams that may be a lookup.
    large: u32,
    /// Records of HTTP that may be the lookups, or else headers of them.
    medium: u32,
    /// Those of them that came before the first answer.
    before_answer: u32,
    has_answer: bool,
    /// Whether the client and the server have been heard.
    has: [bool; 2],
    /// The client's first application record was seen.
    has_record: bool,
    /// The client's lookups are in HTTP.
    is_http: bool,
    /// Where the client's next record begins.
    next: Option<u32>,
    /// Of QUIC, how long its server takes.
    silence: Silence,
}

/// What tells datagrams of QUIC that are sent again from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Silence {
    /// When the client sent a datagram, if the server has sent none since.
    since: Option<Timestamp>,
    /// The shortest time in nanoseconds that the server took.
    least: i64,
    /// Bytes of the shortest datagram of the client with a short header.
    shortest: usize,
}

impl Default for Silence {
    fn default() -> Self {
        Silence { since: None, least: i64::MAX, shortest: QUIC.start }
    }
}

impl Silence {
    /// The server has sent a datagram.
    fn end(&mut self, at: Timestamp) {
        if let Some(since) = self.since.take() {
            self.least = self.least.min(at.0.saturating_sub(since.0).max(0));
        }
    }

    /// Whether a datagram of so many bytes with a short header, which the client sends, is a lookup that was not sent before.
    fn is_lookup(&mut self, at: Timestamp, len: usize) -> bool {
        self.shortest = self.shortest.min(len);
        let acknowledges = len < QUIC.start.max(self.shortest + RANGES);
        if acknowledges || len >= QUIC.end {
            return false;
        }
        let bound = SILENCE.saturating_add(if self.least == i64::MAX { 0 } else { self.least });
        let again = self.since.is_some_and(|since| at.0.saturating_sub(since.0) >= bound);
        self.since = self.since.or(Some(at));
        !again
    }
}

impl Count {
    /// One lookup was counted already.
    pub(super) fn with_one() -> Self {
        Count { large: 1, has: [true, false], ..Count::default() }
    }

    /// Counts a payload.
    pub(super) fn hear(&mut self, kind: DnsKind, is_client: bool, heard: &Heard<'_>) {
        self.is_http = kind == DnsKind::Https;
        if !is_client {
            self.has[1] = true;
            self.silence.end(heard.at);
            if self.large > 0 && !self.has_answer {
                (self.has_answer, self.before_answer) = (true, self.large);
            }
            return;
        }
        self.has[0] = true;
        match heard.seq {
            Some(begin) => self.segment(kind, begin, heard),
            None if kind == DnsKind::Crypt => self.large += 1,
            None => {
                let is_short = heard.bytes.first().is_some_and(|first| first & LONG_HEADER == 0);
                self.large += u32::from(is_short && self.silence.is_lookup(heard.at, heard.len));
            }
        }
    }

    /// Whether both ends have been heard.
    pub(super) fn heard_both(self) -> bool {
        self.has == [true; 2]
    }

    /// About how many lookups there were.
    pub(super) fn queries(self) -> u64 {
        let before_answer = if self.has_answer { self.before_answer } else { self.large };
        let preface = if self.is_http { PREFACE.min(before_answer.saturating_sub(1)) } else { 0 };
        u64::from((self.large - preface).max(self.medium))
    }

    /// Follows the records of a stream; where one's beginning was not captured, from the next segment that begins with
    /// one.
    fn segment(&mut self, kind: DnsKind, begin: u32, heard: &Heard<'_>) {
        let mut at = match self.next.map(|next| next.wrapping_sub(begin) as i32) {
            // A part of it, or all, was sent before.
            Some(ahead) if ahead >= 0 => ahead as usize,
            _ => 0,
        };
        if kind == DnsKind::Crypt {
            if at < heard.len {
                self.large += 1;
                self.next = Some(begin.wrapping_add(heard.len as u32));
            }
            return;
        }
        while at < heard.len {
            let Some(header) = heard.bytes.get(at..).and_then(|b| b.first_chunk::<RECORD_HEADER>()) else {
                self.next = None;
                return;
            };
            let [kind_of_record, major, _, high, low] = *header;
            if !TYPES.contains(&kind_of_record) || major != 3 {
                self.next = None;
                return;
            }
            let len = usize::from(u16::from_be_bytes([high, low]));
            if kind_of_record == APPLICATION_DATA {
                self.record(kind, len);
            }
            at += RECORD_HEADER + len;
        }
        self.next = Some(begin.wrapping_add(at as u32));
    }

    fn record(&mut self, kind: DnsKind, len: usize) {
        let ends_handshake = !self.has_record && FINISHED.contains(&len);
        self.has_record = true;
        if ends_handshake {
            return;
        }
        let (medium, large) = match kind {
            DnsKind::Https => (SEAL + LEAST_REQUEST, LARGE),
            _ => (SEAL + LEAST_MESSAGE, SEAL + LEAST_MESSAGE),
        };
        if len >= large {
            self.large += 1;
        } else if len >= medium {
            self.medium += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000_000);

    /// A datagram of QUIC at so many milliseconds, whose first byte this is.
    fn datagram(count: &mut Count, ms: i64, is_client: bool, first: u8, len: usize) {
        let (at, bytes) = (Timestamp(NOW.0 + ms * 1_000_000), vec![first; len]);
        let side = if is_client { Side::Low } else { Side::High };
        count.hear(DnsKind::Quic, is_client, &Heard { side, at, bytes: &bytes[..20], len, seq: None });
    }

    /// Records of application data of these lengths, in one segment each.
    fn say(count: &mut Count, kind: DnsKind, seq: &mut u32, lengths: &[u16]) {
        for len in lengths {
            let [high, low] = len.to_be_bytes();
            let mut bytes = vec![APPLICATION_DATA, 3, 3, high, low];
            bytes.resize(RECORD_HEADER + usize::from(*len), 0);
            hear(count, kind, *seq, &bytes);
            *seq = seq.wrapping_add(bytes.len() as u32);
        }
    }

    fn hear(count: &mut Count, kind: DnsKind, seq: u32, bytes: &[u8]) {
        count.hear(kind, true, &Heard { side: Side::Low, at: NOW, bytes, len: bytes.len(), seq: Some(seq) });
    }

    fn answer(count: &mut Count, kind: DnsKind) {
        let bytes = [APPLICATION_DATA, 3, 3, 0, 1, 0];
        count.hear(kind, false, &Heard { side: Side::High, at: NOW, bytes: &bytes, len: 6, seq: Some(0) });
    }

    /// The records of two clients that look up three names each (from the captures `doh` and `dns_doh` of nDPI's tests).
    #[test]
    fn requests_over_http() {
        for (first, then) in
            [(&[53, 81, 91, 63][..], &[26, 36, 58, 36, 73][..]), (&[53, 165, 238, 74], &[26, 57, 88, 57, 98])]
        {
            let (mut count, mut seq) = (Count::default(), u32::MAX - 100);
            say(&mut count, DnsKind::Https, &mut seq, first);
            answer(&mut count, DnsKind::Https);
            assert_eq!(count.queries(), 1, "settings, headers and body of the first one");
            say(&mut count, DnsKind::Https, &mut seq, then);
            assert_eq!(count.queries(), 3);
        }
    }

    #[test]
    fn each_record_over_tls_is_one() {
        let (mut count, mut seq) = (Count::default(), 7);
        say(&mut count, DnsKind::Tls, &mut seq, &[69, 69, 147, 19]);
        answer(&mut count, DnsKind::Tls);
        assert_eq!(count.queries(), 2, "but what ends the handshake, and an alert");
    }

    #[test]
    fn what_is_sent_again_counts_once() {
        let mut count = Count::default();
        let record = [&[APPLICATION_DATA, 3, 3, 0, 100][..], &[0; 100]].concat();
        hear(&mut count, DnsKind::Tls, 1000, &record);
        hear(&mut count, DnsKind::Tls, 1000, &record);
        assert_eq!(count.queries(), 1);
        // One that was cut up: its second half begins with none.
        hear(&mut count, DnsKind::Tls, 1105, &record[..50]);
        hear(&mut count, DnsKind::Tls, 1155, &record[50..]);
        hear(&mut count, DnsKind::Tls, 1210, &[record.clone(), record].concat());
        assert_eq!(count.queries(), 4);
    }

    #[test]
    fn datagrams_that_only_acknowledge_are_none() {
        let mut count = Count::default();
        for (first, len) in [(0xc0, 1200), (0x40, 36), (0x40, 62), (0x40, 1252), (0x5f, 80)] {
            datagram(&mut count, 0, true, first, len);
        }
        assert_eq!(count.queries(), 2);
        assert!(!count.heard_both());
    }
    /// A connection whose server is 20 ms away: (milliseconds, whether the client sends, bytes of payload).
    fn connection(datagrams: &[(i64, bool, usize)]) -> u64 {
        let mut count = Count::default();
        for &(ms, is_client, len) in datagrams {
            datagram(&mut count, ms, is_client, 0x40, len);
        }
        count.queries()
    }

    #[test]
    fn datagrams_that_are_sent_again_are_one() {
        let (client, server) = (true, false);
        // Two lookups at once, then, after their answers, a third one.
        let well = [(0, client, 75), (1, client, 77), (20, server, 120), (21, server, 110), (22, client, 33)];
        assert_eq!(connection(&[&well[..], &[(30, client, 75), (50, server, 90)]].concat()), 3);
        // Its datagram was lost, and the next one, too: probes after 47 ms, and after twice that time.
        let lost =
            [(30, client, 75), (77, client, 75), (171, client, 75), (172, client, 80), (192, server, 90)];
        assert_eq!(connection(&[&well[..], &lost].concat()), 3);
        // A server that is slow to answer acknowledges meanwhile.
        let slow =
            [(30, client, 75), (55, server, 35), (90, client, 75), (115, server, 35), (400, server, 90)];
        assert_eq!(connection(&[&well[..], &slow].concat()), 4);
    }

    #[test]
    fn acknowledgements_of_several_ranges_are_none() {
        // Those of a client to which its server gave an identifier of 18 bytes (RFC 9000, sections 17.3.1 and 19.3).
        assert_eq!(connection(&[(0, true, 43), (1, true, 47), (2, true, 53), (3, true, 75)]), 1);
    }
}
