//! What the kernel counted adds to the same flows as what was captured.

use std::collections::HashMap;

use dissect::packet::Registry;
use dissect::{Direction, Dissection, KernelCount, LinkType, Packet, TcpFlags, Timestamp};
use flow::{Config, FlowRecord, InterfaceId, Options, Snapshot, Timeouts};

use crate::kept::{Kept, captures};
use crate::wire::{A, B, Capture, Sent, counted, datagram, on, packets, path, segment};

const FIN: u8 = 0x11;
const SYN: u8 = 0x02;

/// A segment of 100 bytes is as long as this.
const SEGMENT: u64 = 154;

#[test]
fn a_flow_goes_on_where_the_ring_was_full() {
    let mut capture = Capture::of_everything();
    capture.stream(A, B, 0..10, &[0]);
    capture.count(&segment(A, B, 1000, 100), 0, counted(90, SEGMENT));
    capture.count(&segment(B, A, 1, 100), 0, counted(7, SEGMENT));
    capture.stream(A, B, 100..110, &[0]);
    let snapshot = capture.report();
    let flow = &snapshot.rows[0];
    assert_eq!((snapshot.rows.len(), packets(flow)), (1, (110, 7)));
    assert_eq!((flow.sent.frame_bytes, flow.received.ip_bytes), (110 * SEGMENT, 7 * 140));
    assert_eq!(flow.source, A.endpoint());
    let ledger = &snapshot.ledger.interfaces[0];
    assert_eq!(ledger.live.as_ref().unwrap().in_kernel, (97, 97 * SEGMENT));
    assert_eq!((ledger.seen, ledger.counted), ((117, 117 * SEGMENT), (117, 117 * SEGMENT)));
}

#[test]
fn whoever_sent_first_began() {
    let mut capture = Capture::of_everything();
    capture.count(&segment(B, A, 1, 100), 0, counted(3, SEGMENT));
    capture.count(&segment(A, B, 1, 100), 0, counted(5, SEGMENT));
    let flow = capture.report().rows.remove(0);
    assert_eq!((flow.source, packets(&flow)), (B.endpoint(), (3, 5)));
    assert_eq!(flow.duration().as_micros(), 7);
}

/// The first packets that the kernel counted tell that interfaces have the same ones.
#[test]
fn what_passed_several_interfaces_counts_once() {
    let mut capture = Capture::of_everything();
    for interface in [0, 1, 2] {
        capture.count(&segment(A, B, 1, 100), interface, counted(50, SEGMENT));
    }
    let snapshot = capture.report();
    assert_eq!(packets(&snapshot.rows[0]), (50, 0));
    assert_eq!(path(&snapshot.rows[0]), ["eth0", "br0", "veth1"]);
    assert_eq!([0, 1, 2].map(|n| on(&snapshot, InterfaceId(n))), [50; 3]);
}

/// What a bond spreads over two interfaces passes a third as one.
#[test]
fn what_is_spread_over_interfaces_counts_once() {
    let mut capture = Capture::of_everything();
    for interface in [0, 1, 2] {
        let step = if interface == 2 { 1 } else { 2 };
        let first = u32::from(interface == 1);
        let on = |n: u32| segment(A, B, 1000 + 100 * (first + step * n), 100);
        let prints =
            [1, 2, 3].map(|n| flow::print(&Packet { bytes: &on(n).bytes(), ..counted(1, SEGMENT).first }));
        let packets = if interface == 2 { 100 } else { 50 };
        capture.count(&on(0), interface, KernelCount { prints, ..counted(packets, SEGMENT) });
    }
    let snapshot = capture.report();
    assert_eq!(packets(&snapshot.rows[0]), (100, 0));
}

#[test]
fn a_connection_ends_though_its_end_was_only_counted() {
    let mut capture = Capture::of_everything();
    let flags = |flags| KernelCount { tcp_flags: TcpFlags(flags), ..counted(6, SEGMENT) };
    capture.count(&Sent { flags: SYN, ..segment(A, B, 1, 0) }, 0, flags(SYN | FIN));
    capture.count(&Sent { flags: SYN | 0x10, ..segment(B, A, 1, 0) }, 0, flags(SYN | FIN));
    let flow = capture.report().rows.remove(0);
    let tcp = flow.tcp.unwrap();
    assert_eq!((tcp.state, tcp.history.as_str()), ("SF", "SFhf"), "one side was taken before the other");
    capture.wait(10);
    assert_eq!(capture.collector.take_events(None).len(), 1, "it is over");
}

#[test]
fn what_has_no_flow_is_told_by_its_name() {
    let mut capture = Capture::of_everything();
    let arp = [&[0xff; 12][..], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &[0; 38]].concat();
    let other = |ether_type| KernelCount { is_flow: false, ether_type, ip_bytes: 0, ..counted(4, 60) };
    let count = other(0x0806);
    let first = Packet { bytes: &arp, wire_len: 60, link_type: LinkType::ETHERNET, ..count.first };
    let table = capture.table();
    table.observe_counts([KernelCount { first, ..count }]);
    // Nobody knows where these begin.
    table.observe_counts([other(0x0800), other(0x9999)]);
    let snapshot = capture.report();
    let ledger = &snapshot.ledger.interfaces[0];
    let names: Vec<_> = ledger.not_ip_names.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(names, [("arp", 4), ("ethertype 0x9999", 4), ("ipv4", 4)]);
    assert_eq!((ledger.not_ip, ledger.counted), ((12, 720), (0, 0)));
}

#[test]
fn what_found_no_place_is_in_the_account() {
    let mut capture = Capture::of_everything();
    capture.stream(A, B, 0..10, &[0]);
    capture.table().observe_unplaced(0, 90, 9000);
    let snapshot = capture.report();
    let ledger = &snapshot.ledger.interfaces[0];
    let live = ledger.live.as_ref().unwrap();
    assert_eq!((live.in_kernel, live.without_flow), ((90, 9000), (90, 9000)));
    assert_eq!((ledger.seen.0, ledger.counted.0), (100, 10));
    assert!(ledger.closes());
}

#[test]
fn what_is_split_is_estimated() {
    let mut capture = Capture::of_everything();
    capture.split(0, 1500);
    let split = KernelCount { split: 40, ..counted(20, 3000) };
    capture.count(&segment(A, B, 1, 2946), 0, split);
    capture.count(&datagram(A, B, 1, &[7; 2944]), 0, KernelCount { split: 2, ..split });
    capture.count(&segment(A, B, 1, 2946), 1, split);
    let snapshot = capture.report();
    let offload = |n: usize| snapshot.ledger.interfaces[n].live.as_ref().unwrap().offload;
    assert_eq!((offload(0), offload(1)), ((42, 40 * 54 + 2 * 42), (0, 0)));
}

/// What packets have in common that are counted together.
type Common = (u32, Direction, Option<(u128, u128, u16, u16, u8, Option<u32>)>, usize);

fn common(number: usize, packet: &Packet<'_>) -> Common {
    let d = Dissection::of(packet, Registry::global());
    let ip = d.outer.or(d.ip);
    let tuple =
        ip.map(|ip| (ip.src, ip.dst, ip.src_port, ip.dst_port, ip.protocol, ip.fragment.map(|f| f.id)));
    // Of the others, each by itself.
    (packet.interface, packet.direction, tuple, if tuple.is_some() { 0 } else { number })
}

/// Counts `packets` as the kernel does.
fn count<'a>(packets: &'a [Kept]) -> Vec<KernelCount<'a>> {
    let mut counts: Vec<KernelCount<'a>> = Vec::new();
    let mut places: HashMap<Common, usize> = HashMap::new();
    for (number, kept) in packets.iter().enumerate() {
        let packet = kept.packet();
        let d = Dissection::of(&packet, Registry::global());
        let ip = d.outer.or(d.ip);
        let common = common(number, &packet);
        let place = *places.entry(common).or_insert(counts.len());
        if place == counts.len() {
            let none = KernelCount { tcp_flags: TcpFlags(0), ..counted(0, 14) };
            counts.push(KernelCount { first: packet, is_flow: ip.is_some(), ..none });
        }
        let count = &mut counts[place];
        if let Some(print) = (count.packets as usize).checked_sub(1).and_then(|n| count.prints.get_mut(n)) {
            *print = flow::print(&packet);
        }
        count.packets += 1;
        count.ip_bytes += ip.map_or(0, |ip| u64::from(ip.bytes));
        count.frame_bytes += u64::from(packet.wire_len);
        count.last = count.last.max(packet.timestamp);
    }
    counts
}

fn facts(flow: &FlowRecord) -> impl PartialEq + std::fmt::Debug + use<> {
    (flow.protocol, flow.source, flow.destination, flow.sent, flow.received, flow.last, flow.icmp)
}

/// Of every fixture, each flow's packets and bytes are the same whether they were captured or counted.
#[test]
fn counted_flows_equal_captured_ones() {
    let options = Options { decap: false, live: Some(Timeouts::default()), ..Options::default() };
    let run = |observe: &dyn Fn(&mut Capture)| -> Snapshot {
        let config = Config { rows: usize::MAX, dns_lines: 0, ..Config::default() };
        let mut capture = Capture::new(&options, config, 1);
        observe(&mut capture);
        capture.report()
    };
    for mut packets in captures() {
        // A kernel knows when what it counts passed.
        packets.retain(|kept| kept.packet.timestamp != Timestamp::UNKNOWN);
        let captured = run(&|capture| packets.iter().for_each(|kept| capture.observe(0, kept.packet())));
        let counted = run(&|capture| capture.table().observe_counts(count(&packets)));
        assert_eq!(counted.total, captured.total);
        assert_eq!((counted.first, counted.last), (captured.first, captured.last));
        for (ours, theirs) in counted.ledger.interfaces.iter().zip(&captured.ledger.interfaces) {
            assert_eq!((ours.seen, ours.counted, ours.not_ip), (theirs.seen, theirs.counted, theirs.not_ip));
            assert_eq!((&ours.not_ip_names, &ours.malformed), (&theirs.not_ip_names, &theirs.malformed));
            assert_eq!(ours.live.as_ref().unwrap().in_kernel, ours.seen);
        }
        let sorted = |snapshot: &Snapshot| {
            let mut rows = snapshot.rows.clone();
            rows.sort_by_key(|flow| (flow.first, flow.source, flow.destination, flow.protocol));
            rows.iter().map(facts).collect::<Vec<_>>()
        };
        assert_eq!(sorted(&counted), sorted(&captured));
    }
}
