//! Mobile networks and telephone exchanges.

use super::{Bytes, Heard, Port, Signature, TCP, Tells, UDP, span};

pub(super) const ALL: &[Signature] = &[
    // 3GPP TS 29.060, section 6, TS 29.274, section 5.1, and TS 32.295 for GTP': a version, a length.
    Signature::new("gtp", UDP, &[Port::Udp(2123), Port::Udp(2152), Port::Udp(3386)], GTP, |h| {
        let first = h.bytes.u8(0).unwrap_or(0);
        let (version, len) = (first >> 5, h.bytes.be16(2).unwrap_or(0));
        let is_length = match version {
            2 => len + 4 >= h.bytes.len() && len >= 4,
            _ => len + if h.on(&[3386]) { 6 } else { 8 } >= h.bytes.len(),
        };
        Tells::when(is_length && h.bytes.len() >= 8)
    })
    .only_on(&[2123, 2152, 3386]),
    // 3GPP TS 29.244, section 7.2.2: version 1, a length.
    Signature::new("pfcp", UDP, &[Port::Udp(8805)], &span::<8>(0x20), |h| {
        Tells::when(h.bytes.be16(2).is_some_and(|len| len >= 4 && len + 4 >= h.bytes.len()))
    })
    .only_on(&[8805]),
    // RFC 6733, section 3: version 1, a length of whole words, flags, a command.
    Signature::new("diameter", TCP, &[Port::Tcp(3868)], b"\x01", |h| {
        let is_length = h.bytes.be24(1).is_some_and(|len| (20..65_536).contains(&len) && len % 4 == 0);
        let is_flags = h.bytes.u8(4).is_some_and(|flags| matches!(flags & 0x0f, 0));
        let is_command = h.bytes.be24(5).is_some_and(|code| (257..=318).contains(&code) || code >= 0x80_0000);
        Tells::when(is_length && is_flags && is_command && h.bytes.len() >= 20)
    }),
    // ITU-T H.225.0, section 7.2, in TPKT (RFC 1006): Q.931's discriminator and a call reference of two bytes.
    Signature::new("h323", TCP, &[Port::Tcp(1720)], b"\x03", |h| {
        let is_tpkt = h.bytes.has(0, b"\x03\0") && h.bytes.be16(2).is_some_and(|len| len >= 9);
        Tells::when(is_tpkt && h.bytes.has(4, b"\x08\x02"))
    }),
    // H.225.0, section 7.8: registration, admission and status, packed by PER, on their ports.
    Signature::new("h323", UDP, &[Port::Udp(1719), Port::Udp(1718)], &span::<128>(0), |h| {
        Tells::when(h.bytes.len() >= 8)
    })
    .only_on(&[1718, 1719]),
    // ITU-T X.224 in TPKT, a connection request or its confirmation, on the port of Siemens' and IEC 61850's.
    Signature::new("s7comm", TCP, &[Port::Tcp(102)], b"\x03", |h| {
        let is_data = h.bytes.has(4, b"\x02\xf0\x80\x32");
        let is_connect = h.on(&[102]) && matches!(h.bytes.u8(5), Some(0xe0 | 0xd0));
        Tells::when(h.bytes.has(0, b"\x03\0") && (is_data || is_connect))
    }),
    // RFC 5456, section 8.1: a full frame that begins a call or keeps it.
    Signature::new("iax2", UDP, &[Port::Udp(4569)], &span::<128>(0x80), |h| {
        Tells::when(h.bytes.u8(10) == Some(6) && h.bytes.len() >= 12)
    })
    .only_on(&[4569]),
    // Cisco's skinny client control: a length, a version, a message.
    Signature::new("skinny", TCP, &[Port::Tcp(2000)], ANY_LENGTH, |h| {
        let len = h.bytes.le32(0).unwrap_or(0);
        let is_message = h.bytes.le32(8).is_some_and(|id| id < 0x160);
        Tells::when(
            (4..2048).contains(&len) && is_message && matches!(h.bytes.le32(4), Some(0 | 0x12..=0x16)),
        )
    })
    .only_on(&[2000]),
    // Adobe's RTMP, section 5.2.
    Signature::new("rtmp", TCP, &[Port::Tcp(1935)], b"\x03", rtmp),
];

const GTP: &[u8] = &span::<96>(0x0e);
const ANY_LENGTH: &[u8] = &span::<252>(4);

/// Version 3, a time, four zeros, random bytes; 1,537 in all.
fn rtmp(h: Heard<'_>) -> Tells {
    let Bytes(bytes) = h.bytes;
    let is_tpkt = h.bytes.be16(2).is_some_and(|len| len == bytes.len()) && h.bytes.u8(1) == Some(0);
    let is_hello = h.bytes.be32(5) == Some(0) || h.on(&[1935]);
    Tells::when(!is_tpkt && is_hello && bytes.len() >= 512 || h.on(&[1935]) && bytes.len() == 1)
}
