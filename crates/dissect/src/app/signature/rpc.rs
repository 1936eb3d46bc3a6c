//! Remote procedures, directories and who is who.

use super::{ANY, App, BOTH, Bytes, Heard, Port, Signature, TCP, Tells, UDP};

pub(super) const ALL: &[Signature] = &[
    // RFC 5531, section 9: a call or a reply, behind a record mark over TCP (section 11).
    Signature::new("rpc", TCP, &[Port::Tcp(111)], b"\0\x80", |h| onc(h, 4))
        .at_least(28)
        .with(|h, app| program(h, app, 4)),
    Signature::new("rpc", UDP, &[Port::Udp(111)], ANY, |h| onc(h, 0))
        .mark(4, b"\0")
        .at_least(24)
        .with(|h, app| program(h, app, 0)),
    Signature::new("nfs", BOTH, &[Port::Tcp(2049), Port::Udp(2049)], b"", |_| Tells::No),
    // DCE 1.1 RPC, section 12.6.3: version 5.0, bind or what answers it; version 4 over UDP (section 12.5).
    Signature::new("dcerpc", TCP, &[Port::Tcp(135)], b"\x05", |h| {
        let is_bind = matches!(h.bytes.u8(2), Some(0 | 2 | 3 | 0x0b..=0x10));
        let is_length = h.bytes.le16(8).is_some_and(|len| (16..=65_000).contains(&len));
        Tells::when(
            h.bytes.has(0, b"\x05\0") && is_bind && matches!(h.bytes.u8(4), Some(0 | 0x10)) && is_length,
        )
    }),
    Signature::new("dcerpc", UDP, &[Port::Udp(135)], b"\x04", |h| {
        let is_kind = matches!(h.bytes.u8(1), Some(0..=10)) && matches!(h.bytes.u8(4), Some(0 | 0x10));
        Tells::when(is_kind && h.bytes.has(5, b"\0\0") && h.bytes.len() >= 80)
    }),
    // RFC 4511, section 4.1.1: a sequence of a message's number and an operation; RFC 1798 over UDP.
    Signature::new("ldap", BOTH, &[Port::Tcp(389), Port::Udp(389), Port::Tcp(3268)], b"\x30", ldap),
    // RFC 4120, sections 5.4.1 and 7.2: an application tag, then a sequence with version 5.
    Signature::new("kerberos", UDP, &[Port::Udp(88), Port::Udp(464)], KERBEROS, |h| kerberos(h.bytes, 0)),
    Signature::new("kerberos", TCP, &[Port::Tcp(88), Port::Tcp(464)], b"\0", |h| {
        if h.bytes.be32(0).is_some_and(|len| len + 4 >= h.bytes.len()) {
            kerberos(h.bytes, 4)
        } else {
            Tells::No
        }
    })
    .at_least(12),
    // RFC 2865, section 3: a length, and attributes that fill it.
    Signature::new(
        "radius",
        UDP,
        &[Port::Udp(1812), Port::Udp(1813), Port::Udp(1645), Port::Udp(3799)],
        RADIUS,
        radius,
    ),
    // RFC 8907, section 4.1: version, type, and a length that fits.
    Signature::new("tacacs", TCP, &[Port::Tcp(49)], b"\xc0\xc1", |h| {
        let is_header = matches!(h.bytes.u8(1), Some(1..=3)) && matches!(h.bytes.u8(3), Some(0 | 1 | 4 | 5));
        Tells::when(is_header && h.bytes.be32(8).is_some_and(|len| len + 12 == h.bytes.len()))
    }),
];

const KERBEROS: &[u8] = &[0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x7e];
const RADIUS: &[u8] = &[1, 2, 3, 4, 5, 11, 12, 13, 40, 41, 42, 43, 44, 45];

/// A call of version 2, or a reply that was accepted or denied; `at` is where the transaction's number stands.
fn onc(h: Heard<'_>, at: usize) -> Tells {
    // Most of what is asked about is neither a call nor a reply.
    if !matches!(h.bytes.be32(at + 4), Some(0 | 1)) || !matches!(h.bytes.be32(at + 8), Some(0..=2)) {
        return Tells::No;
    }
    let is_call = h.bytes.be32(at + 4) == Some(0) && h.bytes.be32(at + 8) == Some(2);
    let is_known = h.bytes.be32(at + 12).is_some_and(|number| (100_000..101_000).contains(&number));
    let is_flavor =
        h.bytes.be32(at + 24).is_some_and(|flavor| flavor < 10 || (390_000..400_000).contains(&flavor));
    let is_version = h.bytes.be32(at + 16).is_some_and(|version| version < 10);
    let is_reply = h.bytes.be32(at + 4) == Some(1)
        && matches!(h.bytes.be32(at + 8), Some(0 | 1))
        && h.on(&[111, 2049])
        && h.bytes.be32(at + 12).is_some_and(|flavor| flavor < 10);
    Tells::when(is_call && is_known && is_flavor && is_version || is_reply && h.bytes.len() >= at + 20)
}

/// The program that is called (IANA's registry of RPC program numbers).
fn program(h: Heard<'_>, app: &mut App, at: usize) {
    let number = |bytes: Bytes<'_>| bytes.be32(at + 12).filter(|_| bytes.be32(at + 4) == Some(0));
    match number(h.bytes).or_else(|| number(h.other())) {
        Some(100_000) => app.protocol = "portmap",
        Some(100_003) => app.protocol = "nfs",
        Some(100_005) => app.protocol = "mount",
        None if h.on(&[2049]) => app.protocol = "nfs",
        _ => {}
    }
}

fn ldap(h: Heard<'_>) -> Tells {
    // The sequence and the number may have long lengths; an operation's tag follows.
    let Some((_, at, len)) = h.bytes.ber(0) else { return Tells::No };
    let operation = h.bytes.ber(at).filter(|&(tag, _, len)| tag == 2 && (1..=4).contains(&len));
    let Some(tag) = operation.and_then(|(_, at, len)| h.bytes.u8(at + len)) else { return Tells::No };
    let is_operation = matches!(
        tag,
        0x42 | 0x4a | 0x50 | 0x60 | 0x61 | 0x63..=0x66 | 0x68 | 0x6c | 0x6e | 0x73 | 0x77 | 0x78
    );
    Tells::when(is_operation && len < 1 << 24)
}

fn kerberos(bytes: Bytes<'_>, at: usize) -> Tells {
    let sequence =
        bytes.ber(at).filter(|(tag, _, _)| KERBEROS.contains(tag)).and_then(|(_, at, _)| bytes.ber(at));
    let Some((0x30, at, _)) = sequence else { return Tells::No };
    Tells::when([&[0xa0, 3, 2, 1, 5], &[0xa1, 3, 2, 1, 5]].iter().any(|version| bytes.has(at, &version[..])))
}

fn radius(h: Heard<'_>) -> Tells {
    let Some(len) = h.bytes.be16(2).filter(|len| (20..=4096).contains(len)) else { return Tells::No };
    let is_on = h.on(&[1812, 1813, 1645, 1646, 3799]);
    if len != h.bytes.len() {
        // Its end was not captured, or is padding.
        return Tells::when(is_on && len > 20);
    }
    let mut at = 20;
    while let Some(size) = h.bytes.u8(at + 1).filter(|&size| size >= 2) {
        at += usize::from(size);
    }
    Tells::when(at == len && (is_on || len > 38))
}
