//! Peers among themselves.

use super::{ANY, BOTH, Bytes, Heard, Port, Signature, TCP, Tells, UDP};

pub(super) const ALL: &[Signature] = &[
    // BEP 3: a handshake begins with the length of the protocol's name, and the name.
    Signature::new("bittorrent", TCP, &[Port::Tcp(6881)], b"\x13", |h| {
        h.bytes.begin(b"\x13BitTorrent protocol")
    }),
    // BEP 15: a tracker is asked for a connection, with its magic.
    Signature::new("bittorrent", UDP, &[], b"\0", |h| {
        let is_magic = h.bytes.has(0, b"\0\0\x04\x17\x27\x10\x19\x80");
        Tells::when(is_magic && h.bytes.len() == 16 && h.bytes.be32(8) == Some(0))
    })
    .then(b"\0")
    .mark(2, b"\x04")
    .at_least(8),
    // BEP 5 (a dictionary with its keys in order), BEP 29 (uTP).
    Signature::new("bittorrent", UDP, &[Port::Udp(6881)], b"d\x01\x11\x21\x31\x41", bittorrent)
        .then(b"\0\x01\x0212")
        .at_least(8),
    // Gnutella 0.6.
    Signature::new("gnutella", TCP, &[Port::Tcp(6346)], b"G", |h| {
        h.bytes.begin_any(&[b"GNUTELLA CONNECT/", b"GNUTELLA/0."])
    }),
    // eDonkey and eMule: a marker, a length, HELLO or its answer.
    Signature::new("edonkey", TCP, &[Port::Tcp(4662)], b"\xe3\xc5", |h| {
        let is_length = h.bytes.le32(1).is_some_and(|len| len + 5 == h.bytes.len());
        Tells::when(is_length && matches!(h.bytes.u8(5), Some(1 | 0x4c)) && h.bytes.len() > 20)
    }),
    // Bitcoin's message header: a network's magic, a command of letters and zeros.
    Signature::new("bitcoin", TCP, &[Port::Tcp(8333)], b"\xf9\xfa\x0b", |h| {
        let is_magic = [b"\xf9\xbe\xb4\xd9", b"\xfa\xbf\xb5\xda", b"\x0b\x11\x09\x07"]
            .iter()
            .any(|magic| h.bytes.has(0, &magic[..]));
        Tells::when(
            is_magic
                && (h.bytes.has(4, b"version\0") || h.bytes.has(4, b"verack\0") || h.bytes.u8(15) == Some(0)),
        )
    }),
    // Ethereum's discovery, version 4: a hash, a signature, a type, a list (devp2p, `discv4.md`).
    Signature::new("ethereum", UDP, &[Port::Udp(30303), Port::Tcp(30303)], ANY, |h| {
        let is_packet =
            matches!(h.bytes.u8(97), Some(1..=6)) && h.bytes.u8(98).is_some_and(|byte| byte >= 0xc0);
        Tells::when(is_packet && matches!(h.bytes.u8(96), Some(0 | 1)))
    })
    .only_on(&[30301, 30303, 30304]),
    // Stratum: JSON-RPC whose methods are of mining.
    Signature::new("stratum", TCP, &[Port::Tcp(3333)], b"{", |h| {
        let words: [&[u8]; 5] = [
            b"\"mining.",
            b"\"eth_submitLogin\"",
            b"\"eth_getWork\"",
            b"\"eth_login\"",
            b"\"jsonrpc\":\"2.0\",\"method\":\"login\"",
        ];
        Tells::when(words.iter().any(|word| h.bytes.contains(word, 512)))
    }),
    // multistream-select 1.0, as libp2p begins.
    Signature::new("libp2p", TCP, &[Port::Tcp(4001)], b"\x13", |h| {
        h.bytes.begin(b"\x13/multistream/1.0.0\n")
    }),
    // Syncthing's local discovery, version 4: its magic.
    Signature::new("syncthing", UDP, &[Port::Udp(21027)], b"\x2e", |h| h.bytes.begin(b"\x2e\xa7\xd9\x0b")),
    // Dropbox' discovery in a local network: JSON with the host's number.
    Signature::new("dropbox", UDP, &[Port::Udp(17500)], b"{", |h| {
        Tells::when(h.bytes.contains(b"\"host_int\"", 128))
    }),
    // Spotify's discovery in a local network.
    Signature::new("spotify", BOTH, &[Port::Udp(57621)], b"S", |h| h.bytes.begin(b"SpotUdp")),
    Signature::new("spotify", TCP, &[], b"\0", |h| {
        Tells::when(h.bytes.has(0, b"\0\x04\0\0") && h.bytes.has(6, b"\x52\x0e\x50"))
    })
    .only_on(&[4070]),
    // Zoom's media: a hello and its answer with the same number, and what keeps the way open.
    Signature::new("zoom", UDP, &[Port::Udp(8801)], b"\x01\x02\x05", |h| {
        let is_hello = h.bytes.has(0, b"\x01\0\x02") || h.bytes.has(0, b"\x02\0\x01");
        Tells::when(is_hello || h.bytes.has(0, b"\x05"))
    })
    .only_on(&[8801]),
];

fn bittorrent(h: Heard<'_>) -> Tells {
    let bytes = h.bytes;
    if bytes.u8(0) == Some(b'd') {
        let keys: [&[u8]; 5] = [b"d1:ad2:id20:", b"d1:rd2:id20:", b"d2:ip6:", b"d1:eli20", b"d1:v4:"];
        return Tells::when(keys.iter().any(|key| bytes.has(0, key)));
    }
    if !is_utp(bytes) {
        return Tells::No;
    }
    // A SYN has sequence number 1, no window behind it and no bytes.
    let is_syn = bytes.u8(0) == Some(0x41) && bytes.be16(16) == Some(1) && bytes.be16(18) == Some(0);
    let other = h.other();
    let is_answered = is_utp(other) && {
        let (a, b) = (bytes.be16(2).unwrap_or(0), other.be16(2).unwrap_or(0));
        a.abs_diff(b) <= 1 || a.abs_diff(b) == 0xffff
    };
    match h.on(&[6881, 6882, 6883, 6889]) || is_syn && bytes.len() < 64 || is_answered {
        true => Tells::Yes,
        false if other.len() == 0 => Tells::More,
        false => Tells::No,
    }
}

/// The header of BEP 29: a type up to 4, version 1, an extension up to 2; 20 bytes, without a payload but for type 0.
fn is_utp(bytes: Bytes<'_>) -> bool {
    let (Some(first), Some(extension)) = (bytes.u8(0), bytes.u8(1)) else { return false };
    let is_bare = bytes.len() == 20 || extension != 0 && bytes.len() < 64;
    first & 0x0f == 1 && first >> 4 <= 4 && extension <= 2 && (is_bare || first >> 4 == 0 && bytes.len() > 20)
}
