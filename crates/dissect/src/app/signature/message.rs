//! Messaging: brokers, queues and messengers.

use super::{ANY, App, BOTH, Bytes, Heard, Port, Signature, TCP, Tells, UDP, span};

pub(super) const ALL: &[Signature] = &[
    // MQTT 3.1.1, section 3.1; MQTT 3.1: CONNECT with the protocol's name.
    Signature::new("mqtt", TCP, &[Port::Tcp(1883)], b"\x10", mqtt).with(mqtt_client),
    // AMQP 0-9-1, section 4.2.2; AMQP 1.0, section 2.2.
    Signature::new("amqp", TCP, &[Port::Tcp(5672)], b"A", |h| match h.bytes.begin(b"AMQP") {
        Tells::Yes => Tells::when(h.bytes.u8(4).is_none_or(|byte| byte <= 3)),
        other => other,
    }),
    // STOMP 1.2: a frame's command on a line of its own, then header fields.
    Signature::new("stomp", TCP, &[Port::Tcp(61613)], b"CS", |h| {
        Tells::when(h.bytes.begin_any(&[b"CONNECT\n", b"STOMP\n", b"CONNECTED\nversion:"]) == Tells::Yes)
    }),
    // NATS' client protocol: INFO with an object.
    Signature::new("nats", TCP, &[Port::Tcp(4222)], b"IC", |h| {
        Tells::when(h.bytes.begin_any(&[b"INFO {\"", b"CONNECT {\""]) == Tells::Yes)
    }),
    // ZMTP 3.1, section 3.1 (ZeroMQ RFC 23): the signature of a greeting.
    Signature::new("zmtp", TCP, &[], b"\xff", |h| {
        Tells::when(h.bytes.u8(9) == Some(0x7f) && h.bytes.has(1, &[0; 7]) && h.bytes.len() >= 10)
    }),
    // RFC 7252, section 3, and RFC 8323: version 1, a token of at most 8 bytes, a code of a known class.
    Signature::new("coap", UDP, &[Port::Udp(5683)], &span::<64>(0x40), coap).only_on(&[5683]),
    // MTProto transports (core.telegram.org/mtproto/mtproto-transports): abridged and intermediate.
    Signature::new("telegram", TCP, &[], b"\xef\xee\xdd", mtproto),
    // Telegram's calls, in its `tgvoip` library: behind a tag of 16 bytes, ones and a type to reflectors.
    Signature::new("telegram", UDP, &[], ANY, |h| Tells::when(h.bytes.has(16, &[0xff; 12]))).at_least(28),
    // WhatsApp: its stream header, `WA` and a version; `ED` with an edge routing before it.
    Signature::new("whatsapp", TCP, &[], b"WE", |h| {
        let is_header = h.bytes.has(0, b"WA") && h.bytes.u8(2).is_some_and(|major| (1..=9).contains(&major));
        let is_edge = h.bytes.has(0, b"ED\x00\x01") && h.bytes.len() > 8;
        Tells::when(is_header && h.bytes.u8(3).is_some_and(|minor| minor < 10) || is_edge)
    }),
    // SMPP 3.4, section 3.2: bind requests.
    Signature::new("smpp", TCP, &[Port::Tcp(2775)], b"\0", |h| {
        let is_bind = matches!(h.bytes.be32(4), Some(1 | 2 | 9)) && h.bytes.be32(8) == Some(0);
        Tells::when(is_bind && h.bytes.be32(0) == Some(h.bytes.len()) && h.bytes.len() > 23)
    })
    .at_least(24)
    .then(b"\0"),
    // Java's remote method invocation, section 10.2.1: magic and version.
    Signature::new("rmi", TCP, &[Port::Tcp(1099)], b"J", |h| h.bytes.begin(b"JRMI\0")),
    // CORBA 3.0, section 15.4.1.
    Signature::new("giop", TCP, &[], b"G", |h| h.bytes.begin(b"GIOP\x01")),
    // AJP 1.3: magic, length, forward request.
    Signature::new("ajp", TCP, &[Port::Tcp(8009)], b"\x12", |h| {
        let is_length = h.bytes.be16(2).is_some_and(|len| len + 4 == h.bytes.len());
        Tells::when(h.bytes.has(0, b"\x12\x34") && is_length)
    }),
    // Apache Thrift's strict binary protocol: version, message type, length of the method's name; with the length of all
    // before it, where messages are framed.
    Signature::new("thrift", TCP, &[], b"\x80", |h| thrift(h, 0)).then(b"\x01").at_least(9),
    Signature::new("thrift", TCP, &[], b"\0", |h| thrift(h, 4)).then(b"\0").mark(4, b"\x80").at_least(9),
    // Zabbix' header: `ZBXD`, flags.
    Signature::new("zabbix", TCP, &[Port::Tcp(10050), Port::Tcp(10051)], b"Z", |h| h.bytes.begin(b"ZBXD")),
    // Mumble's first message, `Version` (type 0), and its UDP ping of 12 bytes are told by the port.
    Signature::new("mumble", BOTH, &[Port::Tcp(64738), Port::Udp(64738)], b"", |_| Tells::No),
];

fn thrift(h: Heard<'_>, at: usize) -> Tells {
    let is_call = h.bytes.has(at, b"\x80\x01\x00") && matches!(h.bytes.u8(at + 3), Some(1..=4));
    let is_named = h.bytes.be32(at + 4).is_some_and(|len| {
        let name = h.bytes.0.get(at + 8..).and_then(|rest| rest.get(..len));
        (1..128).contains(&len) && name.is_some_and(|name| name.iter().all(u8::is_ascii_graphic))
    });
    Tells::when(is_call && is_named)
}

/// CONNECT's variable header: behind a remaining length of up to four bytes.
fn mqtt_body(bytes: Bytes<'_>) -> Option<usize> {
    let end = (1..=4).find(|&at| bytes.u8(at).is_some_and(|byte| byte & 0x80 == 0))?;
    Some(end + 1)
}

fn mqtt(h: Heard<'_>) -> Tells {
    let Some(at) = mqtt_body(h.bytes) else { return if h.bytes.len() < 3 { Tells::More } else { Tells::No } };
    Tells::when(h.bytes.has(at, b"\x00\x04MQTT") || h.bytes.has(at, b"\x00\x06MQIsdp"))
}

fn mqtt_client(h: Heard<'_>, app: &mut App) {
    let id = mqtt_body(h.bytes).and_then(|at| {
        let name = h.bytes.be16(at)?;
        let version = h.bytes.u8(at + 2 + name)?;
        // Behind flags and keep alive; version 5 has properties there.
        let mut at = at + 2 + name + 4;
        if version == 5 {
            at += 1 + usize::from(h.bytes.u8(at).filter(|len| len & 0x80 == 0)?);
        }
        let len = h.bytes.be16(at)?;
        let id = h.bytes.0.get(at + 2..)?.get(..len)?;
        str::from_utf8(id).ok().filter(|id| !id.is_empty() && id.len() < 256)
    });
    if let Some(id) = id {
        app.set_text("mqtt.client.id", id);
    }
}

fn coap(h: Heard<'_>) -> Tells {
    let (first, code) = (h.bytes.u8(0).unwrap_or(0), h.bytes.u8(1).unwrap_or(0xff));
    let is_header = first & 0x0f <= 8 && matches!(code, 0..=7 | 0x41..=0x5f | 0x80..=0x9f | 0xa0..=0xa5);
    Tells::when(is_header && h.bytes.len() >= 4)
}

fn mtproto(h: Heard<'_>) -> Tells {
    let (first, len) = (h.bytes.u8(0), h.bytes.len());
    let is_abridged = first == Some(0xef)
        && match h.bytes.u8(1) {
            None | Some(0x7f) => false,
            Some(words) => usize::from(words) * 4 + 2 == len,
        };
    let is_intermediate = h.bytes.has(0, &[0xee; 4]) || h.bytes.has(0, &[0xdd; 4]);
    // Then comes an unencrypted message, whose key identifier is 0.
    Tells::when(is_abridged && h.bytes.has(2, &[0; 8]) || is_intermediate && h.bytes.has(8, &[0; 8]))
}
