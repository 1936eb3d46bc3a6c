use std::time::Duration;

use dissect::Tcp;

use super::letters::KINDS;
use super::*;

const MS: i64 = 1_000_000;

fn segment(flags: u8, seq: u32, payload_len: u32) -> Tcp {
    Tcp { seq, ack: 0, window: 100, flags: TcpFlags(flags), payload_len }
}

fn run(segments: &[(Side, i64, Tcp)]) -> TcpFacts {
    let mut facts = TcpFacts::default();
    for (side, at, tcp) in segments {
        facts.observe(*side, Timestamp(*at), &Segment::of(tcp));
    }
    facts
}

use Side::{High as B, Low as A};

impl TcpFacts {
    fn observe(&mut self, side: Side, at: Timestamp, segment: &Segment) {
        self.state.observe(&mut self.events, side, at, segment);
    }

    fn observe_event(&mut self, side: Side, at: Timestamp, segment: &Segment) {
        self.state.observe_event(&mut self.events, side, at, segment);
    }
}

proptest::proptest! {
    /// The short way gives what the long one gives.
    #[test]
    fn both_ways_agree(segments in proptest::collection::vec((0..2u8, 0..9u8, 0..4u32, 0..4u32, 0..5u16), 0..60)) {
        let (mut short, mut long) = (TcpFacts::default(), TcpFacts::default());
        for (n, (side, flags, seq, payload_len, window)) in segments.into_iter().enumerate() {
            let side = if side == 0 { A } else { B };
            let flags = [0x10, 0x18, 0x10, 0x18, 0x05, 0x03, 0x11, 0x04, 0x00][usize::from(flags)];
            let tcp = Tcp { seq: 10 + seq, ack: 0, window, flags: TcpFlags(flags), payload_len };
            short.observe(side, Timestamp(n as i64), &Segment::of(&tcp));
            long.observe_event(side, Timestamp(n as i64), &Segment::of(&tcp));
            proptest::prop_assert_eq!(format!("{short:?}"), format!("{long:?}"));
        }
    }
}

proptest::proptest! {
    /// The same segments, observed with the sides exchanged.
    #[test]
    fn sides_can_be_exchanged(segments in proptest::collection::vec((0..2u8, 0..9u8, 0..4u32, 0..4u32, 0..5u16), 0..60)) {
        let (mut one, mut other) = (TcpFacts::default(), TcpFacts::default());
        for (n, (side, flags, seq, payload_len, window)) in segments.into_iter().enumerate() {
            let side = if side == 0 { A } else { B };
            let flags = [0x10, 0x18, 0x12, 0x07, 0x10, 0x02, 0x11, 0x04, 0x00][usize::from(flags)];
            let tcp = Tcp { seq: 10 + seq, ack: 0, window, flags: TcpFlags(flags), payload_len };
            one.observe(side, Timestamp(n as i64), &Segment::of(&tcp));
            other.observe(side.other(), Timestamp(n as i64), &Segment::of(&tcp));
        }
        let before = format!("{one:?}");
        one.flip();
        proptest::prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
        proptest::prop_assert_eq!(one.history(A), other.history(A));
        proptest::prop_assert_eq!(one.state(B), other.state(B));
        one.flip();
        proptest::prop_assert_eq!(format!("{one:?}"), before);
    }
}

#[test]
fn a_whole_conversation() {
    let t = run(&[
        (A, 0, segment(2, 100, 0)),
        (B, 7 * MS, segment(0x12, 500, 0)),
        (A, 8 * MS, segment(0x10, 101, 0)),
        (A, 9 * MS, segment(0x18, 101, 10)),
        (B, 20 * MS, segment(0x18, 501, 30)),
        (A, 21 * MS, segment(0x11, 111, 0)),
        (B, 22 * MS, segment(0x11, 531, 0)),
        (A, 23 * MS, segment(0x10, 112, 0)),
    ]);
    assert_eq!(t.history(A), "ShADdFf");
    assert_eq!(t.state(A), "SF");
    assert_eq!(t.rtt(), Some(Duration::from_millis(7)));
    assert_eq!((t.retransmits(A), t.retransmits(B)), (0, 0));
}

/// As Zeek's TCP analyzer has them: its `conn_state`, and what its endpoints become by FIN and RST.
#[test]
fn resets_beside_and_behind_the_end() {
    let open = [(A, 0, segment(2, 100, 0)), (B, 1, segment(0x12, 500, 0)), (A, 2, segment(0x10, 101, 0))];
    let after = |more: &[(Side, u8)]| {
        let more = more.iter().enumerate().map(|(n, &(side, flags))| {
            let seq = if side == A { 101 } else { 501 };
            (side, 10 + n as i64, segment(flags, seq, u32::from(flags == 0x18)))
        });
        run(&open.into_iter().chain(more).collect::<Vec<_>>()).state(A)
    };
    let (fin, rst, data) = (0x11, 4, 0x18);
    assert_eq!(after(&[(A, fin), (B, fin), (A, rst)]), "SF");
    assert_eq!(after(&[(A, fin), (A, rst), (B, fin)]), "SF");
    assert_eq!(after(&[(A, fin), (A, rst)]), "RSTO");
    assert_eq!(after(&[(A, data), (A, rst), (B, rst)]), "RSTR");
    assert_eq!(after(&[(A, data), (B, rst), (A, rst)]), "RSTR");
    assert_eq!(after(&[(A, rst), (B, rst)]), "REJ");
    assert_eq!(after(&[(A, data), (A, rst)]), "RSTO");
}

#[test]
fn the_end_of_a_connection_is_not_the_next_one_s() {
    let mut segments =
        vec![(A, 0, segment(2, 100, 0)), (B, 1, segment(0x12, 5, 0)), (A, 2, segment(4, 101, 0))];
    assert!(run(&segments).is_over());
    segments.extend([(A, 9, segment(2, 70_000, 0)), (B, 10, segment(0x12, 900, 0))]);
    assert!(!run(&segments).is_over());
    segments.push((B, 11, segment(4, 901, 0)));
    assert!(run(&segments).is_over());
}

#[test]
fn attempts_that_fail() {
    let syn = (A, 0, segment(2, 100, 0));
    assert_eq!(run(&[syn]).state(A), "S0");
    assert_eq!(run(&[syn, (B, 1, segment(0x14, 0, 0))]).state(A), "REJ");
    assert_eq!(run(&[syn, (A, 1, segment(4, 101, 0))]).state(A), "RSTOS0");
    assert_eq!(run(&[syn, (A, 1, segment(1, 101, 0))]).state(A), "SH");
}

#[test]
fn picked_up_in_the_middle() {
    assert_eq!(run(&[(A, 0, segment(0x18, 5, 5))]).state(A), "OTH");
    let syn_ack_first = [(B, 0, segment(0x12, 5, 0)), (B, 1, segment(4, 6, 0))];
    assert_eq!(run(&syn_ack_first).state(B), "RSTRH");
}

#[test]
fn a_syn_sent_twice_gives_no_sample() {
    let syn = segment(2, 100, 0);
    let t = run(&[(A, 0, syn), (A, 1000 * MS, syn), (B, 1001 * MS, segment(0x12, 1, 0))]);
    assert_eq!(t.rtt(), None);
    assert_eq!(t.retransmits(A), 1);
}

#[test]
fn sent_again_is_not_reordered_nor_kept_alive() {
    let first = (A, 0, segment(0x18, 100, 100));
    let again = (A, 50 * MS, segment(0x18, 100, 100));
    assert_eq!(run(&[first, again]).retransmits(A), 1);
    let keep_alive = (A, 50 * MS, segment(0x10, 199, 1));
    assert_eq!(run(&[first, keep_alive]).retransmits(A), 0);
    let later = (A, MS, segment(0x18, 300, 100));
    let hole = (A, 2 * MS, segment(0x18, 200, 100));
    assert_eq!(run(&[first, later, hole]).retransmits(A), 0);
    let late = (A, 90 * MS, segment(0x18, 200, 100));
    assert_eq!(run(&[first, later, late]).retransmits(A), 1);
}

#[test]
fn every_retransmission_counts() {
    let again = segment(0x18, 100, 100);
    let sent: Vec<_> = (0..1000).map(|n| (if n % 3 == 0 { B } else { A }, n * 50 * MS, again)).collect();
    let t = run(&sent);
    assert_eq!((t.retransmits(A), t.retransmits(B)), (665, 333));
}

#[test]
fn sequence_numbers_wrap() {
    let t = run(&[(A, 0, segment(0x18, u32::MAX - 9, 10)), (A, 1, segment(0x18, 0, 10))]);
    assert_eq!(t.history(A), "D");
    assert_eq!(t.retransmits(A), 0);
}

#[test]
fn history_holds_every_letter_of_both_sides() {
    let mut t = TcpFacts::default();
    for side in [A, B] {
        for letter in 0..KINDS as u8 {
            t.state.note(&mut t.events, side, letter);
        }
    }
    assert_eq!(t.history(A), "SHADFRGTWIQshadfrgtwiq");
}

/// Every rule of Zeek's TCP analyzer for letters, in both cases: which of SYN, FIN and RST a segment has, whether it has
/// data, whether it acknowledges, and when a window of zero means anything.
#[test]
fn letters_are_those_of_zeek() {
    let (fin, syn, rst, psh, ack, urg) = (1, 2, 4, 8, 0x10, 0x20);
    for (flags, len, letter) in [
        (syn, 0, "S"),
        (syn, 9, "S"),
        (syn | ack, 0, "H"),
        (ack, 0, "A"),
        (ack | psh, 0, "A"),
        (ack | urg | 0x40, 0, "A"),
        (ack, 5, "D"),
        (psh, 5, "D"),
        (0, 5, "D"),
        (0, 0, ""),
        (psh, 0, ""),
        (fin | ack, 0, "F"),
        (fin, 0, "F"),
        (fin | ack | psh, 7, "F"),
        (rst, 0, "R"),
        (rst | ack, 3, "R"),
        (fin | rst, 0, "I"),
        (fin | rst | ack, 4, "I"),
        (fin | rst | syn, 0, "I"),
        (syn | fin, 0, "Q"),
        (syn | fin | ack, 8, "Q"),
        (syn | rst, 0, "Q"),
    ] {
        for side in [A, B] {
            let history = run(&[(side, 0, segment(flags, 100, len))]).history(A);
            let expected = if side == A { letter.to_owned() } else { letter.to_lowercase() };
            assert_eq!(history, expected, "flags {flags:#x}, {len} bytes");
        }
    }
}

#[test]
fn windows_of_zero_are_those_of_zeek() {
    let closed = |flags, len| Tcp { window: 0, ..segment(flags, 100, len) };
    let history = |segments: &[(Side, Tcp)]| {
        let timed: Vec<_> = segments.iter().map(|&(side, tcp)| (side, 0, tcp)).collect();
        run(&timed).history(A)
    };
    let (ack, fin, rst) = (0x10, 0x11, 4);
    assert_eq!(history(&[(A, closed(ack, 0))]), "AW");
    assert_eq!(history(&[(B, closed(ack, 5))]), "dw");
    assert_eq!(history(&[(A, closed(fin, 0))]), "FW", "who finishes may still receive");
    assert_eq!(history(&[(A, segment(fin, 1, 0)), (A, closed(ack, 0))]), "FAW");
    assert_eq!(history(&[(B, segment(fin, 1, 0)), (A, closed(ack, 0))]), "fA", "nothing more is to come");
    assert_eq!(history(&[(A, closed(rst, 0))]), "R");
    assert_eq!(history(&[(A, segment(rst, 1, 0)), (A, closed(ack, 0))]), "RA");
    assert_eq!(history(&[(B, segment(rst, 1, 0)), (A, closed(ack, 0))]), "rAW");
}

#[test]
fn retransmissions_and_gaps_have_their_letters() {
    let data = |seq| segment(0x18, seq, 10);
    assert_eq!(run(&[(A, 0, data(1)), (A, 90 * MS, data(1))]).history(A), "DT");
    assert_eq!(run(&[(B, 0, data(1)), (B, 1, data(21))]).history(A), "dg");
}

/// Flags that contradict each other still say how a flow stands, though the history has one letter for all of them.
#[test]
fn flags_that_contradict_each_other() {
    let open = [(A, 0, segment(2, 100, 0)), (B, 1, segment(0x12, 500, 0)), (A, 2, segment(0x10, 101, 0))];
    let after = |more: &[(Side, i64, Tcp)]| run(&[&open[..], more].concat());
    let both = after(&[(A, 3, segment(5, 101, 0))]);
    assert_eq!((both.history(A), both.state(A)), ("ShAI".to_owned(), "RSTO"));
    assert!(both.is_over());
    let scan = run(&[(A, 0, segment(3, 100, 0)), (B, 1, segment(0x14, 0, 0))]);
    assert_eq!((scan.history(A), scan.state(A)), ("Qr".to_owned(), "REJ"));
    // Data that came with the end is data: not a refusal.
    let late =
        after(&[(A, 3, segment(0x19, 101, 5)), (B, 4, segment(4, 501, 0)), (A, 5, segment(4, 107, 0))]);
    assert_eq!((late.history(A), late.state(A)), ("ShAFrR".to_owned(), "RSTR"));
}
