//! Fragments whose identification comes again: whose they are, live and in a capture.

use dissect::{Direction, LinkType, Packet, Timestamp};
use flow::{Collector, Config, FlowTable, Options, Snapshot};

use crate::wire::{A, B, Capture, End, SECOND, START, datagram};

/// A fragment of a datagram (RFC 791, section 3.1), with identification 7: its second piece has no ports.
fn piece(from: End, second: bool) -> Vec<u8> {
    let mut bytes = datagram(from, B, 7, &[0; 16]).bytes();
    bytes[20..22].copy_from_slice(&(if second { 3_u16 } else { 0x2000 }).to_be_bytes());
    bytes
}

/// Where another datagram of A's goes out.
const OTHER: End = End(A.0, 40_001);

/// Pieces at so many seconds: datagrams of A's two ports, and a second piece of either.
fn pieces() -> Vec<(i64, Vec<u8>)> {
    let (first, other, second) = (piece(A, false), piece(OTHER, false), piece(A, true));
    vec![
        (0, first.clone()),
        (60, second.clone()),
        (121, second.clone()),
        (122, first),
        (123, other),
        (124, second),
    ]
}

/// Packets by source port.
fn told(snapshot: &Snapshot) -> Vec<(u16, u64)> {
    let mut told: Vec<_> = snapshot.rows.iter().map(|row| (row.source.port, row.sent.packets)).collect();
    told.sort_unstable();
    told
}

fn packet(at: i64, bytes: &[u8]) -> Packet<'_> {
    Packet {
        timestamp: Timestamp(START + at * SECOND),
        link_type: LinkType::ETHERNET,
        wire_len: bytes.len() as u32,
        bytes,
        interface: 0,
        vlan_tci: None,
        direction: Direction::Unknown,
    }
}

/// RFC 8200, section 4.5: 60 seconds behind the first of them, what is missing is given up.
const EXPECTED: [(u16, u64); 3] = [(0, 1), (A.1, 3), (OTHER.1, 2)];

#[test]
fn a_late_piece_is_not_an_earlier_datagrams() {
    let mut live = Capture::of_everything();
    for (at, bytes) in pieces() {
        live.observe(0, packet(at, &bytes));
    }
    live.now += 130 * SECOND;
    assert_eq!(told(&live.report()), EXPECTED);

    let mut table = FlowTable::new(Options::default());
    let pieces = pieces();
    table.observe_batch(pieces.iter().map(|(at, bytes)| packet(*at, bytes)));
    let mut collector = Collector::new(Config { rows: usize::MAX, ..Config::default() });
    collector.absorb(table.finish());
    assert_eq!(told(&collector.snapshot(None, true)), EXPECTED);
}
