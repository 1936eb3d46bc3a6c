//! What the source counts of flows that have settled adds up to what would have been told, had it been seen.

use dissect::Packet;
use dissect::app::Depth;
use flow::{Config, Options, Snapshot, Timeouts};

use crate::kept::{Kept, captures};
use crate::source::{LONGEST, Source};
use crate::wire::Capture;

/// Everything that is told of flows, in an order of its own.
fn told(snapshot: &Snapshot) -> Vec<String> {
    let mut rows: Vec<_> = snapshot.rows.iter().map(|flow| format!("{flow:?}")).collect();
    rows.sort();
    rows
}

/// Replays `packets`, with a report every so often; gives what was told at the end, and how many packets were counted, all and
/// of those with data of TCP.
fn replay(packets: &[Kept], settles: bool, interfaces: u32) -> (Snapshot, u64, u64) {
    let options = Options { live: Some(Timeouts::default()), depth: Depth::All, ..Options::default() };
    let mut capture = Capture::new(&options, Config { rows: usize::MAX, ..Config::default() }, 1);
    // Of several, one does not.
    (0..interfaces.min(2)).for_each(|interface| capture.split(interface, LONGEST));
    let (mut source, mut counted) = (Source::default(), 0);
    for (n, kept) in packets.iter().enumerate() {
        for interface in 0..interfaces {
            capture.now = kept.packet.timestamp.0;
            let packet = Packet { interface, ..kept.packet() };
            if settles {
                source.pass(&mut capture, packet);
            } else {
                capture.observe(0, packet);
            }
        }
        if n % 97 == 96 {
            counted += source.tell(&mut capture);
            capture.report();
        }
    }
    counted += source.tell(&mut capture);
    (capture.report(), counted, source.data)
}

/// Compares what is told of `packets` where they settle and where they are seen; gives how many were counted.
pub(crate) fn compare(packets: &[Kept], interfaces: u32) -> (u64, u64) {
    let (seen, none, _) = replay(packets, false, interfaces);
    let (ours, some, data) = replay(packets, true, interfaces);
    for (ours, seen) in told(&ours).into_iter().zip(told(&seen)) {
        assert_eq!(ours, seen);
    }
    assert_eq!(ours.rows.len(), seen.rows.len());
    assert_eq!((ours.total, ours.first, ours.last), (seen.total, seen.first, seen.last));
    for (ours, theirs) in ours.ledger.interfaces.iter().zip(&seen.ledger.interfaces) {
        assert_eq!((ours.seen, ours.counted, ours.not_ip), (theirs.seen, theirs.counted, theirs.not_ip));
        assert_eq!(ours.live.as_ref().unwrap().offload, theirs.live.as_ref().unwrap().offload);
    }
    let settled = ours.ledger.interfaces.iter().map(|one| one.live.as_ref().unwrap().settled.0);
    assert_eq!((settled.sum::<u64>(), none), (some, 0));
    (some, data)
}

#[test]
fn settled_flows_equal_captured_ones() {
    let (mut counted, mut data) = (0, 0);
    for packets in captures() {
        for interfaces in [1, 3] {
            let (some, of_data) = compare(&packets, interfaces);
            (counted, data) = (counted + some, data + of_data);
        }
    }
    assert!(counted > 100 && data > 0, "{counted} {data}");
}
