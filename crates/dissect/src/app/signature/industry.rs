//! Plants, buildings and vehicles.

use super::{ANY, BOTH, Heard, Port, Signature, TCP, Tells, UDP};

pub(super) const ALL: &[Signature] = &[
    // Modbus Messaging on TCP/IP, section 3.1: protocol 0, a length; on its port, since that is little.
    Signature::new("modbus", TCP, &[Port::Tcp(502)], ANY, |h| {
        let is_length =
            h.bytes.be16(4).is_some_and(|len| (2..=254).contains(&len) && len + 6 <= h.bytes.len());
        Tells::when(h.bytes.be16(2) == Some(0) && is_length)
    })
    .only_on(&[502]),
    // IEEE 1815, section 9.2.4.1: the start bytes, a length, a control byte.
    Signature::new("dnp3", BOTH, &[Port::Tcp(20000), Port::Udp(20000)], b"\x05", |h| {
        match h.bytes.begin(b"\x05\x64") {
            Tells::Yes => Tells::when(h.bytes.u8(2).is_some_and(|len| len >= 5) && h.bytes.len() >= 10),
            other => other,
        }
    }),
    // IEC 60870-5-104, section 5.1: a start byte, a length, one of three forms.
    Signature::new("iec104", TCP, &[Port::Tcp(2404)], b"\x68", |h| {
        let is_control = h.bytes.has(1, b"\x04")
            && h.bytes.has(3, &[0; 3])
            && matches!(h.bytes.u8(2), Some(0x07 | 0x0b | 0x13 | 0x23 | 0x43 | 0x83));
        let is_length = h.bytes.u8(1).is_some_and(|len| len >= 4 && usize::from(len) + 2 <= h.bytes.len());
        Tells::when(is_control && h.bytes.len() >= 6 || is_length && h.on(&[2404]))
    }),
    // ASHRAE 135, annex J.2: BACnet/IP, a function, a length; then version 1 of the network's layer.
    Signature::new("bacnet", UDP, &[Port::Udp(47808)], b"\x81", |h| {
        let is_function = h.bytes.u8(1).is_some_and(|function| function <= 0x0c);
        Tells::when(
            is_function
                && h.bytes.be16(2) == Some(h.bytes.len())
                && (h.on(&[47808]) || h.bytes.u8(4) == Some(1)),
        )
    }),
    // OPC 10000-6, section 7.1.2: a type of three letters, a chunk's letter, a length.
    Signature::new("opcua", TCP, &[Port::Tcp(4840)], b"HAOMER", |h| {
        let is_kind = [b"HELF", b"ACKF", b"OPNF", b"MSGF", b"MSGC", b"ERRF", b"RHEF"]
            .iter()
            .any(|kind| h.bytes.has(0, &kind[..]));
        Tells::when(
            is_kind && h.bytes.le32(4).is_some_and(|len| (8..1 << 24).contains(&len) && len >= h.bytes.len()),
        )
    }),
    // CIP, volume 2, section 2-3: a command, a length, no status; a session's registration is told anywhere.
    Signature::new(
        "enip",
        BOTH,
        &[Port::Tcp(44818), Port::Udp(44818), Port::Udp(2222)],
        b"\x04\x63\x64\x65\x66\x6f\x70\x72\x73\0\x02",
        |h| {
            let is_length = h.bytes.le16(2).is_some_and(|len| len + 24 == h.bytes.len());
            let is_data = h.on(&[2222]) && h.bytes.has(0, b"\x02\0\x02\x80");
            Tells::when(is_data || is_length && h.bytes.u8(1) == Some(0) && h.on(&[44818]))
        },
    )
    .only_on(&[2222, 44818]),
    Signature::new("enip", BOTH, &[], b"\x65", |h| {
        Tells::when(h.bytes.has(0, b"\x65\0\x04\0") && h.bytes.has(24, b"\x01\0\0\0"))
    })
    .then(b"\0")
    .at_least(28),
    // AUTOSAR's SOME/IP protocol, section 4.1.2: a length, version 1, a type and a code that exist.
    Signature::new("someip", BOTH, &[Port::Udp(30490)], ANY, someip).only_on(&[30490, 30491, 30501]),
    // The same anywhere: its discovery has a service and a method of its own.
    Signature::new("someip", BOTH, &[], b"\xff", |h| {
        if h.bytes.has(0, b"\xff\xff\x81\0") { someip(h) } else { Tells::No }
    })
    .then(b"\xff"),
    // ISO 13400-2, section 9.2: a version and its complement, a type, a length.
    Signature::new("doip", BOTH, &[Port::Tcp(13400), Port::Udp(13400)], b"\x01\x02\x03\xff", |h| {
        let (version, inverse) = (h.bytes.u8(0).unwrap_or(0), h.bytes.u8(1).unwrap_or(0));
        let is_kind = matches!(h.bytes.be16(2), Some(1..=8 | 0x4001..=0x4004 | 0x8001..=0x8003));
        Tells::when(
            version == !inverse && is_kind && h.bytes.be32(4).is_some_and(|len| len + 8 == h.bytes.len()),
        )
    }),
    // ISO 22510 (KNXnet/IP), section 2.3: a header of 6 bytes, version 1.0, a service, a length.
    Signature::new("knx", BOTH, &[Port::Udp(3671), Port::Tcp(3671)], b"\x06", |h| {
        let is_service = matches!(h.bytes.u8(2), Some(2 | 3 | 4 | 5 | 6 | 7 | 9));
        Tells::when(h.bytes.has(0, b"\x06\x10") && is_service && h.bytes.be16(4) == Some(h.bytes.len()))
    }),
    // HART-IP, FieldComm HCF_SPEC-085: version 1, a type, an identifier, a length.
    Signature::new("hart-ip", BOTH, &[Port::Tcp(5094), Port::Udp(5094)], b"\x01", |h| {
        let is_header = matches!(h.bytes.u8(1), Some(0..=2 | 15)) && matches!(h.bytes.u8(2), Some(0..=3));
        Tells::when(is_header && h.bytes.be16(6) == Some(h.bytes.len()))
    })
    .only_on(&[5094]),
    // Omron FINS over TCP: its magic.
    Signature::new("fins", TCP, &[Port::Tcp(9600)], b"F", |h| h.bytes.begin(b"FINS\0\0\0")),
    // Beckhoff AMS over TCP: two zeros, a length that holds a header.
    Signature::new("ams", TCP, &[Port::Tcp(48898)], b"\0", |h| {
        let is_length = h.bytes.le32(2).is_some_and(|len| len >= 32 && len + 6 == h.bytes.len());
        Tells::when(h.bytes.be16(0) == Some(0) && is_length)
    })
    .only_on(&[48898]),
    // EtherCAT over UDP, ETG.1000.4: a length and type 1 in the first two bytes.
    Signature::new("ethercat", UDP, &[Port::Udp(34980)], ANY, |h| {
        Tells::when(h.bytes.u8(1).is_some_and(|byte| byte >> 4 == 1))
    })
    .only_on(&[34980]),
];

fn someip(h: Heard<'_>) -> Tells {
    let is_type = matches!(
        h.bytes.u8(14),
        Some(0 | 1 | 2 | 0x20 | 0x21 | 0x22 | 0x40 | 0x41 | 0x42 | 0x80 | 0x81 | 0xa0 | 0xa1)
    );
    let is_code = h.bytes.u8(15).is_some_and(|code| code <= 0x1f);
    let is_length = h.bytes.be32(4).is_some_and(|len| len >= 8 && len + 8 <= h.bytes.len());
    Tells::when(h.bytes.u8(12) == Some(1) && is_type && is_code && is_length)
}
