//! Live capture in network namespaces of its own: known traffic in, exact counts out.
//!
//! Needs root; without it every test says so and does nothing.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test's own surroundings must work")]

mod frames;
mod lab;
mod late;
mod settled;
mod streams;
mod sys;
mod waits;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use capture::ring::{Error, InterfaceCounters, LinkChangeKind, Options, RingSource, Snaplen};
use capture::{Next, PacketSource};
use dissect::packet::Registry;
use dissect::{Direction, Dissection, FiveTuple, LinkType, Packet, Timestamp};

use frames::{ethernet, framed, in_pppoe, ipv4, packets, tagged, tcp, udp};
use lab::{Captured, Lab, drain};
use sys::{RawSender, Tun, within};

/// Sends every length of every frame, and expects each to be seen in its turn, with its length and its first bytes.
fn every_length(source: &mut RingSource, frames: &[Vec<u8>], least: usize, mut send: impl FnMut(&[u8])) {
    for frame in frames {
        for len in least..=frame.len() {
            send(&frame[..len]);
        }
    }
    let mut seen = drain(source).into_iter();
    let mut whole = 0;
    for frame in frames {
        for len in least..=frame.len() {
            let packet = seen.next().unwrap_or_else(|| panic!("{len} bytes of {frame:02x?} were not seen"));
            assert_eq!(packet.wire_len as usize, len, "of {frame:02x?}");
            assert!(packet.bytes.len() >= len.min(128));
            assert_eq!(packet.bytes, frame[..packet.bytes.len()]);
            whole += usize::from(len == frame.len() && packet.bytes.len() == len);
        }
    }
    assert!(seen.next().is_none());
    assert!(whole > 0 && whole < frames.len(), "some are kept whole, some are not: {whole}");
    assert_eq!(source.ring_stats().dropped, 0);
}

#[test]
fn root_every_truncation_is_seen_on_veth() {
    let Some(lab) = Lab::new() else { return };
    let mut source = lab.open("b", &["vb"]);
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    let frames: Vec<_> = packets().iter().flat_map(|p| [framed(p), in_pppoe(p)]).collect();
    every_length(&mut source, &frames, 14, |frame| sender.send(frame));
}

#[test]
fn root_every_truncation_is_seen_once_on_loopback() {
    let Some(lab) = Lab::new() else { return };
    let mut source = lab.open("a", &[]);
    let sender = within(&lab.path("a"), || RawSender::open("lo"));
    let frames: Vec<_> = packets().iter().map(|p| framed(p)).collect();
    every_length(&mut source, &frames, 14, |frame| sender.send(frame));
}

/// A tag is still in the frame when it is sent.
#[test]
fn root_every_truncation_is_seen_behind_a_tag() {
    let Some(lab) = Lab::new() else { return };
    let mut source = lab.open("a", &["va"]);
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    let frames: Vec<_> = packets().iter().map(|p| tagged(7, &framed(p))).collect();
    every_length(&mut source, &frames, 14, |frame| sender.send(frame));
}

#[test]
fn root_every_truncation_is_seen_on_tun() {
    let Some(lab) = Lab::new() else { return };
    let mut source = lab.open("a", &[]);
    let mut tun = within(&lab.path("a"), || Tun::open("tun0"));
    lab.ip("a", &["link", "set", "tun0", "up"]);
    every_length(&mut source, &packets(), 1, |packet| tun.send(packet));
    tun.send(&packets()[0]);
    let seen = drain(&mut source);
    assert_eq!((seen[0].link_type, seen[0].interface.as_str()), (LinkType::RAW.0, "tun0"));
}

#[test]
fn root_a_vlan_tag_is_given_back() {
    let Some(lab) = Lab::new() else { return };
    let (mut near, mut far) = (lab.open("a", &["va"]), lab.open("b", &["vb"]));
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    let frame = ethernet(0x0800, &ipv4(17, 0, &udp(40000, 7000, b"x", 300)));
    sender.send(&tagged(0x6064, &frame));
    sender.send(&tagged(0x6064, &tagged(5, &frame)));
    let seen = drain(&mut far);
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].vlan_tci, seen[0].wire_len as usize), (Some(0x6064), frame.len()));
    assert_eq!(seen[0].bytes, frame[..128]);
    assert_eq!((seen[1].vlan_tci, seen[1].wire_len as usize), (Some(0x6064), frame.len() + 4));
    assert_eq!(seen[1].bytes, tagged(5, &frame)[..128]);
    // What is sent has its tag still in it.
    let sent = drain(&mut near);
    assert_eq!((sent[0].vlan_tci, &sent[0].bytes[..]), (None, &tagged(0x6064, &frame)[..128]));
}

/// Sends `count` datagrams there and back, a TCP transfer of `bytes`, and pings.
fn talk(lab: &Lab, (from, client): (&str, &str), (to, server): (&str, &str), count: usize, bytes: usize) {
    let address = |ip: &str, port| SocketAddr::new(ip.parse().unwrap(), port);
    let there = within(&lab.path(to), || UdpSocket::bind(address(server, 7000)).unwrap());
    let here = within(&lab.path(from), || UdpSocket::bind(address(client, 7001)).unwrap());
    let mut buffer = vec![0; 2048];
    for _ in 0..count {
        here.send_to(&[7; 400], address(server, 7000)).unwrap();
        there.recv(&mut buffer).unwrap();
        there.send_to(&[8; 100], address(client, 7001)).unwrap();
        here.recv(&mut buffer).unwrap();
    }
    let listener = within(&lab.path(to), || TcpListener::bind(address(server, 7002)).unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut all = Vec::new();
            listener.accept().unwrap().0.read_to_end(&mut all).unwrap();
            assert_eq!(all.len(), bytes);
        });
        let mut stream = within(&lab.path(from), || TcpStream::connect(address(server, 7002)).unwrap());
        stream.write_all(&vec![9; bytes]).unwrap();
    });
    lab.exec(from, &["ping", "-q", "-c", "10", "-i", "0.01", "-s", "900", server]);
}

fn counted(counters: &[InterfaceCounters], name: &str) -> (u64, u64) {
    let c = counters.iter().find(|c| c.name == name).unwrap();
    if c.loopback {
        (c.rx_packets, c.rx_bytes)
    } else {
        (c.rx_packets + c.tx_packets, c.rx_bytes + c.tx_bytes)
    }
}

fn tuple(packet: &Captured) -> Option<FiveTuple> {
    let packet = Packet {
        timestamp: Timestamp(0),
        link_type: LinkType(packet.link_type),
        wire_len: packet.wire_len,
        bytes: &packet.bytes,
        interface: 0,
        vlan_tci: None,
        direction: Direction::Unknown,
    };
    Dissection::of(&packet, Registry::global()).ip.map(|ip| ip.five_tuple())
}

fn of_protocol(seen: &[Captured], protocol: u8) -> usize {
    seen.iter().filter_map(tuple).filter(|t| t.protocol == protocol).count()
}

/// All packets until none come and none are on their way, and what the interface has counted by then: kernels send some of
/// their own accord (RFC 4861), at any time.
fn all_until_quiet(source: &mut RingSource, name: &str) -> (Vec<Captured>, (u64, u64)) {
    let mut seen = Vec::new();
    loop {
        let before = counted(&source.counters().unwrap(), name);
        seen.extend(drain(source));
        let after = counted(&source.counters().unwrap(), name);
        if before == after {
            return (seen, after);
        }
    }
}

#[test]
fn root_all_that_passes_veth_is_seen() {
    let Some(lab) = Lab::new() else { return };
    lab.add_ipv6();
    let mut source = lab.open("b", &["vb"]);
    let (_, start) = all_until_quiet(&mut source, "vb");
    talk(&lab, ("a", "10.9.0.1"), ("b", "10.9.0.2"), 200, 500_000);
    talk(&lab, ("a", "fd09::1"), ("b", "fd09::2"), 100, 500_000);
    let (seen, end) = all_until_quiet(&mut source, "vb");
    let bytes: u64 = seen.iter().map(|p| u64::from(p.wire_len)).sum();
    assert_eq!((seen.len() as u64, bytes), (end.0 - start.0, end.1 - start.1));
    assert_eq!(source.counters().unwrap()[0].interface, Some(seen[0].number));
    assert_eq!(of_protocol(&seen, 17), 600);
    assert_eq!(of_protocol(&seen, 1), 20);
    assert!(of_protocol(&seen, 58) >= 20);
    assert!(of_protocol(&seen, 6) >= 20);
    assert_eq!(source.stats().dropped, 0);
    for packet in seen.iter().filter(|p| tuple(p).is_some_and(|t| t.src.port == 7001)) {
        assert_eq!(packet.direction, Direction::Inbound);
    }
    for packet in seen.iter().filter(|p| tuple(p).is_some_and(|t| t.src.port == 7000)) {
        assert_eq!(packet.direction, Direction::Outbound);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as i64;
    assert!(seen.iter().all(|p| (now - 60_000_000_000..now).contains(&p.timestamp)));
}

#[test]
fn root_all_that_passes_loopback_is_seen_once() {
    let Some(lab) = Lab::new() else { return };
    lab.add_ipv6();
    let mut source = lab.open("a", &["lo"]);
    let (_, start) = all_until_quiet(&mut source, "lo");
    talk(&lab, ("a", "127.0.0.1"), ("a", "127.0.0.1"), 200, 500_000);
    talk(&lab, ("a", "::1"), ("a", "::1"), 100, 500_000);
    let (seen, end) = all_until_quiet(&mut source, "lo");
    // Loopback does not count the Ethernet header, which its packets have.
    let bytes: u64 = seen.iter().map(|p| u64::from(p.wire_len) - 14).sum();
    assert_eq!((seen.len() as u64, bytes), (end.0 - start.0, end.1 - start.1));
    assert_eq!(of_protocol(&seen, 17), 600);
    assert_eq!(of_protocol(&seen, 1), 20);
}

#[test]
fn root_a_hello_of_two_segments_is_kept_whole() {
    let hello: Vec<u8> = [&[0x16, 3, 1, 7, 0x67, 1, 0, 7, 0x63][..], &[0xab; 1891]].concat();
    is_kept_whole(&hello, 2);
}

/// A request whose host stands in the third of four segments.
#[test]
fn root_a_request_of_four_segments_is_kept_whole() {
    let cookie = "abcdef0123456789".repeat(200);
    let more = "x".repeat(1500);
    let request =
        format!("GET / HTTP/1.1\r\nCookie: a={cookie}\r\nHost: www.example.org\r\nX: {more}\r\n\r\n");
    is_kept_whole(request.as_bytes(), 4);
}

/// Sends `said` to a service, in so many segments of one MTU, of which all is seen.
fn is_kept_whole(said: &[u8], count: usize) {
    let Some(lab) = Lab::new() else { return };
    lab.switch_offloads_off();
    let mut source = lab.open("b", &[]);
    let listener = within(&lab.path("b"), || TcpListener::bind("10.9.0.2:8443").unwrap());
    let mut stream = within(&lab.path("a"), || TcpStream::connect("10.9.0.2:8443").unwrap());
    stream.write_all(said).unwrap();
    let mut got = vec![0; said.len()];
    listener.accept().unwrap().0.read_exact(&mut got).unwrap();
    let seen = drain(&mut source);
    let segments: Vec<_> = seen.iter().filter(|p| tuple(p).is_some_and(|t| t.dst.port == 8443)).collect();
    let payloads: Vec<&[u8]> =
        segments.iter().map(|p| &p.bytes[34 + usize::from(p.bytes[46] >> 4) * 4..]).collect();
    assert!(segments.iter().all(|p| p.wire_len <= 1514));
    assert_eq!(payloads.iter().filter(|p| !p.is_empty()).count(), count);
    assert_eq!(payloads.concat(), said);
}

#[test]
fn root_what_finds_no_room_is_counted() {
    const SENT: u64 = 20_000;
    let Some(lab) = Lab::new() else { return };
    let options = Options { ring_bytes: 16 << 10, block_bytes: 4096, ..lab.options("b", &["vb"]) };
    let mut source = RingSource::open(&options).unwrap();
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    let frame = ethernet(0x0800, &ipv4(17, 0, &udp(40000, 7000, b"x", 100)));
    (0..SENT).for_each(|_| sender.send(&frame));
    let seen = drain(&mut source);
    let stats = source.ring_stats();
    assert!(stats.dropped > 0 && stats.freezes > 0);
    assert_eq!(stats.seen, SENT);
    assert_eq!(seen.len() as u64 + stats.dropped, SENT);
    assert_eq!(source.stats().dropped, stats.dropped);
    // The ring goes on afterwards.
    (0..10).for_each(|_| sender.send(&frame));
    assert_eq!(drain(&mut source).len(), 10);
}

fn add_pair(lab: &Lab, near: &str, far: &str) {
    let b = lab.ns("b");
    lab.ip("a", &["link", "add", near, "type", "veth", "peer", "name", far, "netns", &b]);
    lab.ip("a", &["link", "set", near, "up"]);
    lab.ip("b", &["link", "set", far, "up"]);
    settle(lab, near, far);
}

fn settle(lab: &Lab, near: &str, far: &str) {
    lab.wait_for_carrier("a", near);
    lab.wait_for_carrier("b", far);
}

#[test]
fn root_interfaces_come_and_go() {
    let Some(lab) = Lab::new() else { return };
    let mut source = lab.open("b", &[]);
    let frame = ethernet(0x0800, &ipv4(17, 0, &udp(40000, 7000, b"x", 100)));
    let send = || within(&lab.path("a"), || RawSender::open("na").send(&frame));
    let names = |seen: &[Captured]| seen.iter().map(|p| (p.number, p.interface.clone())).collect::<Vec<_>>();
    assert!(source.take_changes().is_empty());
    add_pair(&lab, "na", "nb");
    send();
    assert_eq!(names(&drain(&mut source)), [(0, "nb".into())]);
    lab.ip("b", &["link", "set", "nb", "down"]);
    lab.ip("b", &["link", "set", "nb", "name", "nc"]);
    lab.ip("b", &["link", "set", "nc", "up"]);
    settle(&lab, "na", "nc");
    send();
    assert_eq!(names(&drain(&mut source)), [(0, "nc".into())]);
    assert!(source.interface_names().contains(&"nc".into()));
    // Gone before its packet is read.
    send();
    lab.ip("b", &["link", "del", "nc"]);
    assert_eq!(names(&drain(&mut source)), [(0, "nc".into())]);
    add_pair(&lab, "na", "nb");
    send();
    assert_eq!(names(&drain(&mut source)), [(1, "nb".into())]);
    let changes = source.take_changes();
    let kinds: Vec<_> = changes.iter().map(|c| (c.name.as_str(), c.kind.clone())).collect();
    let expected = [
        ("nb", LinkChangeKind::Added),
        ("nb", LinkChangeKind::Up),
        ("nb", LinkChangeKind::Down),
        ("nc", LinkChangeKind::Renamed { from: "nb".into() }),
        ("nc", LinkChangeKind::Up),
        ("nc", LinkChangeKind::Down),
        ("nc", LinkChangeKind::Removed),
        ("nb", LinkChangeKind::Added),
        ("nb", LinkChangeKind::Up),
    ];
    assert_eq!(kinds, expected);
}

/// More news than the queue holds: what was lost of them is found by looking.
#[test]
fn root_no_change_is_missed_in_a_flood_of_news() {
    let Some(lab) = Lab::new() else { return };
    let mut source = lab.open("b", &[]);
    lab.flood_news("b", "vb", 12_000);
    lab.ip("b", &["link", "set", "vb", "down"]);
    lab.ip("b", &["link", "set", "vb", "name", "vz"]);
    drain(&mut source);
    let changes: Vec<_> = source.take_changes().into_iter().map(|c| (c.name, c.kind)).collect();
    assert!(changes.contains(&("vz".into(), LinkChangeKind::Renamed { from: "vb".into() })), "{changes:?}");
    assert_eq!(source.interface_names(), ["lo", "vz"]);
}

/// By binding (one), and by the filter (two).
#[test]
fn root_a_chosen_interface_is_captured_again_when_it_comes_back() {
    let Some(lab) = Lab::new() else { return };
    add_pair(&lab, "na", "nb");
    for chosen in [&["nb"][..], &["nb", "lo"]] {
        let mut source = lab.open("b", chosen);
        let frame = ethernet(0x0800, &ipv4(17, 0, &udp(40000, 7000, b"x", 100)));
        let send = |on: &str| within(&lab.path("a"), || RawSender::open(on).send(&frame));
        send("na");
        send("va");
        assert_eq!(drain(&mut source).len(), 1);
        lab.ip("b", &["link", "set", "nb", "down"]);
        assert_eq!(drain(&mut source).len(), 0);
        lab.ip("b", &["link", "set", "nb", "up"]);
        settle(&lab, "na", "nb");
        send("na");
        assert_eq!(drain(&mut source).len(), 1);
        lab.ip("b", &["link", "del", "nb"]);
        assert_eq!(drain(&mut source).len(), 0);
        add_pair(&lab, "na", "nb");
        drain(&mut source);
        send("na");
        send("va");
        let seen = drain(&mut source);
        assert_eq!(seen.len(), 1, "{chosen:?}");
        assert_eq!(seen[0].interface, "nb");
    }
}

/// Whatever has stopped does not begin again with an interface that comes back: neither where it is bound nor where the
/// filter chooses.
#[test]
fn root_what_has_stopped_takes_nothing_any_more() {
    let Some(lab) = Lab::new() else { return };
    add_pair(&lab, "na", "nb");
    let frame = ethernet(0x0800, &ipv4(17, 0, &udp(40000, 7000, b"x", 100)));
    for chosen in [&["nb"][..], &["nb", "lo"]] {
        let mut source = lab.open("b", chosen);
        let send = || within(&lab.path("a"), || RawSender::open("na").send(&frame));
        send();
        assert_eq!(drain(&mut source).len(), 1);
        source.stop().unwrap();
        lab.ip("b", &["link", "del", "nb"]);
        drain(&mut source);
        add_pair(&lab, "na", "nb");
        drain(&mut source);
        send();
        assert_eq!(drain(&mut source).len(), 0, "{chosen:?}");
    }
}

#[test]
fn root_a_missing_interface_is_named() {
    let Some(lab) = Lab::new() else { return };
    let error = RingSource::open(&lab.options("a", &["va", "eth77"])).unwrap_err();
    assert!(matches!(&error, Error::NoSuchInterface { name } if name == "eth77"));
    assert_eq!(error.to_string(), "no such interface: eth77");
}

#[test]
fn root_workers_share_flows_both_ways() {
    let Some(lab) = Lab::new() else { return };
    let mut group = RingSource::open_group(&lab.options("b", &["vb"]), 2, || true).unwrap();
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    for port in 0..64 {
        let there = ipv4(17, 0, &udp(10_000 + port, 7000, b"x", 100));
        let mut back = ipv4(17, 0, &udp(7000, 10_000 + port, b"x", 100));
        back[12..20].rotate_left(4);
        sender.send(&ethernet(0x0800, &there));
        sender.send(&ethernet(0x0800, &back));
    }
    let ports: Vec<Vec<u16>> = group
        .iter_mut()
        .map(|source| {
            let mut ports: Vec<_> =
                drain(source).iter().filter_map(tuple).map(|t| t.src.port.max(t.dst.port)).collect();
            ports.sort_unstable();
            ports
        })
        .collect();
    assert_eq!(ports[0].len() + ports[1].len(), 128);
    assert!(ports.iter().all(|p| !p.is_empty()));
    for pair in ports.iter().flat_map(|p| p.chunks(2)) {
        assert!(pair.len() == 2 && pair[0] == pair[1], "both directions of a flow in one ring");
    }
}

#[test]
fn root_no_more_rings_are_made_than_are_wanted() {
    let Some(lab) = Lab::new() else { return };
    let options = lab.options("b", &["vb"]);
    let made = |wants: usize| {
        let asked = std::cell::Cell::new(0);
        let count = || asked.replace(asked.get() + 1) < wants;
        RingSource::open_group(&options, 4, count).unwrap().len()
    };
    assert_eq!([made(0), made(1), made(9)], [1, 2, 4]);
}

#[test]
fn root_a_fixed_snaplen_holds() {
    let Some(lab) = Lab::new() else { return };
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    let frame = ethernet(0x0800, &ipv4(6, 0, &tcp(40000, 443, 0x10, &[0x17], 1400)));
    for (snaplen, kept) in
        [(Snaplen::Fixed(96), 96), (Snaplen::Fixed(0), frame.len()), (Snaplen::Adaptive, 128)]
    {
        let mut source = RingSource::open(&Options { snaplen, ..lab.options("b", &["vb"]) }).unwrap();
        sender.send(&frame);
        let seen = drain(&mut source);
        assert_eq!((seen.len(), seen[0].bytes.len(), seen[0].wire_len as usize), (1, kept, frame.len()));
    }
}

#[test]
fn root_promiscuous_mode_lasts_as_long_as_the_source() {
    let Some(lab) = Lab::new() else { return };
    let promiscuous = || lab.exec("b", &["ip", "-d", "link", "show", "vb"]).contains("promiscuity 1");
    let source = RingSource::open(&Options { promiscuous: true, ..lab.options("b", &[]) }).unwrap();
    assert!(promiscuous());
    drop(source);
    assert!(!promiscuous());
    let _plain = lab.open("b", &[]);
    assert!(!promiscuous());
}

#[test]
fn root_waiting_costs_nothing_and_ends_in_time() {
    let Some(lab) = Lab::new() else { return };
    let mut source = lab.open("b", &[]);
    let start = Instant::now();
    assert!(matches!(source.next_batch(Duration::from_millis(300)), Ok(Next::Idle)));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(299), "{took:?}");
    assert!(matches!(source.next_batch(Duration::ZERO), Ok(Next::Idle)));
    // One packet alone is handed over soon, however long it may be waited for more.
    within(&lab.path("a"), || RawSender::open("va").send(&ethernet(0x88b5, &[0; 46])));
    let start = Instant::now();
    assert!(matches!(source.next_batch(Duration::from_secs(60)), Ok(Next::Batch(_))));
    assert!(start.elapsed() < Duration::from_secs(30));
}
