//! What keeps hosts and networks running: addresses, time, routes, counters.

use super::{ANY, App, BOTH, Bytes, Heard, Port, Signature, TCP, Tells, UDP, span};
use crate::app::Value;

pub(super) const ALL: &[Signature] = &[
    // RFC 2131, section 2: operation, hardware, and the magic cookie of RFC 1497 behind 236 bytes.
    Signature::new("dhcp", UDP, &[Port::Udp(67), Port::Udp(68)], b"\x01\x02", |h| {
        let is_cookie = h.bytes.has(236, b"\x63\x82\x53\x63");
        let is_bootp = h.on(&[67, 68]) && h.bytes.has(1, b"\x01\x06") && h.bytes.len() >= 44;
        Tells::when(is_cookie && h.bytes.u8(2).is_some_and(|len| len <= 16) || is_bootp)
    })
    .with(dhcp_host),
    // RFC 8415, section 8: a type, a transaction, and options that fill the datagram.
    Signature::new("dhcpv6", UDP, &[Port::Udp(546), Port::Udp(547)], &span::<40>(1), |h| {
        let start = if matches!(h.bytes.u8(0), Some(12 | 13)) { 34 } else { 4 };
        Tells::when(h.bytes.be16(start + 2).is_some_and(|len| start + 4 + len <= h.bytes.len()))
    })
    .only_on(&[546, 547]),
    // RFC 5905, section 7.3: version 1 to 4, a mode, at least 48 bytes; RFC 9327 for mode 6.
    Signature::new("ntp", UDP, &[Port::Udp(123)], ANY, |h| {
        let first = h.bytes.u8(0).unwrap_or(0);
        let is_long = if first & 7 >= 6 { h.bytes.len() >= 8 } else { h.bytes.len() >= 48 };
        Tells::when(matches!(first >> 3 & 7, 1..=4) && first & 7 != 0 && is_long)
    })
    .only_on(&[123])
    .with(|h, app| app.set("ntp.version", Value::Number(u64::from(h.bytes.u8(0).unwrap_or(0) >> 3 & 7)))),
    // RFC 1157, section 4, and RFC 3412, section 6: a version, then a community or a header.
    Signature::new("snmp", BOTH, &[Port::Udp(161), Port::Udp(162)], b"\x30", snmp).with(snmp_version),
    // RFC 3954, section 5; RFC 7011, section 3.1; Cisco's versions before them.
    Signature::new("netflow", UDP, &[Port::Udp(2055), Port::Udp(9995), Port::Udp(9996)], b"\0", netflow)
        .then(b"\x01\x05\x07\x09\x0a"),
    Signature::new("ipfix", UDP, &[Port::Udp(4739)], b"\0", |h| {
        let is_whole = h.bytes.be16(0) == Some(10) && h.bytes.be16(2) == Some(h.bytes.len());
        Tells::when(is_whole && matches!(h.bytes.be16(16), Some(2 | 3 | 256..)))
    })
    .then(b"\x0a"),
    // sFlow version 5, section 5: version, type of the agent's address.
    Signature::new("sflow", UDP, &[Port::Udp(6343)], b"\0", |h| {
        let is_version = matches!(h.bytes.be32(0), Some(2 | 4 | 5)) && matches!(h.bytes.be32(4), Some(1 | 2));
        let samples = h.bytes.be32(if h.bytes.be32(4) == Some(1) { 24 } else { 36 });
        Tells::when(is_version && samples.is_some_and(|count| count < 256))
    })
    .at_least(28)
    .then(b"\0"),
    // RFC 6886, section 3: version 0, an operation, a length for each; RFC 6887, section 7: version 2.
    Signature::new("nat-pmp", UDP, &[Port::Udp(5351)], b"\0", |h| {
        let is_operation = matches!(
            (h.bytes.u8(1), h.bytes.len()),
            (Some(0), 2) | (Some(1 | 2 | 128), 12) | (Some(129 | 130), 16)
        );
        Tells::when(is_operation)
    })
    .only_on(&[5350, 5351]),
    Signature::new("pcp", UDP, &[], b"\x02", |h| Tells::when(h.bytes.len() >= 24 && h.bytes.len() % 4 == 0))
        .only_on(&[5350, 5351]),
    // RFC 4271, section 4.1: a marker of ones.
    Signature::new("bgp", TCP, &[Port::Tcp(179)], b"\xff", |h| {
        let is_header = h.bytes.has(0, &[0xff; 16]) && matches!(h.bytes.u8(18), Some(1..=5));
        if is_header { Tells::Yes } else { h.bytes.begin(&[0xff; 19]) }
    })
    .then(b"\xff"),
    // RFC 2453, section 4, and RFC 2080, section 2.1.
    Signature::new("rip", UDP, &[Port::Udp(520)], b"\x01\x02", |h| {
        Tells::when(matches!(h.bytes.u8(1), Some(1 | 2)) && h.bytes.len() % 20 == 4)
    })
    .only_on(&[520]),
    Signature::new("ripng", UDP, &[Port::Udp(521)], b"\x01\x02", |h| {
        Tells::when(h.bytes.u8(1) == Some(1) && h.bytes.len() % 20 == 4)
    })
    .only_on(&[521]),
    // RFC 5880, section 4.1, and RFC 5881, section 4: version 1, its own length.
    Signature::new("bfd", UDP, &[Port::Udp(3784), Port::Udp(4784)], &span::<32>(0x20), |h| {
        let is_length = h.bytes.u8(3).is_some_and(|len| len >= 24 && usize::from(len) <= h.bytes.len());
        Tells::when(is_length)
    })
    .only_on(&[3784, 3785, 4784]),
    // RFC 2281, section 5, and version 2's type and length.
    Signature::new("hsrp", UDP, &[Port::Udp(1985), Port::Udp(2029)], b"\0\x01", |h| {
        let is_first = h.bytes.u8(1).is_some_and(|operation| operation <= 3) && h.bytes.len() >= 20;
        Tells::when(is_first || h.bytes.has(0, b"\x01\x28"))
    })
    .only_on(&[1985, 2029]),
    Signature::new("glbp", UDP, &[Port::Udp(3222)], b"\x01", |h| Tells::when(h.bytes.len() >= 12))
        .only_on(&[3222]),
    // RFC 5036, section 3.5: version 1, a length.
    Signature::new("ldp", BOTH, &[Port::Udp(646), Port::Tcp(646)], b"\0", |h| {
        Tells::when(h.bytes.be16(0) == Some(1) && h.bytes.be16(2).is_some_and(|len| len + 4 <= h.bytes.len()))
    })
    .only_on(&[646]),
    // IEEE 1588-2008, section 13.3: version 2, a length.
    Signature::new("ptp", UDP, &[Port::Udp(319), Port::Udp(320)], &span::<16>(0), |h| {
        let is_version = h.bytes.u8(1).is_some_and(|version| matches!(version & 0x0f, 1 | 2));
        Tells::when(is_version && h.bytes.be16(2).is_some_and(|len| len <= h.bytes.len()))
    })
    .only_on(&[319, 320]),
    // RFC 9301, section 5.1: a type of control message, on the control port.
    Signature::new("lisp", BOTH, &[Port::Udp(4342), Port::Tcp(4342)], LISP, |h| {
        Tells::when(h.bytes.len() >= if h.opening.is_tcp() { 8 } else { 16 })
    })
    .only_on(&[4342]),
    // RFC 5415, sections 4.1 and 4.3: a preamble of version 0, on its ports.
    Signature::new("capwap", UDP, &[Port::Udp(5246), Port::Udp(5247)], b"\0\x01", |h| {
        Tells::when(h.bytes.len() >= 8)
    })
    .only_on(&[5246, 5247]),
    // RFC 5944, section 3.3.
    Signature::new("mobileip", UDP, &[Port::Udp(434)], b"\x01\x03", |h| Tells::when(h.bytes.len() >= 20))
        .only_on(&[434]),
    // OpenFlow 1.x, section 7.1: a hello of one of its versions.
    Signature::new("openflow", TCP, &[Port::Tcp(6653), Port::Tcp(6633)], b"\x01\x04\x05\x06", |h| {
        let is_hello =
            h.bytes.u8(1) == Some(0) && h.bytes.be16(2).is_some_and(|len| len >= 8 && len == h.bytes.len());
        Tells::when(is_hello && (h.on(&[6653, 6633]) || h.bytes.len() > 8 && h.bytes.has(8, b"\0\x01\0\x08")))
    }),
    // RFC 8175, section 12: its signal's magic over UDP; a session's first message type is 1 or 2.
    Signature::new("dlep", BOTH, &[Port::Udp(854), Port::Tcp(854)], b"D", |h| {
        Tells::when(h.bytes.has(0, b"DLEP"))
    })
    .then(b"L"),
    Signature::new("dlep", TCP, &[], b"\0", |h| {
        let is_length = h.bytes.be16(2).is_some_and(|len| len + 4 == h.bytes.len());
        Tells::when(matches!(h.bytes.be16(0), Some(1 | 2)) && is_length)
    })
    .only_on(&[854]),
    // Magic packets: six ones, then an address sixteen times.
    Signature::new("wol", UDP, &[], b"\xff", |h| {
        let address = h.bytes.0.get(6..12).unwrap_or(&[0; 6]);
        Tells::when(h.bytes.has(0, &[0xff; 6]) && h.bytes.has(12, address) && h.bytes.has(96, address))
    }),
    // Wireless access points' management: Ubiquiti's discovery, versions 1 and 2 on its port.
    Signature::new("ubntac2", UDP, &[Port::Udp(10001)], b"\x01\x02", |h| {
        Tells::when(h.bytes.be16(2).is_some_and(|len| len + 4 == h.bytes.len()))
    })
    .only_on(&[10001]),
    // MikroTik's neighbour discovery.
    Signature::new("mndp", UDP, &[Port::Udp(5678)], b"\0", |h| {
        Tells::when(h.bytes.len() == 4 || h.bytes.has(4, b"\0\x01\0\x06"))
    })
    .only_on(&[5678]),
    // collectd's binary protocol: a part of type 0 (host) with its length.
    Signature::new("collectd", UDP, &[Port::Udp(25826)], b"\0", |h| {
        let len = h.bytes.be16(2).filter(|&len| (6..64).contains(&len));
        let is_text = len.is_some_and(|len| h.bytes.u8(len - 1) == Some(0));
        Tells::when(h.bytes.be16(0) == Some(0) && is_text)
    })
    .only_on(&[25826]),
];

/// Nibbles of LISP's types 1 to 8, and the first byte of its types over TCP.
const LISP: &[u8] = &span::<144>(0);

/// The name that a client gives itself (RFC 2132, section 3.14).
fn dhcp_host(h: Heard<'_>, app: &mut App) {
    let mut options = h.bytes.0.get(240..).unwrap_or_default();
    while let [code, rest @ ..] = options {
        options = match (code, rest) {
            (0, rest) => rest,
            (255, _) => return,
            (code, [len, rest @ ..]) => {
                let Some((value, rest)) = rest.split_at_checked(usize::from(*len)) else { return };
                if *code == 12
                    && h.bytes.u8(0) == Some(1)
                    && let Ok(name) = str::from_utf8(value)
                {
                    app.set_text("dhcp.client.hostname", name.trim_end_matches('\0'));
                }
                rest
            }
            _ => return,
        };
    }
}

/// Where an SNMP message's version stands, and the version.
fn version(bytes: Bytes<'_>) -> Option<(u8, usize)> {
    let (_, at, _) = bytes.ber(0).filter(|&(tag, ..)| tag == 0x30)?;
    let (_, at, _) = bytes.ber(at).filter(|&(tag, _, len)| tag == 2 && len == 1)?;
    Some((bytes.u8(at)?, at + 1))
}

fn snmp(h: Heard<'_>) -> Tells {
    let Some((version, at)) = version(h.bytes) else { return Tells::No };
    Tells::when(match (version, h.bytes.ber(at)) {
        (0 | 1, Some((4, start, len))) => {
            h.bytes.u8(start + len).is_some_and(|tag| (0xa0..=0xa8).contains(&tag))
        }
        (3, Some((0x30, start, _))) => h.bytes.u8(start) == Some(2),
        _ => false,
    })
}

fn snmp_version(h: Heard<'_>, app: &mut App) {
    let version = match version(h.bytes) {
        Some((0, _)) => "1",
        Some((1, _)) => "2c",
        _ => "3",
    };
    app.set_text("snmp.version", version);
}

fn netflow(h: Heard<'_>) -> Tells {
    let (Some(version), Some(count)) = (h.bytes.be16(0), h.bytes.be16(2)) else { return Tells::No };
    let len = h.bytes.len();
    Tells::when(match version {
        1 => (1..=24).contains(&count) && len == 16 + 52 * count,
        5 => (1..=30).contains(&count) && len == 24 + 48 * count,
        7 => (1..=28).contains(&count) && len == 24 + 52 * count,
        // A set of templates, or of data by one, with its length.
        9 => {
            matches!(h.bytes.be16(20), Some(0 | 1 | 256..))
                && h.bytes.be16(22).is_some_and(|size| size >= 4 && size + 20 <= len)
        }
        10 => count == len && h.on(&[2055, 9995, 9996]),
        _ => false,
    })
}
