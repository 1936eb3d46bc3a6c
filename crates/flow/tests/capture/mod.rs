//! Packets that a test writes, through a table into a collector.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test takes what it needs")]

pub(crate) mod hello;

use dissect::app::Depth;
use dissect::{Direction, LinkType, Packet, Timestamp};
use flow::{Collector, Config, Event, FlowTable, Keep, Options, Snapshot};

/// An address and a port.
pub type End = ([u8; 4], u16);

/// One of the ends.
pub const ALICE: [u8; 4] = [10, 0, 0, 1];
/// One of the ends.
pub const BOB: [u8; 4] = [10, 0, 0, 2];
/// One of the ends.
pub const RESOLVER: End = ([10, 0, 0, 53], 53);
/// One of the ends.
pub const SITE: [u8; 4] = [192, 0, 2, 80];
const MILLI: i64 = 1_000_000;

/// Packets of one capture, in order.
#[derive(Default)]
pub struct Capture(pub Vec<(i64, Vec<u8>)>);

impl Capture {
    /// An IPv4 packet (RFC 791) at so many milliseconds.
    pub fn ip(&mut self, at: i64, protocol: u8, src: End, dst: End, transport: &[u8]) {
        let mut bytes = vec![0x45, 0];
        bytes.extend((20 + transport.len() as u16).to_be_bytes());
        bytes.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
        bytes.extend(src.0.iter().chain(&dst.0));
        bytes.extend(transport);
        self.0.push((at * MILLI, bytes));
    }

    pub fn udp(&mut self, at: i64, src: End, dst: End, payload: &[u8]) {
        let mut bytes = [src.1.to_be_bytes(), dst.1.to_be_bytes()].concat();
        bytes.extend((8 + payload.len() as u16).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(payload);
        self.ip(at, 17, src, dst, &bytes);
    }

    pub fn tcp(&mut self, at: i64, src: End, dst: End, seq: u32, flags: u8, payload: &[u8]) {
        let mut bytes = [src.1.to_be_bytes(), dst.1.to_be_bytes()].concat();
        bytes.extend(seq.to_be_bytes());
        bytes.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        bytes.extend(payload);
        self.ip(at, 6, src, dst, &bytes);
    }

    /// A handshake's first two segments.
    pub fn connect(&mut self, at: i64, src: End, dst: End) {
        self.tcp(at, src, dst, 99, 0x02, b"");
        self.tcp(at + 1, dst, src, 99, 0x12, b"");
    }

    pub fn ask(&mut self, at: i64, asker: End, id: u16, name: &str) {
        self.udp(at, asker, RESOLVER, &message(id, 0x0100, name, 1, &[]));
    }

    pub fn answer(&mut self, at: i64, asker: End, id: u16, name: &str, addr: [u8; 4]) {
        self.udp(at, RESOLVER, asker, &message(id, 0x8180, name, 1, &addr));
    }

    /// A lookup that takes 10 ms.
    pub fn look_up(&mut self, at: i64, asker: [u8; 4], name: &str, addr: [u8; 4]) {
        let asker = (asker, 40_000 + at as u16 % 1000);
        self.ask(at, asker, at as u16, name);
        self.answer(at + 10, asker, at as u16, name, addr);
    }

    pub fn run(self) -> (Snapshot, Vec<Event>) {
        self.run_as(LinkType::RAW, usize::MAX)
    }

    /// The same, where so many bytes of each packet were captured at most.
    pub fn run_cut(self, snaplen: usize) -> (Snapshot, Vec<Event>) {
        self.run_as(LinkType::RAW, snaplen)
    }

    /// The same, where packets are Ethernet frames.
    pub fn run_frames(self) -> (Snapshot, Vec<Event>) {
        self.run_as(LinkType::ETHERNET, usize::MAX)
    }

    /// Has `table` read them.
    pub fn observe(&self, table: &mut FlowTable, link_type: LinkType, snaplen: usize) {
        table.observe_batch(self.0.iter().map(|(at, bytes)| Packet {
            timestamp: Timestamp(*at),
            link_type,
            wire_len: bytes.len() as u32,
            bytes: &bytes[..bytes.len().min(snaplen)],
            interface: 0,
            vlan_tci: None,
            direction: Direction::Unknown,
        }));
    }

    fn run_as(self, link_type: LinkType, snaplen: usize) -> (Snapshot, Vec<Event>) {
        let mut table = table();
        let config = Config { rows: usize::MAX, events: true, ..Config::default() };
        let mut collector = Collector::new(config);
        self.observe(&mut table, link_type, snaplen);
        collector.absorb(table.finish());
        let events = collector.take_events(None);
        (collector.snapshot(None, true), events)
    }
}

/// A table that keeps all that is said.
pub fn table() -> FlowTable {
    let keep = Keep { all: true, ..Keep::default() };
    FlowTable::new(Options { keep, depth: Depth::All, ..Options::default() })
}

/// A DNS message (RFC 1035, section 4.1) with one question, and one answer with a time to live of 300 if there is data.
pub fn message(id: u16, flags: u16, name: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        [id, flags, 1, u16::from(!data.is_empty()), 0, 0].iter().flat_map(|n| n.to_be_bytes()).collect();
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend([kind, 1].iter().flat_map(|n| n.to_be_bytes()));
    if !data.is_empty() {
        bytes.extend([0xc00c, kind, 1, 0, 300, data.len() as u16].iter().flat_map(|n| n.to_be_bytes()));
        bytes.extend(data);
    }
    bytes
}
