//! Screens and shells of other hosts, and shared files.

use super::{App, BOTH, Bytes, Heard, Port, Signature, TCP, Tells, UDP};

pub(super) const ALL: &[Signature] = &[
    // MS-RDPBCGR, sections 2.2.1.1 and 2.2.1.2: an X.224 connection request in a TPKT, with a cookie or a negotiation.
    Signature::new("rdp", TCP, &[Port::Tcp(3389)], b"\x03", rdp),
    // RFC 6143, section 7.1.1.
    Signature::new("vnc", TCP, &[Port::Tcp(5900), Port::Tcp(5901)], b"R", |h| h.bytes.begin(b"RFB 00")),
    // X Window System protocol, section 8: byte order, then version 11.
    Signature::new("x11", TCP, &[Port::Tcp(6000)], b"lB", |h| {
        h.bytes.begin_any(&[b"l\0\x0b\0\0\0", b"B\0\0\x0b\0\0"])
    }),
    // SPICE protocol, section 2.1: the link message's magic.
    Signature::new("spice", TCP, &[Port::Tcp(5900)], b"R", |h| h.bytes.begin(b"REDQ\x02\0\0\0")),
    // Citrix ICA's first packet.
    Signature::new("ica", TCP, &[Port::Tcp(1494)], b"\x7f", |h| h.bytes.begin(b"\x7f\x7fICA\0")),
    // NoMachine's greetings of both ends.
    Signature::new("nomachine", TCP, &[Port::Tcp(4000)], b"N", |h| h.bytes.begin_any(&[b"NXSH-", b"NXD-"])),
    // TeamViewer's command packets.
    Signature::new("teamviewer", BOTH, &[Port::Tcp(5938), Port::Udp(5938)], b"\x17\x11\0", |h| {
        let is_command = h.bytes.has(0, b"\x17\x24") || h.bytes.has(0, b"\x11\x30");
        Tells::when(is_command || h.bytes.has(11, b"\x17\x24") && h.bytes.u8(0) == Some(0))
    })
    .only_on(&[5938]),
    // rlogind(8), RFC 1282, section 2: a zero, then three strings that end in zeros, the last one with a speed.
    Signature::new("rlogin", TCP, &[Port::Tcp(513)], b"\0", |h| {
        Tells::when(strings(h.bytes, 1) >= 3 || h.bytes.len() == 1)
    })
    .only_on(&[513]),
    // rshd(8): a port in digits, then names and the command. The server is on port 514.
    Signature::new("rsh", TCP, &[Port::Tcp(514)], b"0123456789\0", |h| {
        let digits = h.bytes.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        Tells::when(digits <= 5 && h.bytes.u8(digits) == Some(0))
    })
    .only_on(&[514]),
    // rexecd(8): the same on port 512.
    Signature::new("rexec", TCP, &[Port::Tcp(512)], b"0123456789\0", |h| {
        let digits = h.bytes.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        Tells::when(digits <= 5 && h.bytes.u8(digits) == Some(0))
    })
    .only_on(&[512]),
    // MS-SMB, section 2.2.3.1, and MS-SMB2, section 2.2.1, behind RFC 1002's four bytes.
    Signature::new("smb", TCP, &[Port::Tcp(445)], b"\0", |h| {
        let is_magic = matches!(h.bytes.u8(4), Some(0xfc..=0xff)) && h.bytes.has(5, b"SMB");
        match h.bytes.len() {
            0..8 if h.on(&[445, 139]) => Tells::More,
            _ => Tells::when(is_magic),
        }
    })
    .mark(4, b"\xfc\xfd\xfe\xff")
    .with(smb_dialect),
    // RFC 1002, section 4.3.2: a session request for two encoded names.
    Signature::new("nbss", TCP, &[Port::Tcp(139)], b"\x81\x82\x83", |h| {
        let is_request = h.bytes.has(0, b"\x81\0\0\x44\x20") && h.bytes.has(37, b"\0\x20");
        let is_answer = h.bytes.has(0, b"\x82\0\0\0") || h.bytes.has(0, b"\x83\0\0\x01");
        Tells::when(is_request || is_answer && h.on(&[139]))
    }),
    // Apple Filing Protocol's DSI header: request, a command, a length.
    Signature::new("afp", TCP, &[Port::Tcp(548)], b"\0\x01", |h| {
        let is_command = matches!(h.bytes.u8(1), Some(1..=8)) && h.bytes.has(12, &[0; 4]);
        Tells::when(is_command && h.bytes.be32(8).is_some_and(|len| len + 16 >= h.bytes.len()))
    })
    .only_on(&[548]),
    // RFC 7143, section 11.12: a login request whose text names the initiator.
    Signature::new("iscsi", TCP, &[Port::Tcp(3260)], b"\x43\x03\x23", |h| {
        Tells::when(
            h.bytes.len() >= 48 && h.bytes.contains(b"InitiatorName=", 256)
                || h.on(&[3260]) && h.bytes.len() >= 48,
        )
    }),
    // RFC 1350, section 5, and RFC 2347: a request with a name and a mode.
    Signature::new("tftp", UDP, &[Port::Udp(69)], b"\0", |h| {
        let is_request = matches!(h.bytes.be16(0), Some(1 | 2));
        let mode = h.bytes.0.get(2..).unwrap_or_default().split(|&byte| byte == 0).nth(1).unwrap_or_default();
        let is_mode =
            [&b"octet"[..], b"netascii", b"mail"].iter().any(|known| mode.eq_ignore_ascii_case(known));
        Tells::when(is_request && is_mode)
    })
    .then(b"\x01\x02"),
    // Internet Printing Protocol is HTTP; RFC 1179, section 5: a command and a queue's name.
    Signature::new("lpd", TCP, &[Port::Tcp(515)], b"\x01\x02\x03\x04\x05", |h| {
        let name = h.bytes.0.get(1..).and_then(|rest| rest.strip_suffix(b"\n"));
        Tells::when(name.is_some_and(|name| name.iter().all(|&b| b == b' ' || b.is_ascii_graphic())))
    })
    .only_on(&[515]),
];

fn rdp(h: Heard<'_>) -> Tells {
    let is_length = h.bytes.be16(2).is_some_and(|len| len >= h.bytes.len() && len < 4096);
    if !h.bytes.has(0, b"\x03\0") || !is_length {
        return if h.bytes.len() < 6 && b"\x03\0".starts_with(h.bytes.0) { Tells::More } else { Tells::No };
    }
    let negotiates = h.bytes.len() >= 19
        && h.bytes.has(h.bytes.len() - 8, b"\x01")
        && h.bytes.has(h.bytes.len() - 6, b"\x08\0");
    let is_request = h.bytes.u8(5) == Some(0xe0) && (h.bytes.contains(b"Cookie: ", 64) || negotiates);
    let is_answer =
        h.bytes.u8(5) == Some(0xd0) && h.bytes.len() == 19 && matches!(h.bytes.u8(11), Some(2 | 3));
    Tells::when(is_request || is_answer || matches!(h.bytes.u8(5), Some(0xe0 | 0xd0)) && h.on(&[3389]))
}

/// Strings that end in zeros, from `at` on.
fn strings(bytes: Bytes<'_>, at: usize) -> usize {
    let rest = bytes.0.get(at..).unwrap_or_default();
    let is_text = rest.iter().all(|&byte| byte == 0 || byte == b' ' || byte.is_ascii_graphic());
    if is_text { rest.split(|&byte| byte == 0).count() - 1 } else { 0 }
}

/// The dialect that a server chose (MS-SMB2, section 2.2.4), else the protocol's generation.
fn smb_dialect(h: Heard<'_>, app: &mut App) {
    let chosen = [h.bytes, h.other()].into_iter().find_map(|bytes| {
        // Negotiate is command 0; a response has flag 1 and a structure of 65 bytes.
        let is_response = bytes.u8(4) == Some(0xfe) && bytes.le16(16) == Some(0) && bytes.u8(20)? & 1 != 0;
        bytes.le16(72).filter(|_| is_response && bytes.le16(68) == Some(65))
    });
    app.set_text(
        "smb.dialect",
        match (chosen, h.bytes.u8(4)) {
            (Some(0x0202), _) => "2.0.2",
            (Some(0x0210), _) => "2.1",
            (Some(0x0300), _) => "3.0",
            (Some(0x0302), _) => "3.0.2",
            (Some(0x0311), _) => "3.1.1",
            (_, Some(0xff)) => "1",
            _ => "2 or later",
        },
    );
}
