//! Databases, caches and their neighbours.

use super::{ANY, BOTH, Bytes, Heard, Port, Signature, TCP, Tells, UDP};

pub(super) const ALL: &[Signature] = &[
    // Redis' serialization protocol: a command is an array of bulk strings.
    Signature::new("redis", TCP, &[Port::Tcp(6379)], b"*", redis),
    // MongoDB's wire protocol: length, request, response, operation, all little-endian.
    Signature::new("mongodb", TCP, &[Port::Tcp(27017)], ANY, |h| {
        if !matches!(h.bytes.le32(12), Some(2001 | 2002 | 2004..=2007 | 2010..=2013)) {
            return Tells::No;
        }
        let is_length =
            h.bytes.le32(0).is_some_and(|len| (17..48_000_001).contains(&len) && len >= h.bytes.len());
        Tells::when(is_length)
    })
    .mark(3, b"\0\x01\x02")
    .at_least(16),
    // Kafka's protocol guide: a request's length, key, version, correlation, and its client's name.
    Signature::new("kafka", TCP, &[Port::Tcp(9092)], b"\0", kafka).at_least(14),
    // CQL binary protocol v3 to v5, section 2: OPTIONS or STARTUP, and what answers them.
    Signature::new("cassandra", TCP, &[Port::Tcp(9042)], b"\x03\x04\x05\x42\x83\x84\x85", |h| {
        let is_startup = h.bytes.u8(4) == Some(1) && h.bytes.contains(b"CQL_VERSION", 64);
        let is_options = h.bytes.u8(4) == Some(5) && h.bytes.len() == 9 && h.bytes.has(5, &[0; 4]);
        let is_supported = h.bytes.u8(4) == Some(6) && h.bytes.contains(b"CQL_VERSION", 256);
        Tells::when(is_startup || is_options && h.bytes.u8(1) == Some(0) || is_supported)
    }),
    // Memcached's `protocol.txt`, and the magic of its binary protocol.
    Signature::new("memcached", BOTH, &[Port::Tcp(11211), Port::Udp(11211)], b"gsavidctrqVSE\x80\x81", |h| {
        memcached(h, h.bytes)
    }),
    // Over UDP, eight bytes stand before each (request, sequence, count, 0).
    Signature::new("memcached", UDP, &[], b"\0", |h| match h.bytes.0.get(8..) {
        Some(text) if h.bytes.has(2, b"\0\0\0\x01\0\0") => memcached(h, Bytes(text)),
        _ => Tells::No,
    })
    .mark(5, b"\x01")
    .at_least(14),
    // ZooKeeper's ConnectRequest and ConnectResponse (`zookeeper.jute`): version 0, a password of 16 bytes.
    Signature::new("zookeeper", TCP, &[Port::Tcp(2181)], b"\0", |h| {
        let (len, is_first) = (h.bytes.be32(0), h.bytes.be32(4) == Some(0));
        let is_request = matches!(len, Some(44 | 45)) && h.bytes.be32(28) == Some(16);
        let is_response = matches!(len, Some(36 | 37)) && h.bytes.be32(20) == Some(16);
        Tells::when(is_first && (is_request || is_response))
    })
    .at_least(24)
    .then(b"\0"),
    // MS-TDS, sections 2.2.3.1 and 2.2.6.5: PRELOGIN, whose first option is the version.
    Signature::new("tds", TCP, &[Port::Tcp(1433)], b"\x12", |h| {
        let is_whole = h.bytes.be16(2) == Some(h.bytes.len());
        Tells::when(
            is_whole && h.bytes.has(0, b"\x12\x01") && h.bytes.has(4, b"\0\0") && h.bytes.u8(8) == Some(0),
        )
    }),
    // Oracle Net: a CONNECT packet with a description.
    Signature::new("tns", TCP, &[Port::Tcp(1521)], b"\0\x01\x02\x03", |h| {
        let is_connect = h.bytes.u8(4) == Some(1) && h.bytes.be16(2) == Some(0);
        Tells::when(
            is_connect && (h.bytes.contains(b"(DESCRIPTION", 512) || h.bytes.contains(b"(CONNECT_DATA", 512)),
        )
    })
    .at_least(17),
    // DRDA, volume 3: a DSS header's `D0`, and EXCSAT.
    Signature::new("drda", TCP, &[Port::Tcp(50000)], b"\0\x01\x02", |h| {
        Tells::when(h.bytes.u8(2) == Some(0xd0) && h.bytes.be16(8) == Some(0x1041))
    })
    .at_least(16),
    // Elasticsearch's transport (`TcpHeader`): `ES`, and a length.
    Signature::new("elasticsearch", TCP, &[Port::Tcp(9300)], b"E", |h| {
        let is_length = h.bytes.be32(2).is_some_and(|len| len < 1 << 24 && len + 6 >= h.bytes.len());
        match h.bytes.begin(b"ES") {
            Tells::Yes if h.bytes.len() < 6 => Tells::More,
            Tells::Yes => Tells::when(is_length),
            other => other,
        }
    }),
    // Hadoop's IPC: `hrpc`, and a version.
    Signature::new("hadoop", TCP, &[Port::Tcp(8020)], b"h", |h| h.bytes.begin(b"hrpc\x09")),
    // Couchbase and others speak memcached's binary protocol on ports of their own.
    Signature::new("couchbase", TCP, &[Port::Tcp(11210)], b"", |_| Tells::No),
];

fn redis(h: Heard<'_>) -> Tells {
    let number = |text: &str| text.parse::<u32>().is_ok();
    let Ok(text) = str::from_utf8(h.bytes.0.get(..64).unwrap_or(h.bytes.0)) else { return Tells::No };
    let mut lines = text.split("\r\n");
    let is_array = lines.next().and_then(|line| line.strip_prefix('*')).is_some_and(number);
    let is_string = lines.next().and_then(|line| line.strip_prefix('$'));
    match is_string {
        _ if !is_array => Tells::No,
        Some(len) if number(len) => Tells::Yes,
        None if text.len() < 16 => Tells::More,
        _ => Tells::No,
    }
}

fn kafka(h: Heard<'_>) -> Tells {
    let Some(len) = h.bytes.be32(0) else { return Tells::No };
    let is_length = (10..1 << 24).contains(&len) && len + 4 >= h.bytes.len();
    let is_key =
        h.bytes.be16(4).is_some_and(|key| key < 100) && h.bytes.be16(6).is_some_and(|version| version < 24);
    let is_client = match h.bytes.be16(12) {
        Some(0xffff) => h.on(&[9092]),
        Some(len) => {
            let name = h.bytes.0.get(14..).and_then(|rest| rest.get(..len));
            (1..256).contains(&len) && name.is_some_and(|name| name.iter().all(u8::is_ascii_graphic))
        }
        None => false,
    };
    Tells::when(is_length && is_key && is_client)
}

fn memcached(h: Heard<'_>, text: Bytes<'_>) -> Tells {
    if matches!(text.u8(0), Some(0x80 | 0x81)) {
        return Tells::when(h.on(&[11211, 11210]) && h.opening.is_tcp() && text.len() >= 24);
    }
    let Some(line) = text.line() else { return Tells::No };
    let words: Vec<_> = line.split(' ').take(6).collect();
    let number =
        |word: Option<&&str>| word.is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
    Tells::when(match words.first() {
        Some(&("set" | "add" | "replace" | "append" | "prepend" | "VALUE")) => {
            number(words.get(2)) && number(words.get(3))
        }
        Some(&("get" | "gets" | "delete" | "incr" | "decr")) => words.len() > 1 && h.on(&[11211]),
        Some(&("stats" | "version" | "STAT" | "flush_all" | "VERSION")) => h.on(&[11211]),
        _ => false,
    })
}
