//! Ways through others: VPNs, proxies.

use super::{ANY, BOTH, End, Heard, Port, Signature, TCP, Tells, UDP};

pub(super) const ALL: &[Signature] = &[
    // WireGuard, section 5.4: a type, three zeros, and a length for each; data is a multiple of 16.
    Signature::new("wireguard", UDP, &[Port::Udp(51820)], b"\x01\x02\x03\x04", |h| {
        let len = h.bytes.len();
        Tells::when(
            h.bytes.has(1, &[0; 3])
                && match h.bytes.u8(0) {
                    Some(1) => len == 148,
                    Some(2) => len == 92,
                    Some(3) => len == 64 && h.on(&[51820]),
                    _ => len >= 32 && len % 16 == 0 && h.bytes.has(12, &[0; 4]) && h.on(&[51820]),
                },
        )
    }),
    // Tailscale's discovery (`disco`): a magic of six bytes.
    Signature::new("tailscale", UDP, &[Port::Udp(41641)], b"T", |h| h.bytes.begin(b"TS\xf0\x9f\x92\xac")),
    // OpenVPN's protocol: an opcode and a key's number; the length over TCP before it.
    Signature::new("openvpn", UDP, &[Port::Udp(1194)], b"\x38\x40\x50", |h| openvpn(h, 0)),
    Signature::new("openvpn", TCP, &[Port::Tcp(1194)], b"\0\x01\x02", |h| match h.bytes.be16(0) {
        Some(len) if (14..1500).contains(&len) && len + 2 <= h.bytes.len() => openvpn(h, 2),
        _ => Tells::No,
    })
    .at_least(16),
    // RFC 7296, section 3.1, and RFC 2408: a version, an exchange, a length; RFC 3948, section 2.2, on port 4500.
    Signature::new("isakmp", UDP, &[Port::Udp(500)], ANY, |h| {
        let at = if h.on(&[4500]) && h.bytes.has(0, &[0; 4]) { 4 } else { 0 };
        let is_version = matches!(h.bytes.u8(at + 17), Some(0x10 | 0x20));
        let is_exchange = matches!(h.bytes.u8(at + 18), Some(0..=6 | 32..=43 | 240..));
        let is_length = h
            .bytes
            .be32(at + 24)
            .is_some_and(|len| (28..=65_535).contains(&len) && len + at >= h.bytes.len());
        Tells::when(
            is_version
                && is_exchange
                && is_length
                && h.bytes.be32(at) != Some(0)
                && (h.on(&[500, 4500, 848]) || h.bytes.has(at + 8, &[0; 8])),
        )
    })
    .at_least(28),
    // RFC 3948, section 2.1: ESP behind UDP, or the one byte that keeps a mapping.
    Signature::new("esp", UDP, &[Port::Udp(4500)], ANY, |h| {
        let is_esp = h.bytes.be32(0).is_some_and(|spi| spi >= 256) && h.bytes.len() >= 24;
        Tells::when(is_esp || h.bytes.0 == [0xff])
    })
    .only_on(&[4500]),
    // RFC 2661, section 3.1: a control message's flags, version 2, its length.
    Signature::new("l2tp", UDP, &[Port::Udp(1701)], b"\xc8\x02\x42\x40", |h| {
        let is_control =
            h.bytes.u8(1) == Some(2) && h.bytes.be16(2).is_some_and(|len| len >= 12 && len <= h.bytes.len());
        Tells::when(is_control || h.bytes.u8(1).is_some_and(|version| version & 0x0f == 2))
    })
    .only_on(&[1701]),
    // RFC 2637, section 2: the magic cookie of a control message.
    Signature::new("pptp", TCP, &[Port::Tcp(1723)], b"\0", |h| {
        Tells::when(h.bytes.has(4, b"\x1a\x2b\x3c\x4d"))
    })
    .at_least(12),
    // ZeroTier's control port; packets are encrypted.
    Signature::new("zerotier", UDP, &[Port::Udp(9993)], b"", |_| Tells::No),
    // tinc's first line: `0 NAME 17`.
    Signature::new("tinc", BOTH, &[Port::Tcp(655), Port::Udp(655)], b"0", |h| {
        let line = h.bytes.line().unwrap_or_default();
        Tells::when(line.starts_with("0 ") && (line.ends_with(" 17") || line.contains(" 17.")))
    }),
];

/// A reset that begins a session, or its answer.
///
/// In clear, `at` is followed by the session, no acknowledgements and packet 0; behind an HMAC also by the HMAC, a packet's
/// number and time. With `tls-crypt`, the number and time come first.
fn openvpn(h: Heard<'_>, at: usize) -> Tells {
    let len = match h.bytes.be16(0) {
        Some(len) if at > 0 => len,
        _ => h.bytes.len(),
    };
    let (first, is_on) = (h.bytes.u8(at).unwrap_or(0), h.on(&[1194]));
    let is_number = |at| h.bytes.be32(at).is_some_and(|number| number & 0xffff == 1);
    // Between 2010 and 2046.
    let is_time = |at| h.bytes.be32(at).is_some_and(|time| (0x4b3d_3b00..0x9000_0000).contains(&time));
    let is_crypt = is_number(at + 9) && is_time(at + 13) && len >= 54;
    if first == 0x40 {
        let hmac = [0, 16, 20, 32, 64].into_iter().any(|hmac| {
            let behind = at + 9 + if hmac == 0 { 0 } else { hmac + 8 };
            h.bytes.u8(behind) == Some(1) && h.bytes.has(behind + 1, &[0; 4]) && len + at == behind + 17
        });
        return Tells::when(is_crypt || hmac || is_on && len >= 14);
    }
    let is_clear = matches!(len, 14 | 38 | 42 | 54 | 86) && h.bytes.has(at + len - 5, &[0; 5]);
    Tells::when(is_clear || is_crypt || is_on && len >= 14 && h.end == End::Initiator)
}
