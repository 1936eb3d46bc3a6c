//! Community ID v1 (<https://github.com/corelight/community-id-spec>): a hash of the five-tuple
//! that other tools compute alike, so that their records can be joined.

use std::net::IpAddr;

use sha1::{Digest, Sha1};

use crate::record::FlowRecord;

/// The Community ID of `flow`, with seed 0.
pub fn of(flow: &FlowRecord) -> String {
    let (src_port, dst_port, one_way) = ports(flow);
    let (src, dst) = (octets(&flow.source.addr), octets(&flow.destination.addr));
    let ordered = one_way || (src.as_slice(), src_port) < (dst.as_slice(), dst_port);
    let (a, b, a_port, b_port) =
        if ordered { (&src, &dst, src_port, dst_port) } else { (&dst, &src, dst_port, src_port) };
    let mut bytes = [0u8; 40];
    let mut len = 2; // The seed.
    let mut put = |part: &[u8]| {
        bytes[len..len + part.len()].copy_from_slice(part);
        len += part.len();
    };
    put(a.as_slice());
    put(b.as_slice());
    put(&[flow.protocol, 0]);
    if has_ports(flow) {
        put(&a_port.to_be_bytes());
        put(&b_port.to_be_bytes());
    }
    base64(&Sha1::digest(&bytes[..len]).into())
}

/// An address as it stands on the wire.
struct Octets {
    bytes: [u8; 16],
    len: usize,
}

impl Octets {
    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn octets(addr: &IpAddr) -> Octets {
    let mut bytes = [0; 16];
    match addr {
        IpAddr::V4(v4) => {
            bytes[..4].copy_from_slice(&v4.octets());
            Octets { bytes, len: 4 }
        }
        IpAddr::V6(v6) => Octets { bytes: v6.octets(), len: 16 },
    }
}

/// TCP, UDP and SCTP have ports, ICMP and ICMPv6 take type and code for them; others leave them out.
fn has_ports(flow: &FlowRecord) -> bool {
    matches!(flow.protocol, 1 | 6 | 17 | 58 | 132)
}

/// The ports, and whether the flow has only one direction.
fn ports(flow: &FlowRecord) -> (u16, u16, bool) {
    let Some(icmp) = flow.icmp else { return (flow.source.port, flow.destination.port, false) };
    let counterpart =
        if flow.protocol == 1 { icmp_counterpart(icmp.kind) } else { icmp6_counterpart(icmp.kind) };
    match counterpart {
        Some(other) => (u16::from(icmp.kind), u16::from(other), false),
        None => (u16::from(icmp.kind), u16::from(icmp.code), true),
    }
}

/// The type that answers a type (RFC 792, RFC 950, RFC 1256).
fn icmp_counterpart(kind: u8) -> Option<u8> {
    Some(match kind {
        0 => 8,
        8 => 0,
        9 => 10,
        10 => 9,
        13 => 14,
        14 => 13,
        15 => 16,
        16 => 15,
        17 => 18,
        18 => 17,
        _ => return None,
    })
}

/// The type that answers a type (RFC 2710, RFC 4443, RFC 4620, RFC 4861, RFC 5269).
fn icmp6_counterpart(kind: u8) -> Option<u8> {
    Some(match kind {
        128 => 129,
        129 => 128,
        130 => 131,
        131 => 130,
        133 => 134,
        134 => 133,
        135 => 136,
        136 => 135,
        139 => 140,
        140 => 139,
        144 => 145,
        145 => 144,
        _ => return None,
    })
}

/// The 20 bytes of a SHA-1 in base64 (RFC 4648, section 4), behind the version.
fn base64(digest: &[u8; 20]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(30);
    text.push_str("1:");
    for chunk in digest.chunks(3) {
        let word = chunk.iter().enumerate().fold(0u32, |word, (i, &b)| word | u32::from(b) << (16 - 8 * i));
        for digit in 0..4 {
            if digit <= chunk.len() {
                text.push(char::from(DIGITS[(word >> (18 - 6 * digit) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}
