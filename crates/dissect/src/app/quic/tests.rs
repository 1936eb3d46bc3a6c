use super::*;
use crate::app::tls::build::{self, bytes};
use crate::app::{AppDissector, Opening, Reading, Said, Value};

/// The client's first packet of RFC 9001, appendix A.2, and of RFC 9369, appendix A.2.
const VECTORS: [&str; 2] = [include_str!("rfc9001.hex"), include_str!("rfc9369.hex")];
/// The server's first packet of RFC 9001, appendix A.3.
const SERVER: &str = "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb3\
    8cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d7\
    7d06edbb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee";
/// The server's retry of RFC 9001, appendix A.4.
const RETRY: &str = "ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba";

fn read_all(datagrams: &[Vec<u8>]) -> Told<Quic> {
    read(datagrams.iter().map(Vec::as_slice), Depth::All)
}

fn name(told: &Told<Quic>) -> Option<&str> {
    match told {
        Told::Is(quic) | Told::Partly(quic) => quic.client.as_ref()?.server_name.as_deref(),
        _ => None,
    }
}

/// A client's first packet in some version, from `source` to `destination`, protected for the connection `first`.
struct Initial<'a> {
    version: Version,
    destination: &'a [u8],
    source: &'a [u8],
    first: &'a [u8],
    token: &'a [u8],
    number: u32,
}

impl Default for Initial<'_> {
    fn default() -> Self {
        let destination = b"\x83\x94\xc8\xf0";
        Initial {
            version: Version::ONE,
            destination,
            source: b"me",
            first: destination,
            token: b"",
            number: 0,
        }
    }
}

impl Initial<'_> {
    fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let scheme = *self.version.schemes().last().unwrap();
        let flags = if scheme.second { 0xd0 } else { 0xc0 };
        let mut payload = payload.to_vec();
        payload.resize(payload.len().max(20), 0);
        let mut header = vec![flags];
        header.extend(self.version.0.to_be_bytes());
        for id in [self.destination, self.source, self.token] {
            header.push(id.len() as u8);
            header.extend(id);
        }
        header.extend((0x4000 | (1 + payload.len() + 16) as u16).to_be_bytes());
        header.push(self.number as u8);
        Keys::of(scheme, self.first).unwrap().seal(&header, self.number, &payload)
    }
}

fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    let varint = |n: usize| (0x4000 | n as u16).to_be_bytes();
    [&[6][..], &varint(offset), &varint(data.len()), data].concat()
}

fn hello(name: &str) -> Vec<u8> {
    build::Hello::asking_for(name).message()
}

#[test]
fn the_vectors_of_the_rfcs() {
    for (vector, version) in VECTORS.iter().zip(["1", "2"]) {
        let Told::Is(quic) = read_all(&[bytes(vector)]) else { panic!("version {version}") };
        assert_eq!(quic.version.unwrap().to_string(), version);
        let client = quic.client.unwrap();
        assert_eq!(client.server_name.as_deref(), Some("example.com"));
        assert_eq!(client.alpn.iter().map(|p| &**p).collect::<Vec<_>>(), ["alpn"]);
        assert!(client.ja4.unwrap().as_str().starts_with("q13d0211an_"));
    }
}

#[test]
fn a_packet_that_was_changed_is_not_read() {
    for at in [0, 20, 600, 1199] {
        let mut packet = bytes(VECTORS[0]);
        packet[at] ^= 1;
        assert_eq!(name(&read_all(&[packet])), None, "{at}");
    }
}

#[test]
fn what_servers_send_names_nobody() {
    let Told::Partly(server) = read_all(&[bytes(SERVER)]) else { panic!() };
    assert_eq!((server.version, &*server.source), (Some(Version::ONE), &bytes("f067a5502a4262b5")[..]));
    assert_eq!(server.client, None);
    let Told::Is(settled) = read_all(&[bytes(SERVER), bytes(SERVER), bytes(SERVER)]) else { panic!() };
    assert_eq!(settled, server);
    let Told::Partly(retry) = read_all(&[bytes(RETRY)]) else { panic!() };
    assert_eq!((retry.version, retry.client), (Some(Version::ONE), None));
    // RFC 9000, section 17.2.1.
    let offer = bytes("80 00000000 02 6d65 04 8394c8f0 00000001 6b3343cf");
    let Told::Partly(offered) = read_all(std::slice::from_ref(&offer)) else { panic!() };
    assert_eq!(offered.version, None);
    let chosen = |datagrams: &[Vec<u8>]| chosen(datagrams.iter().map(Vec::as_slice));
    assert_eq!(chosen(&[offer.clone(), bytes(RETRY)]), None);
    assert_eq!(chosen(&[offer, bytes(SERVER)]), Some(Version::ONE));
}

#[test]
fn the_clients_datagrams_may_hold_a_servers() {
    let datagrams = [bytes(SERVER), Initial::default().packet(&crypto(0, &hello("a.example")))];
    assert_eq!(name(&read_all(&datagrams)), Some("a.example"));
}

#[test]
fn every_version_is_read() {
    let numbers = (21..=34).map(|draft| 0xff00_0000 | draft);
    let google = [*b"T050", *b"T051"].map(u32::from_be_bytes);
    let others = [1, 0x6b33_43cf, 0x709a_50c4, 0xface_b002, 0x1a2a_3a4a];
    for version in numbers.chain(others).chain(google) {
        let mut frame = crypto(0, &hello("a.example"));
        if google.contains(&version) {
            assert_eq!(frame[0], 6);
            frame[0] = 8;
        }
        let version = Version(version);
        let packet = Initial { version, ..Initial::default() }.packet(&frame);
        let told = read_all(&[packet]);
        assert_eq!(name(&told), Some("a.example"), "{version}");
        assert!(matches!(told, Told::Is(quic) if quic.version == Some(version)));
    }
}

#[test]
fn connections_have_names_of_any_length() {
    for len in 0..=20 {
        let id = &[7; 20][..len];
        let initial = Initial { destination: id, source: id, first: id, ..Initial::default() };
        assert_eq!(
            name(&read_all(&[initial.packet(&crypto(0, &hello("a.example")))])),
            Some("a.example"),
            "{len}"
        );
    }
}

#[test]
fn pieces_come_in_any_order() {
    let hello = hello(&"pieces".repeat(9));
    let piece = |from: usize, to: usize| crypto(from, &hello[from..to]);
    let whole = hello.len();
    let ack = bytes("02 41f0 00 01 05 00 02 03 41f0 00 00 00 01 02 03");
    let last = [&[0, 0, 1][..], &ack, &piece(90, whole), &piece(10, 30)].concat();
    let first = [&piece(20, 70)[..], &[0; 5], &piece(0, 12)].concat();
    let [last, first, middle] = [(0, last), (1, first), (2, piece(60, 95))]
        .map(|(number, payload)| Initial { number, ..Initial::default() }.packet(&payload));
    // Three datagrams; or one with two packets, then another; or the same twice.
    assert!(matches!(read_all(&[last.clone(), first.clone()]), Told::Partly(_)));
    assert_eq!(name(&read_all(&[last.clone(), first.clone(), middle.clone()])), Some(&*"pieces".repeat(9)));
    let two = [first.clone(), last.clone()].concat();
    let Told::Is(quic) = read_all(&[two.clone(), two, middle]) else { panic!() };
    assert!(quic.client.unwrap().ja4.is_some());
}

/// As no client does: a byte a packet.
#[test]
fn a_hello_may_come_in_many_packets() {
    let hello = hello("tiny.example");
    let packet = |at: usize| {
        let number = (hello.len() - at) as u32;
        Initial { number, ..Initial::default() }.packet(&crypto(at, &hello[at..=at]))
    };
    let packets: Vec<_> = (0..hello.len()).map(packet).collect();
    let datagrams: Vec<Vec<u8>> = packets.chunks(9).map(<[_]>::concat).collect();
    assert!(matches!(read_all(&datagrams), Told::Is(_)));
    assert_eq!(name(&read_all(&datagrams)), Some("tiny.example"));
    let swapped: Vec<Vec<u8>> = packets.chunks(2).flat_map(|pair| pair.iter().rev().cloned()).collect();
    assert_eq!(name(&read_all(&swapped)), Some("tiny.example"));
}

#[test]
fn what_is_no_hello_is_refused_once() {
    let other = Initial::default().packet(&crypto(0, &[2, 0, 0, 1, 0]));
    let hello = Initial { number: 1, ..Initial::default() }.packet(&crypto(0, &hello("a.example")));
    assert_eq!(name(&read_all(&[other, hello])), None);
}

#[test]
fn a_name_is_known_before_the_hello_is_whole() {
    let mut long = build::Hello::asking_for("early.example");
    long.extensions.push((21, vec![0; 1500]));
    let message = long.message();
    let told = read_all(&[Initial::default().packet(&crypto(0, &message[..1000]))]);
    assert!(matches!(&told, Told::Partly(quic) if quic.client.as_ref().unwrap().ja4.is_none()));
    assert_eq!(name(&told), Some("early.example"));
}

#[test]
fn a_retry_changes_the_name_of_the_connection() {
    let message = hello("retry.example");
    let first = Initial::default().packet(&crypto(0, &message[..40]));
    let (first_half, second_half) = message.split_at(60);
    let again = |number, offset, data| {
        let initial = Initial {
            destination: b"server",
            first: b"server",
            token: b"token",
            number,
            ..Initial::default()
        };
        initial.packet(&crypto(offset, data))
    };
    let datagrams = [first, again(1, 0, first_half), again(2, 60, second_half)];
    assert_eq!(name(&read_all(&datagrams)), Some("retry.example"));
}

#[test]
fn later_packets_go_to_the_servers_name_with_the_first_keys() {
    let message = hello("later.example");
    let first = Initial::default().packet(&crypto(0, &message[..40]));
    let second = Initial { destination: b"server", number: 1, ..Initial::default() }
        .packet(&crypto(40, &message[40..]));
    assert_eq!(name(&read_all(&[first, second])), Some("later.example"));
}

#[test]
fn coalesced_packets_of_other_kinds_are_passed_over() {
    // A handshake packet of four bytes, then the first packet.
    let handshake = bytes("e0 00000001 04 8394c8f0 02 6d65 04 01020304");
    let initial = Initial::default().packet(&crypto(0, &hello("a.example")));
    assert_eq!(name(&read_all(&[[handshake, initial].concat()])), Some("a.example"));
}

#[test]
fn other_protocols_are_not_taken() {
    let others: [&[u8]; 6] = [
        b"GET / HTTP/1.1",
        &[0x80; 1200],
        &[0xc0; 1200],
        b"\x16\xfe\xff",
        b"\xc0\0\0\0\x01\x15012345678901234567890\0",
        b"\x80\0\0\0\0\x04abcd\x04efgh\x12\x34\x56\x78",
    ];
    for other in others {
        assert_eq!(read(std::iter::once(other), Depth::All), Told::NotMine, "{other:?}");
    }
    assert_eq!(read(std::iter::empty(), Depth::All), Told::NeedMore);
}

/// A hello of Google's: tags, where each value ends, then the values (all numbers little-endian).
fn chlo() -> Vec<u8> {
    let entries: [(&[u8; 4], &[u8]); 4] = [
        (b"PAD\0", &[b'-'; 9]),
        (b"SNI\0", b"g.example"),
        (b"VER\0", b"Q043"),
        (b"UAID", b"Chrome/70 Linux"),
    ];
    let mut message = [&b"CHLO"[..], &[entries.len() as u8, 0, 0, 0]].concat();
    let mut end = 0;
    for (tag, value) in entries {
        end += value.len() as u32;
        message.extend(tag);
        message.extend(end.to_le_bytes());
    }
    message.extend(entries.iter().flat_map(|(_, value)| *value));
    message
}

#[test]
fn googles_hello_in_clear_and_behind_protection() {
    let message = chlo();
    let len = message.len() as u16;
    // Flags (version, connection of eight bytes, packet number of one), then a stream frame with a length.
    let public = |version: &[u8; 4], private: &[u8], len: [u8; 2]| {
        [&b"\x09connecti"[..], version, &[1], &[0xee; 12], private, &[0xa0, 1], &len, &message].concat()
    };
    let long =
        [&b"\xc3Q046\x50connecti\0\0\0\x01"[..], &[0xee; 12], &[0xa0, 1], &len.to_be_bytes(), &message]
            .concat();
    let q050 = Initial { version: Version(u32::from_be_bytes(*b"Q050")), ..Initial::default() };
    let crypto = [&[8, 0][..], &(0x4000 | len).to_be_bytes(), &message].concat();
    let datagrams = [
        ("Q043", public(b"Q043", &[], len.to_be_bytes())),
        ("Q035", public(b"Q035", &[], len.to_le_bytes())),
        ("Q025", public(b"Q025", &[1], len.to_le_bytes())),
        ("Q046", long),
        ("Q050", q050.packet(&crypto)),
    ];
    for (version, datagram) in datagrams {
        let begins = Dissector.begins();
        assert!(begins.may_be(datagram[0]), "{version}");
        let Told::Is(quic) = read_all(&[datagram]) else { panic!("{version}") };
        assert_eq!(quic.version.unwrap().to_string(), version);
        assert_eq!(quic.client.unwrap().server_name.as_deref(), Some("g.example"));
        assert_eq!(quic.user_agent.as_deref(), Some("Chrome/70 Linux"));
    }
}

#[test]
fn a_flow_has_the_version_that_the_server_chose() {
    let first =
        Initial { version: Version::ONE, ..Initial::default() }.packet(&crypto(0, &hello("a.example")));
    let len = [first.len() as u32];
    let answer = bytes(SERVER);
    let mut other = answer.clone();
    other[..5].copy_from_slice(b"\xdf\x6b\x33\x43\xcf");
    let opening = |responder: Said<'_>| {
        let initiator = Said::datagrams_of(&first, &len);
        Dissector.dissect(&Opening {
            transport: 17,
            ports: [40000, 443],
            initiator,
            responder,
            ..Opening::default()
        })
    };
    let Reading::Partly(app) = opening(Said::default()) else { panic!() };
    assert_eq!(app.names.len(), 1);
    for (answer, version) in [(answer, "1"), (other, "2")] {
        let Reading::Is(app) = opening(Said::datagrams_of(&answer, &[answer.len() as u32])) else { panic!() };
        assert_eq!(app.get("quic.version"), Some(&Value::Text(version.into())));
    }
}
