//! What flows say first is read, however it is cut, reordered, repeated, and on whatever interfaces it passes.

use dissect::app::{App, By, Value};
use flow::FlowRecord;

use crate::wire::{A, Capture, End, Sent, segment};

const SERVER: End = End([203, 0, 113, 9], 22);
const CLIENT_LINE: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";
const SERVER_LINE: &[u8] = b"SSH-2.0-dropbear_2022.83\r\n";
const SYN: u8 = 2;

/// Part of what an end says, from byte `at` on.
fn said(from: End, to: End, at: usize, bytes: &[u8]) -> Sent {
    Sent { payload: bytes.to_vec(), ..segment(from, to, 1001 + at as u32, 0) }
}

fn syn(from: End, to: End) -> Sent {
    Sent { flags: SYN, ..segment(from, to, 1000, 0) }
}

fn client(at: usize, len: usize) -> Sent {
    said(A, SERVER, at, &CLIENT_LINE[at..at + len])
}

fn one(packets: &[Sent], interfaces: &[u32]) -> FlowRecord {
    let mut capture = Capture::of_everything();
    for packet in packets {
        capture.pass(packet, interfaces);
    }
    let mut rows = capture.finish().rows;
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

fn text(app: &App, path: &str) -> Option<String> {
    match app.get(path) {
        Some(Value::Text(text)) => Some(text.to_string()),
        Some(other) => panic!("{other:?}"),
        None => None,
    }
}

#[test]
fn both_ends_are_read_on_every_interface_once() {
    let packets = [syn(A, SERVER), client(0, CLIENT_LINE.len()), said(SERVER, A, 0, SERVER_LINE)];
    for interfaces in [&[0][..], &[0, 1], &[0, 1, 2]] {
        let flow = one(&packets, interfaces);
        assert_eq!(flow.app_protocol(), Some(("ssh", By::Content)));
        let app = flow.app.expect("it was told");
        assert_eq!(text(&app, "ssh.client").as_deref(), Some("2.0-OpenSSH_9.2p1 Debian-2"));
        assert_eq!(text(&app, "ssh.server").as_deref(), Some("2.0-dropbear_2022.83"));
    }
}

#[test]
fn segments_are_put_together_in_any_order() {
    let (first, second, third) = (client(0, 3), client(3, 20), client(23, CLIENT_LINE.len() - 23));
    let orders = [
        [&first, &second, &third],
        [&first, &third, &second],
        [&second, &first, &third],
        [&third, &second, &first],
    ];
    for order in orders {
        // Each twice: what is sent again is read once.
        let packets: Vec<_> = order.into_iter().flat_map(|packet| [packet.clone(), packet.clone()]).collect();
        let flow = one(&[&[syn(A, SERVER)][..], &packets].concat(), &[0]);
        let app = flow.app.unwrap_or_else(|| panic!("{order:?}"));
        assert_eq!(text(&app, "ssh.client").as_deref(), Some("2.0-OpenSSH_9.2p1 Debian-2"), "{order:?}");
    }
}

#[test]
fn a_port_alone_tells_what_nobody_knows() {
    let flow = one(&[syn(A, SERVER), said(A, SERVER, 0, b"\x00nothing known")], &[0]);
    assert_eq!(flow.app_protocol(), Some(("ssh", By::Port)));
    let elsewhere = End(SERVER.0, 40_001);
    let flow = one(&[syn(A, elsewhere), said(A, elsewhere, 0, b"\x00nothing known")], &[0]);
    assert_eq!(flow.app_protocol(), None);
}

/// A flow that takes the place of another, in the table's memory, is read anew.
#[test]
fn a_flow_behind_another_one_is_read_too() {
    let mut capture = Capture::of_everything();
    for n in 0..5 {
        let from = End(A.0, A.1 + n);
        for packet in [syn(from, SERVER), said(from, SERVER, 0, &CLIENT_LINE[..10])] {
            capture.pass(&packet, &[0]);
        }
        capture.wait(1000);
        assert!(capture.snapshot().rows.iter().all(|flow| flow.app.is_none()));
    }
    capture.pass(&syn(A, SERVER), &[0]);
    capture.pass(&said(A, SERVER, 0, CLIENT_LINE), &[0]);
    let told = capture.finish().rows.iter().filter(|flow| flow.app.is_some()).count();
    assert_eq!(told, 1);
}

/// What is kept of flows that never finish their opening is bounded, and what had to go is told.
#[test]
fn the_oldest_makes_room() {
    let mut capture = Capture::of_everything();
    let flows: u32 = 4096 + 100;
    for n in 0..flows {
        let [_, _, high, low] = n.to_be_bytes();
        let from = End([10, 1, high, low], 40_000);
        capture.pass(&said(from, SERVER, 0, &CLIENT_LINE[..10]), &[0]);
    }
    let from = End([10, 1, 0, 0], 40_000);
    capture.pass(&said(from, SERVER, 10, &CLIENT_LINE[10..]), &[0]);
    let last = End([10, 1, 0x10, 0x50], 40_000);
    capture.pass(&said(last, SERVER, 10, &CLIENT_LINE[10..]), &[0]);
    let snapshot = capture.finish();
    let told = |end: End| {
        let flow = snapshot.rows.iter().find(|flow| flow.source == end.endpoint());
        flow.expect("there was such a flow").app.is_some()
    };
    assert_eq!((told(from), told(last)), (false, true));
    assert_eq!(snapshot.ledger.unread_openings, 100);
}
