//! NetBIOS' names and datagrams, and service location.

use super::{ANY, BOTH, Heard, Port, Signature, Tells, UDP};

pub(super) const ALL: &[Signature] = &[
    // RFC 1002, section 4.2: a DNS-like header, then a name of 32 letters from A to P (RFC 1001, section 14.1).
    Signature::new("nbns", UDP, &[Port::Udp(137)], ANY, nbns).mark(4, b"\0").at_least(45),
    // RFC 1002, section 4.4.1: a type, the sender's address and its port, which is 138.
    Signature::new("nbdgm", UDP, &[Port::Udp(138)], b"\x10\x11\x12\x13\x14\x15\x16", |h| {
        let is_flags = h.bytes.u8(1).is_some_and(|flags| flags & 0xf0 == 0);
        Tells::when(
            is_flags && h.bytes.len() >= 14 && (h.bytes.be16(8) == Some(138) || h.bytes.u8(14) == Some(0x20)),
        )
    })
    .only_on(&[138]),
    // RFC 2608, section 8: version 2, a function, a length.
    Signature::new("slp", BOTH, &[Port::Udp(427), Port::Tcp(427)], b"\x01\x02", |h| {
        let is_function = matches!(h.bytes.u8(1), Some(1..=11));
        let len = if h.bytes.u8(0) == Some(2) { h.bytes.be24(2) } else { h.bytes.be16(2) };
        Tells::when(is_function && len.is_some_and(|len| len >= h.bytes.len()))
    })
    .only_on(&[427]),
];

fn nbns(h: Heard<'_>) -> Tells {
    if h.bytes.u8(12) != Some(0x20) {
        return Tells::No;
    }
    let is_letter = |byte: &u8| (b'A'..=b'P').contains(byte);
    let is_encoded = h.bytes.0.get(13..45).is_some_and(|name| h.on(&[137]) || name.iter().all(is_letter));
    if !is_encoded {
        return Tells::No;
    }
    let opcode = h.bytes.u8(2).unwrap_or(0) >> 3 & 0x0f;
    let is_counted =
        h.bytes.be16(4).is_some_and(|count| count <= 1) && h.bytes.be16(6).is_some_and(|count| count <= 64);
    Tells::when(matches!(opcode, 0 | 5..=9 | 15) && is_counted)
}
