//! Which strands of a flow are one path.

use flow::{Config, InterfaceId, Options, Timeouts};

use crate::wire::{A, B, Capture, End, SECOND, Sent, datagram, on, packets, path, segment};

const ETH0: u32 = 0;
const BR0: u32 = 1;
const VETH1: u32 = 2;

#[test]
fn the_same_packets_on_three_interfaces_are_one_path() {
    let mut capture = Capture::of_everything();
    capture.stream(A, B, 0..50, &[VETH1, BR0, ETH0]);
    capture.stream(B, A, 0..20, &[ETH0, BR0, VETH1]);
    let snapshot = capture.report();
    let [flow] = &snapshot.rows[..] else { panic!("{:?}", snapshot.rows) };
    assert_eq!((packets(flow), path(flow)), ((50, 20), vec!["veth1", "br0", "eth0"]));
    assert_eq!(snapshot.total.packets, 70);
    assert_eq!((0..3).map(|n| on(&snapshot, InterfaceId(n))).sum::<u64>(), 210);
}

#[test]
fn each_direction_has_a_way_of_its_own() {
    let mut capture = Capture::of_everything();
    capture.stream(A, B, 0..50, &[BR0, ETH0]);
    capture.stream(B, A, 0..20, &[VETH1]);
    let snapshot = capture.report();
    assert_eq!(packets(&snapshot.rows[0]), (50, 20));
    assert_eq!(path(&snapshot.rows[0]), ["br0", "eth0", "veth1"]);
}

#[test]
fn packets_that_are_spread_over_interfaces_add_up() {
    let mut capture = Capture::of_everything();
    for n in 0..60 {
        capture.stream(A, B, n..n + 1, &[[ETH0, BR0, VETH1][n as usize % 3]]);
    }
    let snapshot = capture.report();
    assert_eq!((snapshot.flows, packets(&snapshot.rows[0])), (1, (60, 0)));
}

#[test]
fn two_ways_that_share_an_interface_are_not_one() {
    // Of each packet one copy on br0; then it leaves on either of two.
    let mut capture = Capture::of_everything();
    for n in 0..60 {
        capture.stream(A, B, n..n + 1, &[BR0, if n % 2 == 0 { ETH0 } else { VETH1 }]);
    }
    // All three are joined by br0, of which the fullest is what was sent.
    assert_eq!(packets(&capture.report().rows[0]), (60, 0));
}

#[test]
fn a_super_packet_and_its_segments_are_one_path() {
    let mut capture = Capture::of_everything();
    for n in 0..10 {
        let whole = segment(A, B, n * 14_480, 14_480);
        capture.pass(&whole, &[VETH1]);
        for k in 0..10 {
            let part = Sent { id: whole.id + k, ..segment(A, B, n * 14_480 + u32::from(k) * 1448, 1448) };
            capture.pass(&part, &[ETH0]);
        }
    }
    let snapshot = capture.report();
    let flow = &snapshot.rows[0];
    assert_eq!((packets(flow), flow.sent.ip_bytes), ((100, 0), 100 * 1488), "as it was on the wire");
    assert_eq!((on(&snapshot, InterfaceId(2)), on(&snapshot, InterfaceId(0))), (10, 100));
}

#[test]
fn the_same_payload_again_is_another_packet() {
    let mut capture = Capture::of_everything();
    for id in 1..=9 {
        capture.pass(&datagram(A, B, id, b"heartbeat of a device"), &[VETH1, ETH0]);
    }
    assert_eq!(packets(&capture.report().rows[0]), (9, 0));
    // Told apart by their numbers alone where they take different ways.
    let mut capture = Capture::of_everything();
    for id in 1..=9 {
        capture.pass(&datagram(A, B, id, b"heartbeat of a device"), &[u32::from(id % 2)]);
    }
    assert_eq!(packets(&capture.report().rows[0]), (9, 0));
}

#[test]
fn what_fills_a_short_frame_up_makes_no_other_packet() {
    for len in 0..12_usize {
        let mut capture = Capture::of_everything();
        for id in 1..=3 {
            let short = datagram(A, B, id, &b"abcdefghijkl"[..len]);
            capture.pass(&Sent { padding: 18 - len, ..short.clone() }, &[ETH0]);
            capture.pass(&short, &[VETH1]);
        }
        assert_eq!(packets(&capture.report().rows[0]), (3, 0), "{len} bytes");
    }
}

#[test]
fn a_way_is_found_whenever_tables_tell() {
    // Between any two packets on one interface and the next.
    for moment in 0..24 {
        let mut capture = Capture::of_everything();
        for n in 0..24 {
            capture.stream(A, B, n..n + 1, &[VETH1]);
            if n == moment {
                capture.tell_events(0);
            }
            capture.stream(A, B, n..n + 1, &[ETH0]);
            if n % 8 == moment % 8 {
                capture.report();
            }
        }
        assert_eq!(packets(&capture.report().rows[0]), (24, 0), "told after packet {moment}");
    }
}

#[test]
fn a_broadcast_outlives_the_containers_that_it_passed() {
    let names: Vec<String> =
        std::iter::once("br0".to_owned()).chain((0..300).map(|n| format!("veth{n}"))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let options = Options { live: Some(Timeouts::default()), ..Options::default() };
    let config = Config { rows: usize::MAX, events: true, ..Config::default() };
    let mut capture = Capture::named(&options, config, 1, &names);
    let hello = |id: u16| datagram(A, End([10, 0, 0, 255], 5353), id, b"who is there?");
    for container in 1..=300_u16 {
        for id in 0..3 {
            capture.pass(&hello(3 * container + id), &[0, u32::from(container)]);
        }
        capture.report();
        capture.collector.lose_interface(InterfaceId(container));
        // The bridge goes on; what is idle elsewhere ends there.
        capture.now += 50 * SECOND;
        (0..flow::ROUNDS).for_each(|_| capture.expire(0));
    }
    let snapshot = capture.report();
    assert_eq!((snapshot.flows, packets(&snapshot.rows[0])), (1, (900, 0)));
    assert!((0..=300).all(|n| on(&snapshot, InterfaceId(n)) == if n == 0 { 900 } else { 3 }));
    assert_eq!(path(&snapshot.rows[0]), names, "all of them");
    assert_eq!(snapshot.ledger.counted.packets, 1800, "on every interface");
    let unknown: u64 = snapshot.ledger.interfaces.iter().map(|i| i.live.as_ref().unwrap().unknown.0).sum();
    assert_eq!(unknown, 1800, "nobody was asked");
}

/// Requests pass one interface and answers another, whose clock is behind: the SYN is seen, so its sender is the initiator.
#[test]
fn an_answer_before_its_request_begins_nothing() {
    for interfaces in [[ETH0, VETH1], [VETH1, ETH0]] {
        let mut capture = Capture::of_everything();
        let passes = |capture: &mut Capture, packet: Sent, flags, interface, ahead| {
            capture.now += ahead;
            capture.pass(&Sent { flags, ..packet }, &[interface]);
            capture.now -= ahead;
        };
        passes(&mut capture, segment(A, B, 99, 0), 0x02, interfaces[0], SECOND);
        passes(&mut capture, segment(B, A, 99, 0), 0x12, interfaces[1], 0);
        capture.report();
        passes(&mut capture, segment(A, B, 100, 50), 0x18, interfaces[0], SECOND);
        passes(&mut capture, segment(B, A, 100, 70), 0x18, interfaces[1], 0);
        let snapshot = capture.report();
        let [flow] = &snapshot.rows[..] else { panic!("{:?}", snapshot.rows) };
        assert_eq!((flow.source, packets(flow)), (A.endpoint(), (2, 2)), "{interfaces:?}");
    }
}
