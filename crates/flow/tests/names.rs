//! Names in what is cut, put together, passed on or goes over several addresses.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod capture;

use std::net::{IpAddr, Ipv6Addr};

use capture::{ALICE, BOB, Capture, End, SITE};
use flow::{Event, NamedBy, Snapshot};

const CLIENT: End = (ALICE, 5000);
const SERVER: End = (SITE, 80);

fn names(events: &[Event]) -> Vec<String> {
    let name = |event: &Event| match event {
        Event::Name(name) => Some(name.name.to_string()),
        _ => None,
    };
    events.iter().filter_map(name).collect()
}

/// A request (RFC 9112, section 3) with a field of so many bytes before its host.
fn request(host: &str, field: usize) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nX: {}\r\nHost: {host}\r\n\r\n", "x".repeat(field)).into_bytes()
}

/// Requests behind each other, sent in segments of `size` bytes.
fn sent_in(size: usize, requests: &[Vec<u8>]) -> Vec<String> {
    let mut capture = Capture::default();
    capture.connect(0, CLIENT, SERVER);
    let bytes = requests.concat();
    let mut seq = 100;
    for (n, segment) in bytes.chunks(size).enumerate() {
        capture.tcp(10 + n as i64, CLIENT, SERVER, seq, 0x10, segment);
        seq += segment.len() as u32;
    }
    capture.tcp(90_000, SERVER, CLIENT, 100, 0x18, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    names(&capture.run().1)
}

#[test]
fn every_request_of_a_long_pipeline_is_heard() {
    let hosts: Vec<_> = (0..200).map(|n| format!("h{n}.example")).collect();
    for field in [0, 300, 2000] {
        let requests: Vec<_> = hosts.iter().map(|host| request(host, field)).collect();
        for size in [53, 1000, 1460, 40_000] {
            let heard = sent_in(size, &requests);
            assert!(
                heard == hosts,
                "fields of {field}, segments of {size} bytes: {} {:?}",
                heard.len(),
                heard.iter().zip(&hosts).find(|(heard, said)| heard != said)
            );
        }
    }
    let bodies = (0..60).map(|n| {
        let body = "G".repeat(n * 40);
        format!("POST / HTTP/1.1\r\nHost: h{n}.example\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .into_bytes()
    });
    assert_eq!(sent_in(1460, &bodies.collect::<Vec<_>>()), hosts[..60]);
}

/// However little comes at a time, and whenever the capture ends.
#[test]
fn a_name_that_the_capture_ends_behind_is_heard() {
    for (field, size) in [(0, 1), (40, 1), (90, 1), (200, 3), (1000, 2), (5000, 30), (9000, 7)] {
        let mut capture = Capture::default();
        capture.connect(0, CLIENT, SERVER);
        let mut seq = 100;
        for (n, segment) in request("last.example", field).chunks(size).enumerate() {
            capture.tcp(10 + n as i64, CLIENT, SERVER, seq, 0x10, segment);
            seq += segment.len() as u32;
        }
        assert_eq!(names(&capture.run().1), ["last.example"], "a field of {field} bytes, {size} at a time");
    }
}

/// The proxy's line stands before them (PROXY protocol, version 1), and makes room with them.
#[test]
fn every_request_that_a_proxy_passes_on_is_heard() {
    let hosts: Vec<_> = (0..100).map(|n| format!("h{n}.example")).collect();
    let line = b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\n".to_vec();
    let requests = hosts.iter().map(|host| request(host, 700));
    let all: Vec<_> = std::iter::once(line).chain(requests).collect();
    for size in [500, 1460, 20_000, 40_000] {
        assert_eq!(sent_in(size, &all), hosts, "segments of {size} bytes");
    }
}

/// So much of each packet is captured: its headers, and the beginning of a request.
const SNAPLEN: usize = 40 + 160;

#[test]
fn requests_behind_one_that_is_cut_are_heard() {
    // What comes first: a target, a field and a body that are cut; none of it tells where it ends.
    let target = format!("GET /{} HTTP/1.1\r\nHost: cut.example\r\n\r\n", "x".repeat(300)).into_bytes();
    let field = request("cut.example", 300);
    let chunked = b"POST / HTTP/1.1\r\nHost: h.example\r\nTransfer-Encoding: chunked\r\n\r\n300\r\n";
    let body = [chunked.to_vec(), vec![b'x'; 0x300], b"\r\n0\r\n\r\n".to_vec()].concat();
    let cases = [
        (target, &["a.example", "b.example"][..]),
        (field, &["a.example", "b.example"]),
        (body, &["h.example", "a.example", "b.example"]),
    ];
    for (first, expected) in cases {
        let mut capture = Capture::default();
        capture.connect(0, CLIENT, SERVER);
        let mut seq = 100;
        for (n, segment) in [first, request("a.example", 0), request("b.example", 0)].iter().enumerate() {
            capture.tcp(10 + n as i64, CLIENT, SERVER, seq, 0x18, segment);
            seq += segment.len() as u32;
        }
        let (snapshot, events) = capture.run_cut(SNAPLEN);
        assert_eq!(names(&events), expected);
        assert_eq!(snapshot.rows[0].app_protocol().map(|(protocol, _)| protocol), Some("http"));
    }
}

#[test]
fn requests_behind_one_that_is_missing_are_heard() {
    let mut capture = Capture::default();
    capture.connect(0, CLIENT, SERVER);
    let mut seq = 100 + 9000;
    for n in 0..40 {
        let request = request(&format!("h{n}.example"), 900);
        capture.tcp(10 + n, CLIENT, SERVER, seq, 0x18, &request);
        seq += request.len() as u32;
    }
    let (_, events) = capture.run();
    let heard = names(&events);
    // What waits for the hole to be filled is let go once it is too much.
    assert!(heard.len() > 20 && heard.last().is_some_and(|last| last == "h39.example"), "{heard:?}");
}

#[test]
fn nothing_is_asked_for_behind_a_switch() {
    let mut capture = Capture::default();
    capture.connect(0, CLIENT, SERVER);
    let (first, second) = (request("chat.example", 0), request("said.example", 0));
    capture.tcp(10, CLIENT, SERVER, 100, 0x18, &first);
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    capture.tcp(20, SERVER, CLIENT, 100, 0x18, switch);
    capture.tcp(30, CLIENT, SERVER, 100 + first.len() as u32, 0x18, &second);
    assert_eq!(names(&capture.run().1), ["chat.example"]);
}

/// A segment in fragments (RFC 791, section 3.2) of `size` bytes, in the order that `turn` gives them.
fn in_fragments(size: usize, id: u16, seq: u32, payload: &[u8], turn: fn(&mut Vec<Vec<u8>>)) -> Capture {
    let mut whole = Capture::default();
    whole.tcp(0, CLIENT, SERVER, seq, 0x18, payload);
    let packet = &whole.0[0].1;
    let (header, rest) = packet.split_at(20);
    let count = rest.len().div_ceil(size);
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    for (n, piece) in rest.chunks(size).enumerate() {
        let mut bytes = header.to_vec();
        bytes[2..4].copy_from_slice(&(20 + piece.len() as u16).to_be_bytes());
        bytes[4..6].copy_from_slice(&id.to_be_bytes());
        let more = if n + 1 < count { 0x2000 } else { 0 };
        bytes[6..8].copy_from_slice(&(more | (n * size / 8) as u16).to_be_bytes());
        bytes.extend(piece);
        pieces.push(bytes);
    }
    turn(&mut pieces);
    Capture(pieces.into_iter().zip(1..).map(|(bytes, at)| (at * 1_000_000, bytes)).collect())
}

#[test]
fn a_host_in_a_later_fragment_is_heard() {
    let orders: [fn(&mut Vec<Vec<u8>>); 3] = [|_| {}, |pieces| pieces.reverse(), |pieces| pieces.swap(0, 1)];
    for (turn, size) in orders.into_iter().flat_map(|turn| [24, 400, 800].map(|size| (turn, size))) {
        let first = request("late.example", 900);
        let mut capture = in_fragments(size, 7, 100, &first, turn);
        let (seq, count) = (100 + first.len() as u32, capture.0.len() as u64);
        capture.tcp(500, CLIENT, SERVER, seq, 0x18, &request("next.example", 0));
        let (snapshot, events) = capture.run();
        assert_eq!(names(&events), ["late.example", "next.example"], "pieces of {size} bytes");
        let packets: u64 = snapshot.rows.iter().map(|row| row.sent.packets).sum();
        assert_eq!(packets, count + 1, "each piece is counted once");
    }
    // What the first one says is heard also where the others are not captured.
    let mut cut = in_fragments(400, 7, 100, &request("early.example", 0).repeat(9), |_| {});
    cut.0.truncate(1);
    assert_eq!(names(&cut.run().1), ["early.example"]);
}

/// Of two segments with one identification, all but the first piece of the first one is lost.
#[test]
fn a_host_in_pieces_is_heard_although_others_were_lost() {
    let mut capture = in_fragments(400, 7, 100, &request("lost.example", 900), |pieces| pieces.truncate(1));
    capture.0[0].1[20..22].copy_from_slice(&5001_u16.to_be_bytes());
    let heard = in_fragments(400, 7, 100, &request("heard.example", 900), |_| {});
    capture.0.extend(heard.0.into_iter().map(|(at, bytes)| (at + 1_000_000_000, bytes)));
    let (snapshot, events) = capture.run();
    assert_eq!((names(&events), snapshot.flows), (vec!["heard.example".to_owned()], 2));
}

/// A neighbour advertisement (RFC 4861, section 4.4) of `addr` for itself, in an Ethernet frame.
fn advertisement(addr: Ipv6Addr, mac: [u8; 6]) -> Vec<u8> {
    let body = [&[136, 0, 0, 0, 0x20, 0, 0, 0][..], &addr.octets(), &[2, 1], &mac].concat();
    let header = [
        &[0x60, 0, 0, 0, 0, body.len() as u8, 58, 255][..],
        &addr.octets(),
        &[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    ];
    [&[0x33, 0x33, 0, 0, 0, 1][..], &mac, &[0x86, 0xdd], &header.concat(), &body].concat()
}

/// ARP of `addr` for itself (RFC 826).
fn arp(addr: [u8; 4], mac: [u8; 6]) -> Vec<u8> {
    let head = [&[0xff; 6][..], &mac, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
    [&head[..], &mac, &addr, &[0; 6], &addr].concat()
}

/// A SYN over IPv6, in an Ethernet frame.
fn syn(src: Ipv6Addr, dst: Ipv6Addr) -> Vec<u8> {
    let tcp = [0x13, 0x88, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0];
    let header = [&[0x60, 0, 0, 0, 0, 20, 6, 64][..], &src.octets(), &dst.octets()].concat();
    [&[2; 12][..], &[0x86, 0xdd], &header, &tcp].concat()
}

#[test]
fn a_host_that_asks_over_ipv4_is_named_over_ipv6() {
    let site: Ipv6Addr = "2001:db8::80".parse().unwrap();
    let [alice, bob] = ["2001:db8::a", "2001:db8::b"].map(|addr| addr.parse::<Ipv6Addr>().unwrap());
    let macs = [[0, 0, 0x5e, 0, 0x53, 1], [0, 0, 0x5e, 0, 0x53, 2]];
    let capture = |speaks_for_others: bool| {
        let mut capture = Capture::default();
        capture.look_up(0, ALICE, "shop.example", SITE);
        // The same name's other address.
        let query = capture::message(9, 0x0100, "shop.example", 28, &[]);
        let answer = capture::message(9, 0x8180, "shop.example", 28, &site.octets());
        capture.udp(20, (ALICE, 4000), capture::RESOLVER, &query);
        capture.udp(30, capture::RESOLVER, (ALICE, 4000), &answer);
        for (_, bytes) in &mut capture.0 {
            *bytes = [&[2; 12][..], &[8, 0], bytes].concat();
        }
        let mut add = |at: i64, bytes| capture.0.push((at * 1_000_000, bytes));
        add(40, arp(ALICE, macs[0]));
        add(41, advertisement(alice, macs[0]));
        add(42, arp(BOB, macs[1]));
        add(43, advertisement(bob, macs[1]));
        if speaks_for_others {
            add(44, arp([10, 0, 0, 77], macs[0]));
        }
        add(50, syn(alice, site));
        add(51, syn(bob, site));
        capture.run_frames().0
    };
    let name = |snapshot: &Snapshot, src: Ipv6Addr| {
        let row =
            snapshot.rows.iter().find(|row| row.protocol == 6 && row.source.addr == IpAddr::V6(src)).unwrap();
        row.destination_name.as_ref().map(|called| (called.name.to_string(), called.by))
    };
    let alone = capture(false);
    assert_eq!(name(&alone, alice), Some(("shop.example".to_owned(), NamedBy::Lookup)));
    assert_eq!(name(&alone, bob), None, "what Alice was told is not Bob's");
    assert_eq!(name(&capture(true), alice), None, "a proxy has looked up what others asked for");
}
