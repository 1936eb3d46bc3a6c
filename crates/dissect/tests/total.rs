//! Dissection is total: any bytes of any link type give one, its parts lie inside the packet, and
//! the packet's end or one wrong bit never makes it panic.

use dissect::packet::Registry;
use dissect::{Direction, Dissection, LinkType, MAX_LAYERS, Packet, Timestamp};
use proptest::prelude::*;

/// Every number that LINKTYPE_ values had by now, and some beyond.
const LINK_TYPES: std::ops::Range<u16> = 0..310;

fn dissect(link_type: u16, wire_len: u32, bytes: &[u8]) {
    let packet = Packet {
        timestamp: Timestamp(0),
        link_type: LinkType(link_type),
        wire_len,
        bytes,
        interface: 0,
        vlan_tci: None,
        direction: Direction::Unknown,
    };
    let d = Dissection::of(&packet, Registry::global());
    assert!(d.layers().len() <= MAX_LAYERS);
    assert!(d.layers().is_sorted_by_key(|layer| layer.offset));
    assert!(d.layers().iter().all(|layer| usize::from(layer.offset) <= bytes.len()));
    assert!(d.offset_of(d.payload) + d.payload.len() <= bytes.len());
    assert!(d.outer.is_none() || d.ip.is_some());
}

/// Packets of many shapes, hand-made from their specifications: link type and bytes, in hexadecimal.
const SEEDS: &[(u16, &str)] = &[
    // Ethernet, 802.1ad, 802.1Q, PPPoE, IPv4, UDP.
    (
        1,
        "020000000002020000000001 88a80064 8100000a 8864 1100 0001 0020 0021 4500001e00010000401100 00c0000201c0000202 03e807d0000a00006869",
    ),
    // Ethernet, two labels, control word, Ethernet, IPv6, TCP.
    (
        1,
        "020000000002020000000001 8847 000640ff 000651ff 00000000 020000000004020000000003 86dd 6000000000140640 20010db8000000000000000000000001 20010db8000000000000000000000002 03e8005000000001000000005002ffff00000000",
    ),
    // Ethernet, LLC, SNAP, IPv6, hop-by-hop, fragment, UDP.
    (
        1,
        "020000000002020000000001 0060 aaaa03 000000 86dd 6000000000200040 20010db8000000000000000000000001 20010db8000000000000000000000002 2c00010400000000 1100000100000007 03e807d000100000 6869686968696869",
    ),
    // Ethernet, NSH, MACsec in clear text, IPv4 options, ICMP.
    (
        1,
        "020000000002020000000001 894f 0fc20103 0000 2aff 020000000004020000000003 88e5 2020 00000001 0200000000030001 0800 4600002000010000400100 00c0000201c000020294040000 080000000001000168690000",
    ),
    // ISL around Ethernet; TRILL, FabricPath and an I-TAG.
    (
        1,
        "01000c000000 020000000001 003c aaaa03 020000 0002 0001 0000 020000000002020000000001 22f3 0041 0001 0002 00000000 020000000002020000000001 8903 0640 020000000002020000000001 88e7 00001234 020000000002020000000001 0800 4500001400010000403b0000c0000201c0000202",
    ),
    // Loopback; both cooked headers; radiotap with padded QoS data; NFLOG; Cisco HDLC; Frame Relay; Juniper;
    // ERF with an extension header; PPP multilink around Van Jacobson's uncompressed TCP.
    (0, "02000000 4500001c00010000401100 00c0000201c0000202 0035c00000080000"),
    (113, "0000 0001 0006 020000000001 0000 0800 4500001c00010000401100 00c0000201c0000202 0035c00000080000"),
    (
        276,
        "86dd 0000 00000003 0001 00 06 0200000000010000 6000000000083a40 20010db8000000000000000000000001 20010db8000000000000000000000002 8000000000010001",
    ),
    (
        127,
        "000009000200000020 8801 0000 020000000001 020000000002 020000000003 0000 0000 0000 aaaa03 000000 0800 4500001c00010000401100 00c0000201c0000202 0035c00000080000",
    ),
    (239, "02000000 08000a0000000001 20000900 4500001c00010000401100 00c0000201c0000202 0035c00000080000"),
    (104, "0f00 0800 4500001c00010000401100 00c0000201c0000202 0035c00000080000"),
    (
        107,
        "1841 0300 80 0080c2 0007 020000000002020000000001 0800 4500001c00010000401100 00c0000201c0000202 0035c00000080000",
    ),
    (
        135,
        "4d474381 0004 01020000 0000000000000000 0021 4500001c00010000401100 00c0000201c0000202 0035c00000080000",
    ),
    (
        197,
        "0000000000000000 8200 0040 0000 0040 0300000000000000 0000 020000000002020000000001 0800 4500001c00010000401100 00c0000201c0000202 0035c00000080000",
    ),
    (
        9,
        "ff03 003d c0000007 002f 4500002800010000400300 00c0000201c0000202 0019040000000001000000005002000000000000",
    ),
];

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

#[test]
fn every_prefix_and_every_wrong_byte_give_a_dissection() {
    for &(link_type, text) in SEEDS {
        let whole = unhex(text);
        for len in 0..=whole.len() {
            dissect(link_type, whole.len() as u32, &whole[..len]);
        }
        let mut bytes = whole.clone();
        for at in 0..whole.len() {
            for wrong in 0..=255 {
                bytes[at] = wrong;
                dissect(link_type, whole.len() as u32, &bytes);
            }
            bytes[at] = whole[at];
        }
    }
}

#[test]
fn seeds_reach_a_flow() {
    for &(link_type, text) in SEEDS {
        let bytes = unhex(text);
        let packet = Packet {
            timestamp: Timestamp(0),
            link_type: LinkType(link_type),
            wire_len: bytes.len() as u32,
            bytes: &bytes,
            interface: 0,
            vlan_tci: None,
            direction: Direction::Unknown,
        };
        let d = Dissection::of(&packet, Registry::global());
        assert!(d.ip.is_some(), "link type {link_type}: {:?} after {:?}", d.stop, d.layers());
    }
}

proptest! {
    #[test]
    fn any_bytes_of_any_link_type(
        link_type in LINK_TYPES,
        wire_len in any::<u32>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        dissect(link_type, wire_len, &bytes);
    }

    /// Small numbers are what headers hold: these get further than random ones.
    #[test]
    fn any_small_bytes_of_any_link_type(
        link_type in LINK_TYPES,
        bytes in proptest::collection::vec(prop_oneof![0u8..9, Just(0x45), Just(0x60), Just(0x88), any::<u8>()], 0..200),
    ) {
        dissect(link_type, bytes.len() as u32, &bytes);
    }

    /// A seed with up to four bytes changed, behind any link type.
    #[test]
    fn a_seed_under_any_link_type(
        link_type in LINK_TYPES,
        seed in 0..SEEDS.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
    ) {
        let mut bytes = unhex(SEEDS[seed].1);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        dissect(link_type, bytes.len() as u32, &bytes);
    }
}
