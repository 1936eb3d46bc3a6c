//! The fast path is the general path, sooner: both give the same dissection of any bytes. A second
//! implementation (etherparse) says what addresses and ports plain packets have.

use dissect::packet::Registry;
use dissect::{Direction, Dissection, LinkType, Packet, Timestamp};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A plain packet before it is spoiled.
#[derive(Clone, Debug)]
struct Plain {
    tags: Vec<(u16, u16)>,
    v6: bool,
    tcp: bool,
    /// 4-byte units of IPv4 options, and of TCP options.
    options: (u8, u8),
    ports: (u16, u16),
    addresses: [u8; 32],
    payload: Vec<u8>,
    padding: usize,
}

impl Plain {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        for (tag_type, tci) in &self.tags {
            bytes.extend(tag_type.to_be_bytes());
            bytes.extend(tci.to_be_bytes());
        }
        let upper = self.upper();
        bytes.extend(self.ip(upper.len()));
        bytes.extend(upper);
        bytes.extend(vec![0; self.padding]);
        bytes
    }

    /// The EtherType and the IP header.
    fn ip(&self, upper_len: usize) -> Vec<u8> {
        let protocol = if self.tcp { 6 } else { 17 };
        let mut header = Vec::new();
        if self.v6 {
            header.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            header.extend((upper_len as u16).to_be_bytes());
            header.extend([protocol, 64]);
            header.extend(self.addresses);
        } else {
            let units = 5 + self.options.0;
            header.extend([0x08, 0x00, 0x40 | units, 0]);
            header.extend((u16::from(units) * 4 + upper_len as u16).to_be_bytes());
            header.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
            header.extend(&self.addresses[..8]);
            header.extend(vec![1; usize::from(self.options.0) * 4]);
        }
        header
    }

    fn upper(&self) -> Vec<u8> {
        let mut segment = self.ports.0.to_be_bytes().to_vec();
        segment.extend(self.ports.1.to_be_bytes());
        if self.tcp {
            let units = 5 + self.options.1;
            segment.extend([0, 0, 0, 1, 0, 0, 0, 2, units << 4, 0x18, 1, 0, 0, 0, 0, 0]);
            segment.extend(vec![1; usize::from(self.options.1) * 4]);
        } else {
            segment.extend((8 + self.payload.len() as u16).to_be_bytes());
            segment.extend([0, 0]);
        }
        segment.extend(&self.payload);
        segment
    }
}

/// What carries a plain packet in another's IP header.
#[derive(Clone, Copy, Debug)]
enum Tunnel {
    /// The IP header at once (RFC 2003 and the like).
    Ip,
    /// GRE around the IP header (RFC 2784).
    Gre,
    /// GRE around the Ethernet frame (RFC 7637).
    Ethernet,
}

impl Tunnel {
    fn around(self, outer: &Plain, inner: &Plain) -> Vec<u8> {
        let frame = inner.bytes();
        let ip_at = 12 + 4 * inner.tags.len();
        let ip = &frame[ip_at + 2..];
        let (protocol, carried) = match self {
            Tunnel::Ip => (if inner.v6 { 41 } else { 4 }, ip.to_vec()),
            Tunnel::Gre => (47, [&[0, 0][..], &frame[ip_at..ip_at + 2], ip].concat()),
            Tunnel::Ethernet => (47, [&[0x20, 0, 0x65, 0x58, 0, 0, 0, 7], &frame[..]].concat()),
        };
        let mut bytes = outer.bytes();
        let ip_at = 14 + 4 * outer.tags.len();
        let upper_at = ip_at + if outer.v6 { 40 } else { 20 + usize::from(outer.options.0) * 4 };
        let len = upper_at - ip_at + carried.len();
        bytes.truncate(upper_at);
        if outer.v6 {
            bytes[ip_at + 6] = protocol;
            bytes[ip_at + 4..ip_at + 6].copy_from_slice(&(len as u16 - 40).to_be_bytes());
        } else {
            bytes[ip_at + 9] = protocol;
            bytes[ip_at + 2..ip_at + 4].copy_from_slice(&(len as u16).to_be_bytes());
        }
        bytes.extend(carried);
        bytes
    }
}

fn plain() -> impl Strategy<Value = Plain> {
    let tag = (select(vec![0x8100u16, 0x88a8, 0x9100]), any::<u16>());
    // Ports that some dissector claims, and others.
    let port = || prop_oneof![select(vec![53u16, 1701, 2152, 3544, 4789, 6081, 8472]), any::<u16>()];
    let options = (0..=10u8, 0..=10u8);
    let addresses = any::<[u8; 32]>();
    let payload = vec(any::<u8>(), 0..80);
    (vec(tag, 0..=3), any::<bool>(), any::<bool>(), options, (port(), port()), addresses, payload, 0..20usize)
        .prop_map(|(tags, v6, tcp, options, ports, addresses, payload, padding)| Plain {
            tags,
            v6,
            tcp,
            options,
            ports,
            addresses,
            payload,
            padding,
        })
}

/// Mostly one bit: flags and lengths change, the rest of the byte stays plausible.
fn mask() -> impl Strategy<Value = u8> {
    prop_oneof![4 => (0..8u32).prop_map(|bit| 1u8 << bit), 1 => any::<u8>()]
}

fn packet(bytes: &[u8], wire_len: u32) -> Packet<'_> {
    Packet {
        timestamp: Timestamp(0),
        link_type: LinkType::ETHERNET,
        wire_len,
        bytes,
        interface: 0,
        vlan_tci: None,
        direction: Direction::Unknown,
    }
}

fn assert_both_agree(bytes: &[u8], wire_len: u32) {
    let packet = packet(bytes, wire_len);
    let of = Dissection::of(&packet, Registry::global());
    let general = Dissection::general(&packet, Registry::global());
    assert_eq!(of, general, "{bytes:02x?}");
    assert_eq!(of.offset_of(of.payload), general.offset_of(general.payload), "{bytes:02x?}");
    assert_eq!(of.app_payload(), general.app_payload(), "{bytes:02x?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_plain_packets(plain in plain(), extra in 0..2000u32) {
        let bytes = plain.bytes();
        assert_both_agree(&bytes, bytes.len() as u32 + extra);
    }

    #[test]
    fn on_mutated_packets(plain in plain(), changes in vec((any::<Index>(), mask()), 1..4), wire in any::<u16>()) {
        let mut bytes = plain.bytes();
        for (at, mask) in changes {
            let at = at.index(bytes.len().min(90));
            bytes[at] ^= mask;
        }
        assert_both_agree(&bytes, u32::from(wire));
    }

    #[test]
    fn on_cut_packets(plain in plain(), cut in any::<Index>()) {
        let bytes = plain.bytes();
        assert_both_agree(&bytes[..cut.index(bytes.len())], bytes.len() as u32);
    }

    #[test]
    fn on_tunnelled_packets(
        outer in plain(),
        inner in plain(),
        tunnel in select(vec![Tunnel::Ip, Tunnel::Gre, Tunnel::Ethernet]),
        change in (any::<Index>(), mask()),
        cut in any::<Index>(),
        wire in any::<u16>(),
    ) {
        let mut bytes = tunnel.around(&outer, &inner);
        assert_both_agree(&bytes, bytes.len() as u32);
        assert_both_agree(&bytes[..cut.index(bytes.len())], bytes.len() as u32);
        let at = change.0.index(bytes.len().min(160));
        bytes[at] ^= change.1;
        assert_both_agree(&bytes, u32::from(wire));
    }

    #[test]
    fn on_any_bytes(bytes in vec(any::<u8>(), 0..200), wire in any::<u32>()) {
        assert_both_agree(&bytes, wire);
    }

    #[test]
    fn addresses_and_ports_are_the_ones_another_parser_reads(mut plain in plain()) {
        plain.tags.truncate(2);
        let bytes = plain.bytes();
        let packet = packet(&bytes, bytes.len() as u32);
        let d = Dissection::of(&packet, Registry::global());
        let tuple = d.outer.or(d.ip).expect("a plain packet").five_tuple();
        let other = SlicedPacket::from_ethernet(&bytes).expect("a plain packet");
        let ports = match other.transport {
            Some(TransportSlice::Tcp(tcp)) => (tcp.source_port(), tcp.destination_port()),
            Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port()),
            _ => panic!("no transport in {bytes:02x?}"),
        };
        prop_assert_eq!((tuple.src.port, tuple.dst.port), ports);
        match other.net {
            Some(NetSlice::Ipv4(ip)) => {
                prop_assert_eq!(tuple.src.addr, ip.header().source_addr());
                prop_assert_eq!(tuple.dst.addr, ip.header().destination_addr());
            }
            Some(NetSlice::Ipv6(ip)) => {
                prop_assert_eq!(tuple.src.addr, ip.header().source_addr());
                prop_assert_eq!(tuple.dst.addr, ip.header().destination_addr());
            }
            _ => panic!("no IP in {bytes:02x?}"),
        }
    }
}

/// Without this the properties above would hold of a fast path that never answers.
#[test]
fn a_plain_packet_is_read_to_its_payload() {
    let plain = Plain {
        tags: vec![(0x8100, 5)],
        v6: true,
        tcp: true,
        options: (0, 3),
        ports: (40000, 443),
        addresses: [1; 32],
        payload: b"hello".to_vec(),
        padding: 6,
    };
    let bytes = plain.bytes();
    let packet = packet(&bytes, bytes.len() as u32);
    let d = Dissection::of(&packet, Registry::global());
    let layers: Vec<_> = d.layers().iter().map(|l| (l.dissector.name(), l.offset)).collect();
    assert_eq!(layers, [("ethernet", 0), ("vlan", 14), ("ipv6", 18), ("tcp", 58)]);
    assert_eq!((d.app_payload(), d.tcp.map(|t| t.payload_len)), (Some(&b"hello"[..]), Some(5)));
}

/// Nor would they say anything of tunnels, if what is built here were none.
#[test]
fn a_tunnelled_packet_is_read_to_its_payload() {
    let end = |tcp| Plain {
        tags: vec![(0x8100, 5)],
        v6: false,
        tcp,
        options: (1, 3),
        ports: (40000, 443),
        addresses: [1; 32],
        payload: b"hello".to_vec(),
        padding: 6,
    };
    let names = |tunnel: Tunnel| {
        let bytes = tunnel.around(&end(false), &end(true));
        let packet = packet(&bytes, bytes.len() as u32);
        let d = Dissection::of(&packet, Registry::global());
        assert_eq!((d.app_payload(), d.tcp.map(|t| t.payload_len)), (Some(&b"hello"[..]), Some(5)));
        d.layers().iter().map(|l| l.dissector.name()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(Tunnel::Ip), "ethernet vlan ipv4 ipv4 tcp");
    assert_eq!(names(Tunnel::Gre), "ethernet vlan ipv4 gre ipv4 tcp");
    assert_eq!(names(Tunnel::Ethernet), "ethernet vlan ipv4 gre ethernet vlan ipv4 tcp");
}
