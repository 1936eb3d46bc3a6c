//! Packets for the tests: hand-assembled headers around a payload.

use crate::packet::Registry;
use crate::{Direction, Dissection, LinkType, Packet, Timestamp};

/// A whole IPv4 packet: 10.9.0.1:4000 → 10.9.0.2:53, UDP, "inner"; its header checksum is right.
pub(crate) const INNER: &[u8; 33] = b"\x45\0\0\x21\0\x01\0\0\x40\x11\x66\xb7\x0a\x09\0\x01\x0a\x09\0\x02\
    \x0f\xa0\0\x35\0\x0d\0\0inner";

/// Destination port of [`INNER`].
pub(crate) const INNER_PORT: u16 = 53;

/// `payload` behind an IPv4 header, 192.0.2.1 → 192.0.2.2.
pub(crate) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = (20 + payload.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([0, 7, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    packet.extend(payload);
    packet
}

/// `payload` behind an IPv6 header, 2001:db8::1 → 2001:db8::2.
pub(crate) fn ipv6(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([protocol, 64]);
    for host in [1, 2] {
        packet.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
    }
    packet.extend(payload);
    packet
}

/// `payload` behind a UDP header, port 40000 → `port`.
pub(crate) fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = 40000u16.to_be_bytes().to_vec();
    datagram.extend(port.to_be_bytes());
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

/// `payload` behind an Ethernet header.
pub(crate) fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    frame.extend(ether_type.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An IPv4 packet that carries `payload` over UDP to `port`.
pub(crate) fn over_udp(port: u16, payload: &[u8]) -> Vec<u8> {
    ipv4(17, &udp(port, payload))
}

/// An IP packet, captured whole, as a file of raw packets has it.
pub(crate) fn raw(bytes: &[u8]) -> Packet<'_> {
    Packet {
        timestamp: Timestamp(0),
        link_type: LinkType(if bytes[0] >> 4 == 6 { 229 } else { 228 }),
        wire_len: bytes.len() as u32,
        bytes,
        interface: 0,
        vlan_tci: None,
        direction: Direction::Unknown,
    }
}

/// Dissects an IP packet.
pub(crate) fn dissect(bytes: &[u8]) -> Dissection<'_> {
    Dissection::of(&raw(bytes), Registry::global())
}

/// Name and number of the tunnels, and whether [`INNER`] is the flow.
pub(crate) fn found(d: &Dissection<'_>) -> (Vec<(&'static str, Option<u32>)>, bool) {
    let tunnels = d.tunnels().iter().map(|t| (t.name(), t.id)).collect();
    (tunnels, d.app_payload() == Some(&b"inner"[..]) && d.ip.is_some_and(|ip| ip.dst_port == INNER_PORT))
}
