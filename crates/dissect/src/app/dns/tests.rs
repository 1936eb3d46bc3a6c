//! What messages say, on real bytes and on any.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use simple_dns::rdata::{A, AAAA, CNAME, NS, PTR, RData, TXT};
use simple_dns::{CLASS, Name, Packet, QCLASS, QTYPE};

use super::wire::*;
use super::*;

use crate::Endpoint;
use crate::app::{MessageDissector, by_content, by_port};

const UDP: u8 = 17;

/// Query and answer for the type SPF, with EDNS (from the trace `dns-spf` of Zeek's tests).
const SPF: [&str; 2] = [
    "faa101200001000000000001046d61696c05766c616467036e65740000630001000029100000000000000 0",
    "faa181800001000200000001046d61696c05766c616467036e65740000630001c00c006300010000012c0014\
     13763d73706631206d78202d616c6c2074657374c00c006300010000012c000f0e763d73706631206d78202d61\
     6c6c00002905ac000000000000",
];
/// Answer with an alias and its address (from the capture `vxlan` of nDPI's tests).
const ALIAS: &str = "d02e81800001000200000000037777770866616365626f6f6b03636f6d0000010001\
    c00c0005000100000a51001109737461722d6d696e690463313072c010c02e000100010000001100049df0e023";
/// Answer with an IPv6 address (from the capture `nflog` of tcpdump's tests).
const SIX: &str = "ceda81800001000100000000076578616d706c6503636f6d00001c0001\
    c00c001c00010001231f0010260628000220006d26bf144710970aa7";
/// Inverse query and answer over TCP (from the trace `dns-inverse-query` of Zeek's tests).
const INVERSE: &str = "001b87ee09800000000100000000000001000100007a69000404030201\
    002a87ee89800001000100000000025b340133013202315d0000010001000001000100007a69000404030201";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn tuple(protocol: u8, src_port: u16, dst_port: u16) -> FiveTuple {
    let end = |port| Endpoint { addr: Ipv4Addr::LOCALHOST.into(), port };
    FiveTuple { src: end(src_port), dst: end(dst_port), protocol }
}

fn udp(bytes: &[u8]) -> Verdict<'_> {
    DNS.dissect(&tuple(UDP, 40000, 53), bytes)
}

fn tcp(bytes: &[u8]) -> Verdict<'_> {
    DNS.dissect(&tuple(TCP, 40000, 53), bytes)
}

fn is(verdict: Verdict<'_>) -> Message {
    match verdict {
        Verdict::Is { fact: Fact::Dns(outline), .. } => agreed(&outline),
        other => panic!("{other:?}"),
    }
}

/// The whole message, which the outline says the same of.
fn agreed(outline: &Outline<'_>) -> Message {
    let message = outline.message();
    let first = message.questions.first();
    assert_eq!(
        (outline.id(), outline.answer(), outline.response_code()),
        (message.id, message.answer, message.response_code)
    );
    assert_eq!(outline.asked().map(|asked| asked.kind), first.map(|question| question.kind));
    assert_eq!(outline.name(), first.map(|question| question.name.clone()).unwrap_or_default());
    let mut names = outline.names();
    let addresses: Vec<_> = outline.addresses().map(|a| (names.of(&a), a.addr)).collect();
    let address = |record: &Record| match record.value {
        Value::Address(addr) => Some((record.name.clone(), addr)),
        _ => None,
    };
    assert_eq!(addresses, message.answers.iter().filter_map(address).collect::<Vec<_>>());
    message
}

fn question(name: &str, kind: u16) -> Question {
    Question { name: name.into(), kind }
}

/// A query for `name`, as on the wire, of type A.
fn query(name: &[u8]) -> Vec<u8> {
    [b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0", name, b"\0\x01\0\x01"].concat()
}

fn asked(name: &[u8]) -> String {
    is(udp(&query(name))).questions.remove(0).name.to_string()
}

#[test]
fn reads_types_that_it_does_not_know() {
    let [asks, answers] = SPF.map(|hex| is(udp(&bytes(hex))));
    let expected =
        Message { id: 0xfaa1, questions: vec![question("mail.vladg.net", 99)], ..Message::default() };
    assert_eq!(asks, expected);
    let spf = Record { name: "mail.vladg.net".into(), kind: 99, ttl: 300, value: Value::Other };
    assert_eq!(answers, Message { answer: true, answers: vec![spf.clone(), spf], ..expected });
}

#[test]
fn reads_aliases_and_addresses() {
    let message = is(udp(&bytes(ALIAS)));
    assert_eq!(message.questions, [question("www.facebook.com", 1)]);
    let (star, www): (Arc<str>, Arc<str>) = ("star-mini.c10r.facebook.com".into(), "www.facebook.com".into());
    assert_eq!(
        message.answers,
        [
            Record { name: www, kind: 5, ttl: 2641, value: Value::Name(star.clone()) },
            Record { name: star, kind: 1, ttl: 17, value: Value::Address([157, 240, 224, 35].into()) },
        ]
    );
    let six = Value::Address("2606:2800:220:6d:26bf:1447:1097:aa7".parse().unwrap());
    let expected = Record { name: "example.com".into(), kind: 28, ttl: 74527, value: six };
    assert_eq!(is(udp(&bytes(SIX))).answers, [expected]);
}

#[test]
fn reads_one_message_after_another_from_a_stream() {
    let stream = bytes(INVERSE);
    let Verdict::Is { consumed: 29, fact: Fact::Dns(first) } = tcp(&stream) else { panic!() };
    let value = Value::Address([4, 3, 2, 1].into());
    let root = Record { name: "".into(), kind: 1, ttl: 31337, value };
    assert_eq!(first.message(), Message { id: 0x87ee, opcode: 1, answers: vec![root], ..Message::default() });
    assert_eq!(is(tcp(&stream[29..])).questions, [question("[4.3.2.1]", 1)]);
    for len in 0..29 {
        assert_eq!(tcp(&stream[..len]), Verdict::NeedMore);
    }
}

#[test]
fn leaves_streams_of_something_else() {
    assert_eq!(tcp(b"GET / HTTP/1.1\r\n"), Verdict::NotMine);
    assert_eq!(tcp(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0\0\0\0"), Verdict::NotMine);
    assert_eq!(tcp(b"\0\0"), Verdict::NotMine);
    assert_eq!(tcp(b"\0\x03abcd"), Verdict::NotMine);
}

#[test]
fn empty_messages_say_nothing() {
    let empty = |consumed| Verdict::Malformed { consumed, reason: "empty message" };
    assert_eq!(udp(&[0; 22]), empty(22));
    assert_eq!(is(udp(b"\x12\x34\x01\0\0\0\0\0\0\0\0\0")).id, 0x1234);
    assert_eq!(tcp(&[&[0, 22][..], &[0; 22]].concat()), empty(24));
    let refused = is(udp(b"\x12\x34\x80\x05\0\0\0\0\0\0\0\0"));
    assert_eq!((refused.answer, refused.response_code), (true, 5));
    assert_eq!(is(udp(b"\x12\x34\x30\0\0\0\0\0\0\0\0\0")).opcode, 6);
}

/// The example of RFC 1035, section 4.1.4.
#[test]
fn follows_pointers() {
    let mut message = [0; 93];
    message[20..32].copy_from_slice(b"\x01F\x03ISI\x04ARPA\0");
    message[40..46].copy_from_slice(b"\x03FOO\xc0\x14");
    message[64..66].copy_from_slice(b"\xc0\x1a");
    for (at, end, name) in
        [(20, 32, "F.ISI.ARPA"), (40, 46, "FOO.F.ISI.ARPA"), (64, 66, "ARPA"), (92, 93, "")]
    {
        let mut wire = Wire::new(&message);
        wire.at = at;
        assert_eq!(wire.name().as_deref(), Ok(name));
        assert_eq!(wire.at, end);
    }
}

/// What tshark 4.0 shows for each, but for the remarks' capitals.
#[test]
fn lays_out_odd_names() {
    assert_eq!(asked(b"\0"), "");
    assert_eq!(asked(b"\x03a.b\x02\\c\0"), "a.b.\\c");
    assert_eq!(asked(b"\x05\0\x07\n\x1b\x7f\0"), r"\000\a\n\033\177");
    assert_eq!(asked("\x08caf\u{e9}\u{200b}\0".as_bytes()), "caf\u{e9}\\u200B");
    assert_eq!(asked(b"\x02\xe9a\x03\xe2\x82b\0"), "\u{fffd}a.\u{fffd}b");
    assert_eq!(asked(b"\x42\0\x01\0\x01"), UNKNOWN_LABEL);
    assert_eq!(asked(b"\x01a\xc0\x0c"), LOOP);
    assert_eq!(asked(b"\xc0\x0c"), LOOP);
    assert_eq!(asked(b"\xc0\x12\0\x01\0\x01\x01z\0"), "z");
    // Two, three, … pointers that lead to each other.
    for count in 2..40 {
        let pointers = (0..count).flat_map(|n| [0xc0, 12 + (n + 1) % count * 2]);
        assert_eq!(asked(&pointers.collect::<Vec<_>>()), LOOP, "{count}");
    }
    // Pointers that lead far, and come to an end.
    let far: Vec<_> =
        (0..600_u16).flat_map(|n| (0xc000 | (14 + 2 * n)).to_be_bytes()).chain(*b"\x01z\0").collect();
    assert_eq!(asked(&far), "z");
    assert_eq!(asked(&[b"\x01a".repeat(127), vec![0]].concat()), ["a"; 127].join("."));
    assert_eq!(asked(&[b"\x01a".repeat(128), vec![0]].concat()), TOO_LONG);
    let cut = |reason| Verdict::Malformed { consumed: 20, reason };
    assert_eq!(udp(&query(b"\xc1\0zz")), cut(CUT));
    assert_eq!(udp(&query(b"\x81a\0z")), cut("unknown label type"));
}

#[test]
fn mdns_flags_are_not_part_of_anything_told() {
    let message = b"\0\0\x84\0\0\x01\0\x01\0\0\0\0\x01a\x05local\0\0\x01\x80\x01\
        \xc0\x0c\0\x01\x80\x01\0\0\0\x78\0\x04\xa9\xfe\x01\x02";
    let message = is(MDNS.dissect(&tuple(UDP, 5353, 5353), message));
    assert_eq!(message.questions, [question("a.local", 1)]);
    assert_eq!(message.answers[0].value, Value::Address([169, 254, 1, 2].into()));
}

#[test]
fn damage_behind_the_question_costs_only_what_it_hits() {
    let whole = bytes(ALIAS);
    for len in 0..whole.len() {
        match udp(&whole[..len]) {
            Verdict::Is { consumed, fact: Fact::Dns(message) } => {
                let message = agreed(&message);
                assert_eq!((consumed, message.questions.len()), (len, 1));
                assert_eq!(message.answers.len(), usize::from(len >= 63));
            }
            verdict => {
                assert!(len < 34 && matches!(verdict, Verdict::Malformed { .. }), "{len} {verdict:?}");
            }
        }
    }
    let mut more = whole.clone();
    more[9] = 200;
    assert_eq!(udp(&more), udp(&whole));
    assert_eq!(is(udp(&[whole.clone(), vec![1, 2, 3]].concat())), is(udp(&whole)));
}

#[test]
fn every_changed_byte_is_survived() {
    for hex in [SPF[0], SPF[1], ALIAS, SIX, INVERSE] {
        let mut message = bytes(hex);
        for at in 0..message.len() {
            let was = message[at];
            for byte in 0..=255 {
                message[at] = byte;
                for verdict in [udp(&message), tcp(&message)] {
                    if let Verdict::Is { consumed, .. } | Verdict::Malformed { consumed, .. } = verdict {
                        assert!(consumed > 0 && consumed <= message.len());
                    }
                }
            }
            message[at] = was;
        }
    }
}

/// 64 KiB of records, each with an expensive name that points into the first one's value, at more places than are kept at hand.
#[test]
fn work_is_linear_in_the_message() {
    let pointing_into = |value: &[u8], at: usize, places: usize| {
        let mut message = b"\0\0\x80\0\0\0\xff\xff\0\0\0\0\0\0\x10\0\x01\0\0\0\0".to_vec();
        message.extend((value.len() as u16).to_be_bytes());
        let first = message.len() + at;
        message.extend(value);
        for n in (0..places).cycle() {
            if message.len() >= 65_523 {
                break;
            }
            let [high, low] = ((0xc000 | (first + 2 * n)) as u16).to_be_bytes();
            message.extend([high, low, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0]);
        }
        message
    };
    let long = [b"\x01a".repeat(127), vec![0]].concat();
    let longer = [b"\x01a".repeat(4000), vec![0]].concat();
    let hops: Vec<u8> = (0..255).flat_map(|n: u16| (0xc019 + 2 * n).to_be_bytes()).chain([0]).collect();
    for (value, at) in [(&long[..], 0), (&longer, 0), (&longer, 7_746), (&hops, 0)] {
        let message = pointing_into(value, at, KNOWN + 1);
        let mut wire = Wire::new(&message);
        assert!(wire.steps <= 2048 + 8 * 65_535);
        let records = (0..u16::MAX).map_while(|_| wire.record().ok()).count();
        assert_eq!(wire.steps, 0, "the budget should end this, not {records} records");
        assert_eq!(is(udp(&message)).answers.len(), records);
    }
    // A loop is found where it closes.
    for value in [&b"\xc0\x17"[..], b"\x01a\xc0\x17"] {
        let message = pointing_into(value, 0, 1);
        let mut wire = Wire::new(&message);
        while wire.record().is_ok() {}
        assert_eq!(wire.at, message.len());
        assert!(wire.steps > 7 * 65_535);
    }
    // What a server sends never comes near it.
    for hex in [SPF[1], ALIAS, SIX] {
        let message = bytes(hex);
        let mut wire = Wire::new(&message);
        let budget = wire.steps;
        assert!(wire.question().is_ok() && wire.record().is_ok());
        assert!(budget - wire.steps < message.len() / 4);
    }
    let counted = b"\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff";
    assert!(matches!(udp(counted), Verdict::Malformed { .. }));
}

#[test]
fn speaks_on_its_ports() {
    let name = |protocol, src, dst| by_port(protocol, src, dst).map(MessageDissector::name);
    assert_eq!(name(UDP, 53, 40000), Some("dns"));
    assert_eq!(name(TCP, 40000, 53), Some("dns"));
    assert_eq!(name(TCP, 5353, 40000), Some("dns"));
    assert_eq!(name(UDP, 5353, 5353), Some("mdns"));
    assert_eq!(name(UDP, 40000, 5355), Some("llmnr"));
    assert_eq!(name(UDP, 137, 137), Some("nbns"));
}

#[test]
fn recognizes_itself_on_other_ports() {
    let found = |port, bytes: &[u8]| by_content(40000, port, bytes).map(MessageDissector::name);
    for hex in [SPF[0], SPF[1], ALIAS, SIX] {
        assert_eq!(found(5300, &bytes(hex)), Some("dns"));
        assert_eq!(found(137, &bytes(hex)), None);
    }
    let alias = bytes(ALIAS);
    assert_eq!(found(5300, &alias[..alias.len() - 1]), None);
    assert_eq!(found(5300, &[0; 22]), None);
    assert_eq!(found(5300, &query(b"\x81a\0")), None);
}

/// A record of simple-dns, and what is expected of it.
fn record() -> impl Strategy<Value = (Name<'static>, u32, RData<'static>)> {
    let value = prop_oneof![
        any::<u32>().prop_map(|address| RData::A(A { address })),
        any::<u128>().prop_map(|address| RData::AAAA(AAAA { address })),
        name().prop_map(|name| RData::CNAME(CNAME(name))),
        name().prop_map(|name| RData::NS(NS(name))),
        name().prop_map(|name| RData::PTR(PTR(name))),
        "[a-z]{1,20}".prop_map(|text| RData::TXT(TXT::new().with_string(&text).unwrap().into_owned())),
    ];
    (name(), any::<u32>(), value)
}

fn name() -> impl Strategy<Value = Name<'static>> {
    prop::collection::vec("[a-z][a-z0-9]{0,8}", 1..5)
        .prop_map(|labels| Name::new(&labels.join(".")).unwrap().into_owned())
}

fn expected(value: &RData<'_>) -> Value {
    match value {
        RData::A(a) => Value::Address(Ipv4Addr::from(a.address).into()),
        RData::AAAA(a) => Value::Address(Ipv6Addr::from(a.address).into()),
        RData::CNAME(CNAME(name)) | RData::NS(NS(name)) | RData::PTR(PTR(name)) => {
            Value::Name(name.to_string().into())
        }
        _ => Value::Other,
    }
}

proptest! {
    #[test]
    fn reads_what_another_library_writes(
        id: u16,
        asked in prop::collection::vec(name(), 1..3),
        records in prop::collection::vec(record(), 0..6),
        compressed: bool,
    ) {
        let mut packet = Packet::new_reply(id);
        for name in &asked {
            let any = simple_dns::Question::new(name.clone(), QTYPE::ANY, QCLASS::CLASS(CLASS::IN), true);
            packet.questions.push(any);
        }
        for (name, ttl, value) in &records {
            let one = simple_dns::ResourceRecord::new(name.clone(), CLASS::IN, *ttl, value.clone());
            packet.additional_records.push(one.clone());
            packet.answers.push(one.with_cache_flush(true));
        }
        let built = if compressed { packet.build_bytes_vec_compressed() } else { packet.build_bytes_vec() };
        let message = is(udp(&built.unwrap()));
        prop_assert_eq!(message.id, id);
        prop_assert!(message.answer);
        let names: Vec<_> = asked.iter().map(|name| question(&name.to_string(), 255)).collect();
        prop_assert_eq!(message.questions, names);
        let answers: Vec<_> = records
            .iter()
            .map(|(name, ttl, value)| Record {
                name: name.to_string().into(),
                kind: u16::from(value.type_code()),
                ttl: *ttl,
                value: expected(value),
            })
            .collect();
        prop_assert_eq!(message.answers, answers);
    }

    #[test]
    fn any_bytes_give_a_verdict(head in prop::collection::vec(0u8..4, 0..12), rest: Vec<u8>) {
        let bytes = [head, rest].concat();
        for verdict in [udp(&bytes), tcp(&bytes)] {
            match verdict {
                Verdict::Is { consumed, fact: Fact::Dns(outline) } => {
                    let message = agreed(&outline);
                    prop_assert!(consumed <= bytes.len());
                    prop_assert!(message.questions.len() * LEAST_QUESTION <= bytes.len());
                    prop_assert!(message.answers.len() * LEAST_RECORD <= bytes.len());
                }
                Verdict::Malformed { consumed, .. } => prop_assert!(consumed <= bytes.len()),
                _ => {}
            }
        }
        let _ = by_content(1, 2, &bytes);
    }
}
