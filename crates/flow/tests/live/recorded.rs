//! Captures of interfaces that the kernel at hand may lack, with their topology, as a live capture sees them.

use std::path::PathBuf;

use dissect::Timestamp;
use flow::{Config, FlowRecord, InterfaceId, Options, Snapshot, Timeouts};

use crate::kept::read;
use crate::wire::{Capture, SECOND, on, packets, path};

/// `name` replayed on its own interfaces, in the order and at the times in which their packets passed, with a report every
/// second; `interfaces` are their names.
fn replay(name: &str, interfaces: &[&str]) -> Snapshot {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(name);
    let options = Options { live: Some(Timeouts::default()), ..Options::default() };
    let mut capture =
        Capture::named(&options, Config { rows: usize::MAX, ..Config::default() }, 1, interfaces);
    let mut next_report = i64::MIN;
    let mut all = read(&path);
    // One thread an interface wrote them.
    all.sort_by_key(|kept| kept.packet.timestamp);
    for kept in all {
        let packet = kept.packet();
        capture.now = packet.timestamp.0;
        if packet.timestamp >= Timestamp(next_report) {
            next_report = packet.timestamp.0 + SECOND;
            capture.report();
        }
        capture.observe(0, packet);
    }
    capture.finish()
}

/// The only flow of a protocol whose responder has this port.
fn flow(snapshot: &Snapshot, protocol: u8, port: u16) -> &FlowRecord {
    let found: Vec<_> =
        snapshot.rows.iter().filter(|f| (f.protocol, f.destination.port) == (protocol, port)).collect();
    let [flow] = found[..] else { panic!("{} flows of {protocol} to {port}", found.len()) };
    flow
}

/// Two links under a bond that takes them by turns: half of the packets on each, all of them on the bond.
///
/// What passed which interface is tshark's answer: `tshark -T fields -e frame.interface_name -e ip.src -e tcp.dstport …`.
#[test]
fn a_bond_and_its_links_count_once() {
    let snapshot = replay("bond.pcapng", &["bond0", "eth0", "eth1"]);
    let tcp = flow(&snapshot, 6, 7);
    assert_eq!((packets(tcp), path(tcp)), ((18, 16), vec!["bond0", "eth0", "eth1"]));
    let udp = flow(&snapshot, 17, 9);
    assert_eq!((packets(udp), udp.path.len()), ((6, 0), 3));
    // Six echoes, their answers, and six times that nobody listens.
    let icmp = flow(&snapshot, 1, 0);
    assert_eq!((packets(icmp), icmp.path.len()), ((6, 12), 3));
    assert_eq!((snapshot.flows, snapshot.total.packets), (3, 58));
    assert_eq!([0, 1, 2].map(|n| on(&snapshot, InterfaceId(n))), [58, 29, 29]);
}

/// What is in a tunnel counts on its interface; what carries it is encrypted, and a flow of its own.
#[test]
fn wireguard_and_what_is_in_it_count_once_each() {
    let snapshot = replay("wireguard.pcapng", &["wg0", "eth2"]);
    let inner = flow(&snapshot, 6, 7);
    assert_eq!((packets(inner), path(inner)), ((17, 15), vec!["wg0"]));
    let udp = flow(&snapshot, 17, 9);
    assert_eq!((packets(udp), path(udp)), ((6, 0), vec!["wg0"]));
    let icmp = flow(&snapshot, 1, 0);
    assert_eq!((packets(icmp), path(icmp)), ((6, 12), vec!["wg0"]));
    let carrier = flow(&snapshot, 17, 51820);
    assert_eq!((packets(carrier), path(carrier)), ((30, 28), vec!["eth2"]));
    assert_eq!(snapshot.flows, 4);
    assert_eq!([0, 1].map(|n| on(&snapshot, InterfaceId(n))), [56, 58]);
}
