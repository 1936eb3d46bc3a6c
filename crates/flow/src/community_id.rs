//! Community ID v1 (<https://github.com/corelight/community-id-spec>): a hash of the five-tuple
//! that other tools compute alike, so that their records can be joined.

use std::net::IpAddr;

use sha1::{Digest, Sha1};

use crate::record::FlowRecord;

/// Length of a Community ID: version, colon, and 20 bytes in base64.
pub const LEN: usize = 30;

/// The Community ID of `flow`, with seed 0; ASCII.
pub fn of(flow: &FlowRecord) -> [u8; LEN] {
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
fn base64(digest: &[u8; 20]) -> [u8; LEN] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = [b'='; LEN];
    text[..2].copy_from_slice(b"1:");
    let mut padded = [0; 21];
    padded[..20].copy_from_slice(digest);
    for (digits, three) in text[2..].chunks_exact_mut(4).zip(padded.chunks_exact(3)) {
        let word = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for (place, digit) in digits.iter_mut().enumerate() {
            *digit = DIGITS[(word >> (18 - 6 * place) & 63) as usize];
        }
    }
    text[LEN - 1] = b'=';
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;
    use dissect::{Endpoint, Icmp, Timestamp};

    fn id(protocol: u8, src: &str, dst: &str, a: u16, b: u16) -> String {
        let icmp = matches!(protocol, 1 | 58).then_some(Icmp { kind: a as u8, code: b as u8 });
        let end = |addr: &str, port| Endpoint {
            addr: addr.parse().unwrap(),
            port: if icmp.is_some() { 0 } else { port },
        };
        let (source, destination) = (end(src, a), end(dst, b));
        let id = of(&FlowRecord {
            protocol,
            ip_version: if source.addr.is_ipv4() { 4 } else { 6 },
            source,
            destination,
            sent: Counters::default(),
            received: Counters::default(),
            first: Timestamp::default(),
            last: Timestamp::default(),
            icmp,
            tcp: None,
            tunnels: Box::default(),
            app: None,
            interface: None,
            direction: None,
            source_name: None,
            destination_name: None,
            source_mac: None,
            destination_mac: None,
            cause: crate::name::Cause::Unknown,
            encrypted_dns: None,
            owner: None,
            path: vec![],
            own_lookup: false,
            nat: None,
            pace: None,
        });
        String::from_utf8(id.to_vec()).unwrap()
    }

    /// The specification's baseline, seed 0.
    #[test]
    fn published_vectors() {
        let tcp = "1:LQU9qZlK+B5F3KDmev6m5PMibrg=";
        assert_eq!(id(6, "128.232.110.120", "66.35.250.204", 34855, 80), tcp);
        assert_eq!(id(6, "66.35.250.204", "128.232.110.120", 80, 34855), tcp);
        assert_eq!(id(17, "192.168.1.52", "8.8.8.8", 54585, 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
        assert_eq!(id(17, "8.8.8.8", "192.168.1.52", 53, 54585), "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
        assert_eq!(id(132, "192.168.170.8", "192.168.170.56", 7, 80), "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ=");
    }

    #[test]
    fn published_vectors_for_icmp() {
        let echo = "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=";
        assert_eq!(id(1, "192.168.0.89", "192.168.0.1", 8, 0), echo);
        assert_eq!(id(1, "192.168.0.1", "192.168.0.89", 0, 0), echo);
        // One-way types are not turned round.
        assert_eq!(id(1, "192.168.0.89", "192.168.0.1", 20, 1), "1:tz/fHIDUHs19NkixVVoOZywde+I=");
        let [a, b] = ["fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea"];
        assert_eq!(id(58, a, b, 135, 0), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=");
        assert_eq!(id(58, b, a, 136, 0), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=");
        let [a, b] = ["3ffe:507:0:1:260:97ff:fe07:69ea", "3ffe:507:0:1:200:86ff:fe05:80da"];
        assert_eq!(id(58, a, b, 3, 0), "1:NdobDX8PQNJbAyfkWxhtL2Pqp5w=");
        assert_eq!(id(58, b, a, 3, 0), "1:/OGBt9BN1ofenrmSPWYicpij2Vc=");
    }

    #[test]
    fn protocols_without_ports_leave_them_out() {
        assert_eq!(id(46, "10.1.24.4", "10.1.12.1", 0, 0), "1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4=");
    }
}
