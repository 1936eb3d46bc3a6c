//! Captures of the same flows by clocks that do not agree.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod capture;

use capture::{ALICE, Capture, End, SITE, table};
use dissect::LinkType;
use flow::{CaptureEnd, Collector, Config, InterfaceId};

const CLIENT: End = (ALICE, 5000);
const SERVER: End = (SITE, 80);
const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const DATA: u8 = 0x18;

/// One segment: when (in milliseconds), whether the client sent it, its number and flags.
type Sent = (i64, bool, u32, u8);

/// Ports of the initiator and the responder, and the history, of captures that are read one after the other.
fn read(captures: &[&[Sent]]) -> (u16, u16, String) {
    let mut table = table();
    for (number, segments) in (0..).zip(captures) {
        let mut capture = Capture::default();
        for &(at, is_clients, seq, flags) in *segments {
            let (src, dst) = if is_clients { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
            capture.tcp(at, src, dst, seq, flags, if flags == DATA { b"data" } else { b"" });
        }
        table.begin_capture("x".into(), InterfaceId(number));
        capture.observe(&mut table, LinkType::RAW, usize::MAX);
        table.end_capture(CaptureEnd::Complete);
    }
    let mut collector = Collector::new(Config { rows: usize::MAX, ..Config::default() });
    collector.absorb(table.finish());
    let snapshot = collector.snapshot(None, true);
    let [flow] = &snapshot.rows[..] else { panic!("{:?}", snapshot.rows) };
    (flow.source.port, flow.destination.port, flow.tcp.as_ref().unwrap().history.clone())
}

/// What the client sent, by its clock, and what the server sent, by another one that is behind.
const ASKED: &[Sent] = &[(1000, true, 99, SYN), (1002, true, 100, DATA)];
const ANSWERED: &[Sent] = &[(501, false, 99, SYN_ACK), (503, false, 100, DATA)];

#[test]
fn who_sent_the_syn_is_the_initiator_whatever_clocks_say() {
    for captures in [[ASKED, ANSWERED], [ANSWERED, ASKED]] {
        let (source, destination, history) = read(&captures);
        assert_eq!((source, destination), (5000, 80), "{history}");
        assert!(history.contains('S') && history.contains('h'), "{history}");
    }
}

#[test]
fn a_five_tuple_that_is_used_again_keeps_its_initiator() {
    // The server's port connects back later: that is another connection.
    let back: &[Sent] = &[(9000, false, 7_000_000, SYN), (9001, true, 8_000_000, SYN_ACK)];
    for captures in [[ASKED, back], [back, ASKED]] {
        assert_eq!(read(&captures).0, 5000);
    }
    // Of the first connection all but the answer is missing, and its roles are those of that one.
    let answer: &[Sent] = &[(501, false, 99, SYN_ACK)];
    for captures in [[answer, back], [back, answer]] {
        assert_eq!(read(&captures).0, 80);
    }
}

/// Within a capture the sender of its first packet is the source, as every reader of captures has it.
#[test]
fn within_one_capture_the_first_packet_counts() {
    assert_eq!(read(&[&[(1, false, 99, SYN_ACK), (2, true, 99, SYN)]]).0, 80);
}
