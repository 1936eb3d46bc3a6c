//! Flows that nobody reads any more: the kernel counts their datagrams beside the ring.

use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use capture::ring::RingSource;
use dissect::{Direction, Endpoint, FiveTuple, SettledCount, Unread, Way};

use crate::frames::{framed, ipv4, ipv6, tcp, udp};
use crate::lab::{Lab, drain};
use crate::late::counting;
use crate::sys::{RawSender, send_segmented, within};

/// How frames.rs addresses its packets.
fn tuple(version: u8, src_port: u16, dst_port: u16) -> FiveTuple {
    let [src, dst]: [IpAddr; 2] = match version {
        4 => ["192.0.2.1", "192.0.2.2"].map(|addr| addr.parse().unwrap()),
        _ => ["fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd"; 2].map(|addr| addr.parse().unwrap()),
    };
    let end = |addr, port| Endpoint { addr, port };
    FiveTuple { src: end(src, src_port), dst: end(dst, dst_port), protocol: 17 }
}

fn way(version: u8) -> Way {
    Way { interface: 0, tuple: tuple(version, 40_000, 7000), direction: Direction::Inbound }
}

/// A datagram of the flow that is settled here.
fn datagram(version: u8, start: &[u8], len: usize) -> Vec<u8> {
    let udp = udp(40_000, 7000, start, len);
    framed(&if version == 4 { ipv4(17, 0, &udp) } else { ipv6(17, &udp) })
}

/// A lab, and what counts the packets of `vb` there, of which it has seen one.
fn lab() -> Option<(Lab, RawSender, RingSource)> {
    let lab = Lab::new()?;
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    let mut source = counting(&lab.options("b", &["vb"]))?;
    sender.send(&datagram(4, b"seen", 20));
    assert_eq!(drain(&mut source).len(), 1);
    Some((lab, sender, source))
}

fn taken(source: &mut RingSource) -> Vec<SettledCount> {
    let mut all = Vec::new();
    source.take_settled(|count| all.push(*count));
    all
}

fn sum(counts: &[SettledCount]) -> (u64, u64, u64) {
    counts.iter().fold((0, 0, 0), |(packets, ip, frames), count| {
        (packets + count.packets, ip + count.ip_bytes, frames + count.frame_bytes)
    })
}

#[test]
fn root_settled_flows_pass_the_ring_by() {
    let Some((_lab, sender, mut source)) = lab() else { return };
    for version in [4, 6] {
        source.settle(way(version), Unread::Nothing);
        let header = if version == 4 { 20 } else { 40 };
        let (mut ip_bytes, mut frame_bytes) = (0, 0);
        for len in 0..300 {
            sender.send(&datagram(version, b"", len));
            ip_bytes += (header + 8 + len) as u64;
            frame_bytes += (14 + header + 8 + len) as u64;
        }
        assert_eq!(drain(&mut source).len(), 0);
        let before = source.ring_stats().counted;
        let counts = taken(&mut source);
        assert_eq!(sum(&counts), (300, ip_bytes, frame_bytes));
        assert_eq!(counts.len(), 1);
        assert_eq!(counts[0].way, way(version));
        assert_eq!(source.ring_stats().counted - before, 300);
        assert!(taken(&mut source).is_empty(), "taken once");
        // Now, by the clock that packets of the ring have, and not when those before came: the kernel's tick has gone on.
        std::thread::sleep(Duration::from_millis(20));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
        sender.send(&datagram(version, b"", 9));
        source.unsettle(&way(version));
        sender.send(&datagram(version, b"", 9));
        let rest = drain(&mut source);
        assert_eq!(rest.len(), 1, "it is in the ring again");
        let counts = taken(&mut source);
        assert_eq!(sum(&counts).0, 1, "what was counted by then is not lost");
        let apart = rest[0].timestamp - counts[0].last.0;
        assert!((0..500_000_000).contains(&apart), "{apart} ns");
        assert!(counts[0].last.0 > now - 1_000_000, "{} ns early", now - counts[0].last.0);
    }
}

/// What the interface makes datagrams of later is one packet, whose parts are told.
#[test]
fn root_datagrams_sent_together_are_counted_with_their_parts() {
    let Some((lab, _, mut source)) = lab() else { return };
    let bind = |side, at| within(&lab.path(side), move || UdpSocket::bind(at).unwrap());
    let (socket, _server) = (bind("a", "10.9.0.1:40000"), bind("b", "10.9.0.2:7000"));
    socket.connect("10.9.0.2:7000").unwrap();
    send_segmented(&socket, 100);
    let end = |socket: std::net::SocketAddr| Endpoint { addr: socket.ip(), port: socket.port() };
    let [src, dst] = [socket.local_addr(), socket.peer_addr()].map(|addr| end(addr.unwrap()));
    let way = Way { tuple: FiveTuple { src, dst, protocol: 17 }, ..way(4) };
    source.settle(way, Unread::Nothing);
    for len in [100, 101, 1000, 1001] {
        socket.send(&vec![0x5a; len]).unwrap();
    }
    drain(&mut source);
    let counts = taken(&mut source);
    let (ip_bytes, split) = (2202 + 4 * 28, 1 + 9 + 10);
    assert_eq!(sum(&counts), (4, ip_bytes, ip_bytes + 4 * 14));
    assert_eq!((counts[0].split, counts[0].split_bytes), (split, split * 42));
}

/// What may begin an opening or a message, and what is not the flow's, is in the ring as if nothing were settled.
#[test]
fn root_what_somebody_may_read_does_not() {
    let Some((_lab, sender, mut source)) = lab() else { return };
    source.settle(way(4), Unread::Nothing);
    source.settle(way(6), Unread::Nothing);
    let query = [7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let answer = [7, 7, 0x81, 0x80, 0, 0, 0, 1];
    let mut others = Vec::new();
    for version in [4, 6] {
        for said in [&query[..], &answer, &[0x16, 0xfe, 0xfd], &[0xc3, 0, 0, 0, 1]] {
            others.push(datagram(version, said, 60));
        }
        for (from, to) in [(40_001, 7000), (40_000, 7001), (7000, 40_000)] {
            let udp = udp(from, to, b"x", 60);
            others.push(framed(&if version == 4 { ipv4(17, 0, &udp) } else { ipv6(17, &udp) }));
        }
    }
    others.push(framed(&ipv4(17, 0x2000, &udp(40_000, 7000, b"x", 64))));
    others.push(framed(&ipv4(17, 8, &udp(40_000, 7000, b"x", 64))));
    others.push(framed(&ipv4(6, 0, &tcp(40_000, 7000, 0x10, b"x", 60))));
    let mut cut = datagram(4, b"x", 60);
    cut.truncate(cut.len() - 1);
    others.push(cut);
    for frame in &others {
        sender.send(frame);
        sender.send(&datagram(4, b"x", 60));
    }
    let in_ring: Vec<_> = drain(&mut source).into_iter().map(|captured| captured.bytes).collect();
    assert_eq!(in_ring.len(), others.len());
    for (ours, sent) in in_ring.iter().zip(&others) {
        assert!(sent.starts_with(ours), "{sent:02x?}");
    }
    assert_eq!(sum(&taken(&mut source)).0, others.len() as u64);
}

/// Of TCP, segments that carry nothing: all others say something. Behind the end of a connection those are seen too, also if it
/// came between the telling and the counting.
#[test]
fn root_of_connections_acknowledgements_settle() {
    const ACK: u8 = 0x10;
    let Some((_lab, sender, mut source)) = lab() else { return };
    for version in [4, 6] {
        let mut way = way(version);
        way.tuple.protocol = 6;
        let send = |flags, len, window: u16| {
            let mut tcp = tcp(40_000, 7000, flags, b"", len);
            tcp[14..16].copy_from_slice(&window.to_be_bytes());
            sender.send(&framed(&if version == 4 { ipv4(6, 0, &tcp) } else { ipv6(6, &tcp) }));
        };
        let others =
            [(ACK, 1, 9), (0x18, 0, 9), (0x11, 0, 9), (0x12, 0, 9), (0x14, 0, 9), (ACK, 0, 0), (0x50, 0, 9)];
        for (flags, len, window) in others {
            let is_control = flags & 0x07 != 0;
            source.settle(way, Unread::Nothing);
            send(ACK, 0, 1);
            assert_eq!(drain(&mut source).len(), 1, "there may be others before");
            let mut asked = Vec::new();
            source.count_streams(|way, unread| {
                asked.push((*way, unread));
                Some(0)
            });
            assert_eq!(asked, [(way, Unread::Nothing)]);
            send(ACK, 0, 1);
            send(ACK, 0, 256);
            assert_eq!(drain(&mut source).len(), 0);
            send(flags, len, window);
            send(ACK, 0, 256);
            assert_eq!(drain(&mut source).len(), 1 + usize::from(is_control), "{flags}");
            let counts = taken(&mut source);
            let each = if version == 4 { 20 + 32 } else { 40 + 32 };
            let packets = if is_control { 2 } else { 3 };
            assert_eq!(sum(&counts), (packets, packets * each, packets * (each + 14)));
            assert_eq!(counts[0].way, way);
        }
        for (flags, is_still_settled, seen) in [(0x11, true, 1), (ACK, false, 1), (ACK, true, 0)] {
            source.settle(way, Unread::Nothing);
            send(flags, 0, 1);
            drain(&mut source);
            source.count_streams(|_, _| is_still_settled.then_some(0));
            send(ACK, 0, 1);
            assert_eq!(drain(&mut source).len(), seen, "{flags} {is_still_settled}");
        }
        drain(&mut source);
        taken(&mut source);
    }
}

/// More flows than there are places: of each packet it is known where it was counted.
#[test]
fn root_more_flows_than_can_settle() {
    const FLOWS: u16 = 40_000;
    let Some((_lab, sender, mut source)) = lab() else { return };
    let of = |n: u16| (10_000 + n, 7000);
    for n in 0..FLOWS {
        let (from, to) = of(n);
        source.settle(Way { tuple: tuple(4, from, to), ..way(4) }, Unread::Nothing);
    }
    let frames: Vec<_> = (0..FLOWS).map(|n| framed(&ipv4(17, 0, &udp(of(n).0, of(n).1, b"x", 20)))).collect();
    for frames in frames.chunks(64) {
        sender.send_all(frames);
    }
    let in_ring = drain(&mut source).len() as u64;
    let counts = taken(&mut source);
    assert_eq!(sum(&counts).0 + in_ring, u64::from(FLOWS));
    assert!(in_ring > 0 && counts.len() > 20_000, "{in_ring} {}", counts.len());
    assert!(counts.iter().all(|count| count.packets == 1));
    source.unsettle_all();
    sender.send(&frames[0]);
    assert_eq!(drain(&mut source).len(), 1);
}
