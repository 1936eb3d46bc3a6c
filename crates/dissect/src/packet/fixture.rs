//! Packets that the tests of several dissectors carry, and how they read them.

use crate::{Dissection, LinkType, Packet, packet::Registry};

/// IPv4, 192.0.2.1:1000 to 192.0.2.2:2000 over UDP, 2 bytes of payload (RFC 791, RFC 768).
pub(super) const IPV4_UDP: [u8; 30] = [
    0x45, 0, 0, 30, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0x03, 0xe8, 0x07, 0xd0, 0, 10, 0,
    0, b'h', b'i',
];

/// IPv6, 2001:db8::1 port 1000 to 2001:db8::2 port 2000 over UDP, no payload (RFC 8200).
pub(super) const IPV6_UDP: [u8; 48] = [
    0x60, 0, 0, 0, 0, 8, 17, 64, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 0x01,
    0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x03, 0xe8, 0x07, 0xd0, 0, 8, 0, 0,
];

/// An Ethernet header from and to locally administered addresses, before an IPv4 packet.
pub(super) const ETHERNET: [u8; 14] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00];

/// The parts, one behind the other.
pub(super) fn frame(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Dissects a packet that was captured whole.
pub(super) fn dissect(link_type: LinkType, bytes: &[u8]) -> Dissection<'_> {
    let packet = Packet {
        timestamp: crate::Timestamp::default(),
        link_type,
        wire_len: bytes.len() as u32,
        bytes,
        interface: 0,
        vlan_tci: None,
        direction: crate::Direction::Unknown,
    };
    Dissection::of(&packet, Registry::global())
}

/// Names of the layers that were read, outermost first.
pub(super) fn layers(link_type: LinkType, bytes: &[u8]) -> Vec<&'static str> {
    dissect(link_type, bytes).layers().iter().map(|layer| layer.dissector.name()).collect()
}
