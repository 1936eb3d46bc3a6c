//! Games.

use super::{BOTH, Heard, Port, Signature, TCP, Tells, UDP};

pub(super) const ALL: &[Signature] = &[
    // Valve's server queries: a header of ones, then a letter (developer.valvesoftware.com/wiki/Server_queries); Quake's
    // and its descendants' out-of-band words begin with the same.
    Signature::new("steam", UDP, &[Port::Udp(27015)], b"\xffV", |h| {
        let is_query = h.bytes.has(0, b"\xff\xff\xff\xffTSource Engine Query");
        let is_discovery = h.bytes.has(0, b"\xff\xff\xff\xff\x21\x4c\x5f\xa0");
        Tells::when(is_query || is_discovery || h.bytes.has(0, b"VS01"))
    }),
    Signature::new("quake", UDP, &[Port::Udp(27960)], b"\xff\x80", |h| {
        let words: [&[u8]; 6] =
            [b"getinfo", b"getstatus", b"getchallenge", b"getservers", b"infoResponse", b"statusResponse"];
        let is_word = h.bytes.has(0, &[0xff; 4]) && words.iter().any(|word| h.bytes.has(4, word));
        Tells::when(is_word || h.bytes.has(0, b"\x80\0\0") && h.bytes.contains(b"QUAKE\0", 16))
    }),
    // RakNet's offline messages: a magic of 16 bytes behind a type.
    Signature::new("raknet", UDP, &[Port::Udp(19132)], b"\x01\x05\x06\x07\x08\x1c", |h| {
        const MAGIC: &[u8] = b"\0\xff\xff\0\xfe\xfe\xfe\xfe\xfd\xfd\xfd\xfd\x12\x34\x56\x78";
        Tells::when([1, 9, 17].iter().any(|&at| h.bytes.has(at, MAGIC)))
    }),
    // Minecraft's handshake: a length, packet 0, a version, a host, a port, the next state (wiki.vg/Protocol).
    Signature::new("minecraft", TCP, &[Port::Tcp(25565)], &super::span::<60>(6), minecraft).then(b"\0"),
    // TeamSpeak 3: a first packet of its own.
    Signature::new("teamspeak", UDP, &[Port::Udp(9987)], b"T", |h| h.bytes.begin(b"TS3INIT1")),
    // Battle.net's authentication: its first message names the program and the platform.
    Signature::new("battle.net", TCP, &[Port::Tcp(1119), Port::Udp(1119), Port::Tcp(6112)], b"J\x01", |h| {
        Tells::when(h.bytes.has(0, b"J\0\0\x0a\x66\x02\x0a\xed\x2d\x66"))
    }),
    // Tencent's connection protocol (`tconnd`): magic 0x3366 and a version.
    Signature::new("tencent", TCP, &[], b"\x33", |h| {
        let is_header = h.bytes.has(0, b"\x33\x66\0") && h.bytes.has(4, b"\0");
        Tells::when(is_header && h.bytes.len() >= 21)
    }),
    // World of Warcraft's authentication: a challenge whose program is `WoW`, reversed or not.
    Signature::new("wow", TCP, &[Port::Tcp(3724)], b"\0\x08W", |h| {
        Tells::when(h.bytes.has(4, b"WoW\0") || h.bytes.has(0, b"WORLD OF WARCRAFT CONNECTION"))
    })
    .mark(4, b"WD")
    .at_least(8),
    // Discord's discovery of addresses: type 1 or 2, a length of 70.
    Signature::new("discord", UDP, &[], b"\0", |h| {
        let is_discovery = matches!(h.bytes.be16(0), Some(1 | 2)) && h.bytes.be16(2) == Some(70);
        Tells::when(is_discovery && h.bytes.len() == 74)
    })
    .then(b"\x01\x02"),
    // Xbox Live's port (IANA); what is said there is encrypted.
    Signature::new("xbox", BOTH, &[Port::Udp(3074), Port::Tcp(3074)], b"", |_| Tells::No),
];

fn minecraft(h: Heard<'_>) -> Tells {
    let (Some(len), Some(host)) = (h.bytes.u8(0).map(usize::from), h.bytes.0.get(2..)) else {
        return Tells::No;
    };
    // The version is a number of one or two bytes at present.
    let version = host.iter().take(5).position(|byte| byte & 0x80 == 0).map_or(5, |at| at + 1);
    let name = h.bytes.u8(2 + version).map_or(0, usize::from);
    let text = h.bytes.0.get(3 + version..).and_then(|rest| rest.get(..name)).unwrap_or_default();
    let is_text = !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() || *byte == 0);
    let is_state = matches!(h.bytes.u8(len), Some(1..=3)) && len == version + name + 5;
    Tells::when(h.bytes.u8(1) == Some(0) && is_text && is_state)
}
