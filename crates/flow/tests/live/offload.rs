//! What an interface counts more than was seen, because it splits packets itself.

use dissect::{Direction, LinkType, Packet, Timestamp};
use flow::{InterfaceId, LiveLedger, Readings};

use crate::wire::{A, B, Capture, Sent, datagram, segment};

/// Passes `packet` on an interface that splits at 1500, of which only the beginning was kept; gives the interface's
/// account, where it has itself counted `kernel` packets.
fn account(packet: &Sent, kernel: Option<u64>) -> LiveLedger {
    let mut capture = Capture::of_everything();
    capture.split(0, 1500);
    let bytes = packet.bytes();
    for interface in [0, 1] {
        let packet = Packet {
            timestamp: Timestamp(capture.now),
            link_type: LinkType::ETHERNET,
            wire_len: bytes.len() as u32,
            bytes: &bytes[..bytes.len().min(96)],
            interface,
            vlan_tci: None,
            direction: Direction::Outbound,
        };
        capture.observe(0, packet);
    }
    if let Some(packets) = kernel {
        let reading = (packets, u64::MAX);
        capture.collector.set_kernel(InterfaceId(0), Some(Readings { before: reading, after: reading }));
    }
    let snapshot = capture.report();
    assert_eq!(snapshot.ledger.interfaces[1].live.as_ref().unwrap().offload, (0, 0), "it splits nothing");
    snapshot.ledger.interfaces[0].live.clone().unwrap()
}

#[test]
fn what_is_split_is_counted_in_parts() {
    // 1460 bytes of payload to a segment, 54 of headers.
    for (len, further) in [(0, 0), (1460, 0), (1461, 1), (2920, 1), (2921, 2), (64_240, 43)] {
        assert_eq!(account(&segment(A, B, 1, len), None).offload, (further, further * 54), "{len} bytes");
    }
    let whole = datagram(A, B, 1, &[0; 1472 * 3]);
    assert_eq!(account(&whole, None).offload, (2, 2 * 42));
}

#[test]
fn no_more_is_estimated_than_the_interface_counted() {
    let ten = segment(A, B, 1, 14_600);
    assert_eq!(account(&ten, Some(10)).offload, (9, 9 * 54));
    assert_eq!(account(&ten, Some(99)).offload, (9, 9 * 54));
    assert_eq!(account(&ten, Some(1)).offload, (0, 0), "its driver counts what it is given");
}
