//! Packets built by hand, and a live account of them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dissect::app::Depth;
use dissect::{Direction, Endpoint, FiveTuple, KernelCount, LinkType, Packet, TcpFlags, Timestamp};
use flow::{
    Collector, Config, FlowRecord, FlowTable, InterfaceId, InterfaceName, LiveConfig, Options, Snapshot,
    Timeouts, Translation,
};

pub(crate) const SECOND: i64 = 1_000_000_000;
/// Any time; clocks of captures do not begin at 0.
pub(crate) const START: i64 = 1_700_000_000 * SECOND;

pub(crate) const A: End = End([10, 0, 0, 1], 40_000);
pub(crate) const B: End = End([203, 0, 113, 9], 443);
/// Where A's packets seem to come from beyond a translation; sorts behind B.
pub(crate) const BEYOND: End = End([203, 0, 113, 200], 61_000);

#[derive(Clone, Copy, Debug)]
pub(crate) struct End(pub(crate) [u8; 4], pub(crate) u16);

impl End {
    pub(crate) fn endpoint(self) -> Endpoint {
        Endpoint { addr: IpAddr::V4(Ipv4Addr::from(self.0)), port: self.1 }
    }

    pub(crate) fn socket(self) -> SocketAddr {
        SocketAddr::new(self.endpoint().addr, self.1)
    }
}

/// One packet: Ethernet, IPv4, TCP or UDP.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) from: End,
    pub(crate) to: End,
    /// Number of the IP packet.
    pub(crate) id: u16,
    /// Sequence number; `None` for UDP.
    pub(crate) seq: Option<u32>,
    pub(crate) flags: u8,
    pub(crate) payload: Vec<u8>,
    /// Zeros behind the IP packet.
    pub(crate) padding: usize,
}

pub(crate) fn segment(from: End, to: End, seq: u32, len: usize) -> Sent {
    let payload = vec![b'x'; len];
    Sent { from, to, id: seq as u16, seq: Some(seq), flags: 0x10, payload, padding: 0 }
}

pub(crate) fn datagram(from: End, to: End, id: u16, payload: &[u8]) -> Sent {
    Sent { from, to, id, seq: None, flags: 0, payload: payload.to_vec(), padding: 0 }
}

impl Sent {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut transport: Vec<u8> = [self.from.1.to_be_bytes(), self.to.1.to_be_bytes()].concat();
        if let Some(seq) = self.seq {
            transport.extend(seq.to_be_bytes());
            transport.extend([0, 0, 0, 7, 0x50, self.flags, 1, 0, 0, 0, 0, 0]);
        } else {
            transport.extend((8 + self.payload.len() as u16).to_be_bytes());
            transport.extend([0, 0]);
        }
        transport.extend(&self.payload);
        let mut bytes = [&[2; 12][..], &[8, 0, 0x45, 0]].concat();
        bytes.extend((20 + transport.len() as u16).to_be_bytes());
        bytes.extend(self.id.to_be_bytes());
        bytes.extend([0, 0, 64, if self.seq.is_some() { 6 } else { 17 }, 0, 0]);
        bytes.extend(self.from.0);
        bytes.extend(self.to.0);
        bytes.extend(transport);
        bytes.resize(bytes.len() + self.padding, 0);
        bytes
    }
}

/// So many packets of a flow, of so many bytes with and without their Ethernet header.
pub(crate) fn counted(packets: u64, each: u64) -> KernelCount<'static> {
    let first = Packet {
        timestamp: Timestamp::default(),
        link_type: LinkType::ETHERNET,
        wire_len: 0,
        bytes: &[],
        interface: 0,
        vlan_tci: None,
        direction: Direction::Unknown,
    };
    KernelCount {
        first,
        last: Timestamp::default(),
        packets,
        ip_bytes: packets * (each - 14),
        frame_bytes: packets * each,
        is_flow: true,
        ether_type: 0x0800,
        tcp_flags: TcpFlags(0x10),
        split: 0,
        prints: [0; 3],
    }
}

/// A live capture: some tables, and the collector.
pub(crate) struct Capture {
    pub(crate) collector: Collector,
    tables: Vec<FlowTable>,
    pub(crate) now: i64,
}

impl Capture {
    pub(crate) fn new(options: &Options, config: Config, tables: usize) -> Self {
        Self::named(options, config, tables, &["eth0", "br0", "veth1"])
    }

    /// The same of other interfaces.
    pub(crate) fn named(options: &Options, config: Config, tables: usize, interfaces: &[&str]) -> Self {
        let timeouts = options.live.unwrap_or_default();
        let live = LiveConfig {
            seed: options.seed,
            started: Timestamp(START),
            own: Vec::new(),
            owners_from: "no owners",
            timeouts,
        };
        let mut collector = Collector::new(Config { live: Some(live), ..config });
        for (name, ifindex) in interfaces.iter().zip(2..) {
            collector.add_live_interface(InterfaceName { file: None, name: Some((*name).into()) }, ifindex);
        }
        let tables = (0..tables).map(|_| FlowTable::new(options.clone())).collect();
        Capture { collector, tables, now: START }
    }

    /// Of one table, which shows everything.
    pub(crate) fn of_everything() -> Self {
        let options = Options { live: Some(Timeouts::default()), ..Options::default() };
        Self::new(&options, Config { rows: usize::MAX, events: true, ..Config::default() }, 1)
    }

    /// The same, which tells of names too.
    pub(crate) fn of_names() -> Self {
        let options = Options { live: Some(Timeouts::default()), depth: Depth::All, ..Options::default() };
        Self::new(&options, Config { rows: usize::MAX, events: true, ..Config::default() }, 1)
    }

    /// `packet` passes `interfaces`, a microsecond each.
    pub(crate) fn pass(&mut self, packet: &Sent, interfaces: &[u32]) {
        let bytes = packet.bytes();
        for &interface in interfaces {
            self.now += 1000;
            let packet = Packet {
                timestamp: Timestamp(self.now),
                link_type: LinkType::ETHERNET,
                wire_len: bytes.len() as u32,
                bytes: &bytes,
                interface,
                vlan_tci: None,
                direction: Direction::Unknown,
            };
            self.observe(0, packet);
        }
    }

    pub(crate) fn observe(&mut self, table: usize, packet: Packet<'_>) {
        self.tables[table].observe_batch(std::iter::once(packet));
    }

    /// The kernel counts packets like `first` on `interface`, a microsecond each, as many as it says.
    pub(crate) fn count(&mut self, first: &Sent, interface: u32, count: KernelCount<'static>) {
        let bytes = first.bytes();
        let timestamp = Timestamp(self.now + 1000);
        self.now += 1000 * count.packets as i64;
        let first =
            Packet { timestamp, interface, wire_len: bytes.len() as u32, bytes: &bytes, ..count.first };
        self.tables[0].observe_counts([KernelCount { first, last: Timestamp(self.now), ..count }]);
    }

    pub(crate) fn table(&mut self) -> &mut FlowTable {
        &mut self.tables[0]
    }

    /// Packets `numbers` of A, each of `len` bytes, on `interfaces`.
    pub(crate) fn stream(&mut self, from: End, to: End, numbers: std::ops::Range<u32>, interfaces: &[u32]) {
        for n in numbers {
            self.pass(&segment(from, to, n * 100, 100), interfaces);
        }
    }

    /// Interface `number` splits what is longer.
    pub(crate) fn split(&mut self, number: u32, longest: u32) {
        self.tables.iter_mut().for_each(|table| table.set_split(number, longest));
    }

    pub(crate) fn expire(&mut self, table: usize) {
        self.tables[table].expire(Timestamp(self.now));
    }

    /// Flows end that have no packet for so long, looked at as often as it takes.
    pub(crate) fn wait(&mut self, seconds: i64) {
        self.now += seconds * SECOND;
        for _ in 0..flow::ROUNDS {
            (0..self.tables.len()).for_each(|table| self.expire(table));
        }
        self.report();
        self.collector.settle(Timestamp(self.now));
        self.now += SECOND;
        self.collector.settle(Timestamp(self.now));
    }

    /// Only what began and ended.
    pub(crate) fn tell_events(&mut self, table: usize) {
        let delta = self.tables[table].take_events();
        self.collector.absorb(delta);
    }

    /// Everything, as at a report.
    pub(crate) fn tell(&mut self, table: usize) {
        let delta = self.tables[table].take_delta();
        self.collector.absorb(delta);
    }

    pub(crate) fn report(&mut self) -> Snapshot {
        (0..self.tables.len()).for_each(|table| self.tell(table));
        self.collector.tick(Timestamp(self.now));
        self.snapshot()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let snapshot = self.collector.snapshot(Some(Timestamp(self.now)), false);
        assert!(snapshot.ledger.closes(), "{:?}", snapshot.ledger);
        snapshot
    }

    pub(crate) fn finish(mut self) -> Snapshot {
        for table in self.tables.drain(..) {
            self.collector.absorb(table.finish());
        }
        self.snapshot()
    }

    pub(crate) fn translate(&mut self, original: (End, End), translated: (End, End), ended: bool) {
        let tuple =
            |(src, dst): (End, End)| FiveTuple { src: src.endpoint(), dst: dst.endpoint(), protocol: 6 };
        let translation = Translation { original: tuple(original), translated: tuple(translated), ended };
        self.collector.translate(&translation, Timestamp(self.now));
    }
}

/// Packets that the initiator and the responder sent.
pub(crate) fn packets(flow: &FlowRecord) -> (u64, u64) {
    (flow.sent.packets, flow.received.packets)
}

pub(crate) fn path(flow: &FlowRecord) -> Vec<&str> {
    flow.path.iter().map(|name| &**name).collect()
}

/// Packets that an interface counted in flows.
pub(crate) fn on(snapshot: &Snapshot, id: InterfaceId) -> u64 {
    snapshot.ledger.interfaces[usize::from(id.0)].counted.0
}
