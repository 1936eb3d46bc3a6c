use super::super::program::machine::{Seen, run};
use super::*;

fn keep(hatype: u16, bytes: &[u8]) -> u32 {
    let program = program(Snaplen::Adaptive, None);
    run(&program, &Seen { bytes, hatype, pkttype: 0, ifindex: 1 }).unwrap()
}

const ETHER: u16 = arphrd::ETHER;
const TUN: u16 = 0xfffe;

fn ethernet(ethertype: u16, rest: &[u8]) -> Vec<u8> {
    [&[0x02; 12], &ethertype.to_be_bytes()[..], rest].concat()
}

fn ipv4(protocol: u8, fragment: u16, rest: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x45, 0];
    ip.extend((rest.len() as u16 + 20).to_be_bytes());
    ip.extend([0, 1]);
    ip.extend(fragment.to_be_bytes());
    ip.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    [ip, rest.to_vec()].concat()
}

fn ipv6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x60, 0, 0, 0];
    ip.extend((rest.len() as u16).to_be_bytes());
    ip.extend([next, 64]);
    ip.extend([0xfd; 32]);
    [ip, rest.to_vec()].concat()
}

fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut udp: Vec<u8> =
        [from, to, payload.len() as u16 + 8, 0].iter().flat_map(|w| w.to_be_bytes()).collect();
    udp.extend(payload);
    udp
}

/// A TCP segment with twelve bytes of options.
fn tcp(from: u16, to: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut tcp: Vec<u8> = [from, to].iter().flat_map(|w| w.to_be_bytes()).collect();
    tcp.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x80, flags, 1, 0, 0, 0, 0, 0]);
    tcp.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    tcp.extend(payload);
    tcp
}

const ACK: u8 = 0x10;
const PSH_ACK: u8 = 0x18;

/// `start`, filled up to `len` bytes.
fn payload(start: &[u8], len: usize) -> Vec<u8> {
    let mut p = start.to_vec();
    p.resize(len, 0x5a);
    p
}

/// What a transport header and its payload are cut to, which is alike wherever they stand.
fn everywhere(protocol: u8, segment: &[u8]) -> u32 {
    let (v4, v6) = (ipv4(protocol, 0x4000, segment), ipv6(protocol, segment));
    let tagged =
        |ethertype: u16, ip: &[u8]| ethernet(0x8100, &[&[0, 5], &ethertype.to_be_bytes()[..], ip].concat());
    let all = [
        keep(ETHER, &ethernet(0x0800, &v4)),
        keep(ETHER, &ethernet(0x86dd, &v6)),
        keep(arphrd::LOOPBACK, &ethernet(0x0800, &v4)),
        keep(ETHER, &tagged(0x0800, &v4)),
        keep(ETHER, &tagged(0x86dd, &v6)),
        keep(TUN, &v4),
        keep(TUN, &v6),
        keep(ETHER, &ethernet(0x8864, &[&[0x11, 0, 0, 1, 5, 0xde, 0, 0x21][..], &v4].concat())),
        keep(ETHER, &ethernet(0x8864, &[&[0x11, 0, 0, 1, 5, 0xde, 0, 0x57][..], &v6].concat())),
    ];
    assert!(all.iter().all(|&k| k == all[0]), "{all:?}");
    all[0]
}

#[test]
fn bulk_is_cut_behind_its_headers() {
    assert_eq!(everywhere(6, &tcp(40000, 443, ACK, &payload(&[0x17, 3, 3], 1448))), SHORT);
    assert_eq!(everywhere(6, &tcp(40000, 443, PSH_ACK, &payload(&[0x17, 3, 3], 2048))), SHORT);
    assert_eq!(everywhere(17, &udp(40000, 7000, &payload(b"x", 1400))), SHORT);
    assert_eq!(everywhere(17, &udp(40000, 443, &payload(&[0x5a], 1200))), SHORT, "QUIC short header");
    assert_eq!(everywhere(1, &payload(&[8, 0], 1400)), SHORT);
    assert_eq!(everywhere(50, &payload(&[0, 0, 0, 1], 1400)), SHORT);
}

#[test]
fn names_and_handshakes_are_kept_whole() {
    for (from, to) in [(40000, 53), (53, 40000), (5353, 5353), (5355, 40000)] {
        assert_eq!(everywhere(17, &udp(from, to, &payload(b"q", 1400))), WHOLE);
    }
    assert_eq!(everywhere(6, &tcp(53, 40000, ACK, &payload(b"q", 1400))), WHOLE);
    assert_eq!(everywhere(6, &tcp(40000, 8443, ACK, &payload(&[0x16, 3, 1], 1448))), WHOLE);
    assert_eq!(everywhere(6, &tcp(40000, 8443, PSH_ACK, &payload(b"rest", 452))), WHOLE);
    assert_eq!(everywhere(6, &tcp(40000, 80, ACK, &payload(b"GET /", 3000))), HEADER);
    assert_eq!(everywhere(6, &tcp(80, 40000, ACK, &payload(b"HTTP/1.1", 3000))), HEADER);
    for version in [[0, 0, 0, 1], [0x6b, 0x33, 0x43, 0xcf], [0xff, 0, 0, 29], *b"Q050"] {
        let initial = [&[0xc3], &version[..]].concat();
        assert_eq!(everywhere(17, &udp(40000, 4433, &payload(&initial, 1200))), WHOLE);
    }
    assert_eq!(everywhere(17, &udp(40000, 4433, &payload(&[22, 0xfe, 0xfd], 300))), WHOLE, "DTLS");
    let answer = [0xa0, 7, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0];
    assert_eq!(everywhere(17, &udp(5443, 40000, &payload(&answer, 300))), WHOLE, "DNS on another port");
}

#[test]
fn text_to_a_service_is_kept_whole() {
    let sent = |from, to, start: &[u8], len| everywhere(6, &tcp(from, to, ACK, &payload(start, len)));
    for start in [&b"okie: a="[..], b"\r\nHost: ", b"\nHost: x", b"\t folded"] {
        assert_eq!(sent(40000, 8000, start, 1448), WHOLE);
        assert_eq!(sent(8000, 40000, start, 1448), SHORT, "text to a client");
        assert_eq!(sent(40000, 8000, start, 2048), SHORT, "too much of it");
    }
    for start in [&[0; 8][..], &[0x17, 3, 3, 0x40, 0x11, 1, 2, 3], b"okie\xc3\xa9a=", b"okie: \xc3\xa9"] {
        assert_eq!(sent(40000, 8000, start, 1448), SHORT, "{start:?}");
    }
}

#[test]
fn tunnels_keep_two_sets_of_headers() {
    for port in [4789, 6081, 2152] {
        assert_eq!(everywhere(17, &udp(40000, port, &payload(b"x", 1400))), TUNNEL, "{port}");
    }
}

#[test]
fn jumbograms_are_bulk_too() {
    let hop_by_hop =
        |len| [&[6, 0, 0xc2, 4, 0, 1, 0x11, 0x70][..], &tcp(1, 2, ACK, &payload(b"x", len))].concat();
    assert_eq!(keep(ETHER, &ethernet(0x86dd, &ipv6(0, &hop_by_hop(70_000)))), SHORT);
    assert_eq!(keep(TUN, &ipv6(0, &hop_by_hop(1400))), WHOLE);
}

#[test]
fn what_is_not_plain_is_kept_whole() {
    let segment = tcp(1, 2, ACK, &payload(b"x", 1400));
    assert_eq!(keep(ETHER, &ethernet(0x0800, &ipv4(6, 0x2000, &segment))), WHOLE, "first fragment");
    assert_eq!(keep(ETHER, &ethernet(0x0800, &ipv4(6, 0x00b9, &segment))), WHOLE, "last fragment");
    let mut options = ipv4(6, 0, &segment);
    options[0] = 0x46;
    assert_eq!(keep(ETHER, &ethernet(0x0800, &options)), WHOLE);
    assert_eq!(keep(ETHER, &ethernet(0x86dd, &ipv6(44, &segment))), WHOLE);
    assert_eq!(keep(ETHER, &ethernet(0x0806, &segment)), WHOLE);
    assert_eq!(keep(803, &segment), WHOLE, "radiotap");
    assert_eq!(everywhere(47, &segment), WHOLE, "GRE");
    assert_eq!(keep(TUN, &payload(&[0], 1400)), WHOLE);
}

/// However little there is of a packet and whatever it claims, it is seen, and nothing past its end is read.
#[test]
fn no_packet_is_lost() {
    let program = program(Snaplen::Adaptive, None);
    let segment = payload(&tcp(40000, 80, ACK, b"GET / HTTP/1.1"), 300);
    let datagram = udp(40000, 4433, &payload(&[0xc0, 0, 0, 0, 1], 300));
    for (protocol, rest) in [(6, &segment), (17, &datagram), (1, &segment), (132, &segment)] {
        for ip in [ethernet(0x0800, &ipv4(protocol, 0, rest)), ethernet(0x86dd, &ipv6(protocol, rest))] {
            let tagged = [&ip[..12], &[0x81, 0, 0, 1], &ip[12..]].concat();
            let ppp = if ip[12] == 8 { 0x21 } else { 0x57 };
            let pppoe = [&ip[..12], &[0x88, 0x64, 0x11, 0, 0, 1, 5, 0xde, 0, ppp], &ip[14..]].concat();
            let frames = [(ETHER, &ip[..]), (ETHER, &tagged[..]), (ETHER, &pppoe[..]), (TUN, &ip[14..])];
            for (hatype, frame) in frames {
                for end in 0..=frame.len() {
                    let seen = Seen { bytes: &frame[..end], hatype, pkttype: 0, ifindex: 1 };
                    assert!(run(&program, &seen).unwrap() >= SHORT);
                }
                for (at, value) in (0..frame.len().min(SHORT as usize)).flat_map(|at| [(at, 0), (at, 0xff)]) {
                    for end in [SHORT as usize, SHORT as usize + 1, frame.len()] {
                        let mut bytes = frame[..end].to_vec();
                        bytes[at] = value;
                        let seen = Seen { bytes: &bytes, hatype, pkttype: 0, ifindex: 1 };
                        assert!(run(&program, &seen).unwrap() >= SHORT);
                    }
                }
            }
        }
    }
}

#[test]
fn what_loopback_sends_is_not_taken() {
    let frame = ethernet(0x0800, &ipv4(17, 0, &udp(1, 2, b"x")));
    for snaplen in [Snaplen::Adaptive, Snaplen::Fixed(64), Snaplen::Fixed(0)] {
        let program = program(snaplen, None);
        let taken = |hatype, pkttype| run(&program, &Seen { bytes: &frame, hatype, pkttype, ifindex: 1 });
        assert_eq!(taken(arphrd::LOOPBACK, PACKET_OUTGOING), Some(0));
        assert_ne!(taken(arphrd::LOOPBACK, 0), Some(0));
        assert_ne!(taken(ETHER, PACKET_OUTGOING), Some(0));
    }
}

#[test]
fn only_chosen_interfaces_are_taken() {
    let many: Vec<u32> = (10..510).collect();
    for chosen in [&[3, 9][..], &many] {
        let program = program(Snaplen::Fixed(96), Some(chosen));
        for ifindex in 0..600 {
            let seen = Seen { bytes: &[0; 60], hatype: ETHER, pkttype: 0, ifindex };
            let expected = if chosen.contains(&ifindex) { 96 } else { 0 };
            assert_eq!(run(&program, &seen), Some(expected));
        }
    }
    let nobody = program(Snaplen::Adaptive, Some(&[]));
    let seen = Seen { bytes: &[0; 60], hatype: ETHER, pkttype: 0, ifindex: 1 };
    assert_eq!(run(&nobody, &seen), Some(0));
}

/// The kernel takes at most 4096 instructions.
#[test]
fn two_programs_fit_what_a_socket_may_have() {
    // net.core.optmem_max of Linux up to 6.6; less the kernel's own headers.
    const ROOM: usize = (20_480 - 1024) / 2;
    // What becomes of each at most, in instructions of 8 bytes (bpf_convert_filter of net/core/filter.c).
    let longer = |i: &Instruction| match i.code {
        LD_ABS | LDH_ABS | LDB_ABS | LD_IND | LDH_IND | LDB_IND => 14,
        JEQ | JGT | JGE | JSET => 3,
        RET_K => 2,
        _ => 1,
    };
    let some: Vec<u32> = (1..=64).collect();
    let program = program(Snaplen::Adaptive, Some(&some));
    let bytes = 8 * program.iter().map(longer).sum::<usize>();
    assert!(bytes < ROOM, "{} instructions, {bytes} bytes", program.len());
}
