//! Flows of which the kernel exchanges the addresses on their way.

use std::sync::Arc;

use flow::{Answer, Attributed, Elsewhere, End as At, Event, Evidence, Owner, Reason};

use crate::wire::{A, B, BEYOND, Capture, End, SECOND, Sent, packets, path, segment};

const ETH0: u32 = 0;
const VETH1: u32 = 2;
const OTHER: End = End([10, 0, 0, 2], 40_000);

fn owner(pid: u32, end: At, peer: Option<u32>) -> Answer {
    let process = |pid| {
        Arc::new(Owner {
            pid,
            start: 7,
            name: format!("process-{pid}"),
            executable: None,
            command_line: vec![],
            uid: None,
            user: None,
            parent: 1,
            cgroup: None,
            unit: None,
            container: None,
            net_namespace: None,
        })
    };
    Answer::Owner(Attributed {
        owner: process(pid),
        end,
        evidence: Evidence::Told,
        peer: peer.map(process),
        elsewhere: Elsewhere::Nobody,
    })
}

/// From A to B and back, translated between veth1 and eth0.
fn exchange(capture: &mut Capture, numbers: std::ops::Range<u32>) {
    for n in numbers {
        capture.stream(A, B, n..n + 1, &[VETH1]);
        capture.stream(BEYOND, B, n..n + 1, &[ETH0]);
        capture.stream(B, BEYOND, n..n + 1, &[ETH0]);
        capture.stream(B, A, n..n + 1, &[VETH1]);
    }
}

#[test]
fn whenever_a_translation_is_known_the_flow_is_one() {
    // Never told twice: before the first packet, after some that were told, after some that were not.
    for known_after in [0, 1, 7, 20] {
        for told in [false, true] {
            let mut capture = Capture::of_everything();
            for n in 0..20 {
                if n == known_after {
                    capture.translate((A, B), (BEYOND, B), false);
                }
                exchange(&mut capture, n..n + 1);
                if told {
                    capture.report();
                }
            }
            if known_after == 20 {
                capture.report();
                capture.translate((A, B), (BEYOND, B), false);
            }
            let snapshot = capture.report();
            let [flow] = &snapshot.rows[..] else { panic!("{:?}", snapshot.rows) };
            assert_eq!((flow.source, flow.destination), (A.endpoint(), B.endpoint()));
            assert_eq!((packets(flow), path(flow)), ((20, 20), vec!["veth1", "eth0"]));
            assert_eq!(flow.nat, Some((BEYOND.endpoint(), B.endpoint())));
            assert_eq!(snapshot.total.packets, 40);
        }
    }
}

#[test]
fn a_translation_is_remembered_while_tables_count_beyond_it() {
    let mut capture = Capture::of_everything();
    capture.translate((A, B), (BEYOND, B), false);
    exchange(&mut capture, 0..5);
    capture.report();
    capture.translate((A, B), (BEYOND, B), true);
    // The kernel forgets sooner than the tables.
    for _ in 0..20 {
        capture.wait(50);
        capture.collector.take_events(Some(dissect::Timestamp(capture.now)));
    }
    let snapshot = capture.report();
    assert_eq!((snapshot.flows, snapshot.total.packets), (1, 10));
    let mut open = 0;
    capture.collector.end_flows(|flows| open += flows.len());
    assert_eq!(open, 0, "it has ended");
}

#[test]
fn a_five_tuple_that_is_used_again_keeps_its_new_translation() {
    let mut capture = Capture::of_everything();
    capture.translate((A, B), (BEYOND, B), false);
    exchange(&mut capture, 0..5);
    capture.report();
    capture.translate((A, B), (BEYOND, B), true);
    capture.wait(20);
    capture.translate((A, B), (BEYOND, B), false);
    capture.wait(20);
    capture.collector.take_events(Some(dissect::Timestamp(capture.now)));
    exchange(&mut capture, 5..10);
    let snapshot = capture.report();
    assert_eq!((snapshot.flows, snapshot.total.packets), (1, 20));
}

#[test]
fn a_five_tuple_that_becomes_another_flow_s_leaves_nothing_open() {
    let mut capture = Capture::of_everything();
    capture.translate((A, B), (BEYOND, B), false);
    exchange(&mut capture, 0..5);
    capture.report();
    capture.translate((A, B), (BEYOND, B), true);
    capture.translate((OTHER, B), (BEYOND, B), false);
    for n in 0..3 {
        capture.stream(OTHER, B, n..n + 1, &[VETH1]);
        capture.stream(BEYOND, B, n..n + 1, &[ETH0]);
    }
    let snapshot = capture.report();
    assert_eq!((snapshot.flows, snapshot.total.packets), (2, 13));
    for _ in 0..4 {
        capture.wait(600);
    }
    capture.collector.take_events(None);
    let mut open = 0;
    capture.collector.end_flows(|flows| open += flows.len());
    assert_eq!(open, 0);
    assert_eq!(capture.report().total.packets, 13);
}

#[test]
fn what_is_not_found_beyond_a_translation_says_nothing() {
    let mut capture = Capture::of_everything();
    exchange(&mut capture, 0..3);
    capture.tell(0);
    let mut tickets = capture.collector.take_questions();
    tickets.sort_by_key(|(_, question)| question.source != A.socket());
    let [(original, _), (beyond, question)] = tickets[..] else { panic!("{tickets:?}") };
    assert_eq!(question.source, BEYOND.socket());
    capture.translate((A, B), (BEYOND, B), false);
    capture.collector.answer(original, Answer::None(Reason::Forwarded));
    capture.collector.answer(beyond, Answer::None(Reason::Ended));
    assert_eq!(capture.report().rows[0].owner, Some(Answer::None(Reason::Forwarded)));
}

/// A client asks a service's address for what a server has, and the server sees it come from the router: each socket has a
/// five-tuple of its own.
#[test]
fn ends_are_asked_about_by_what_their_sockets_have() {
    let as_client = (A.socket(), B.socket());
    let as_server = (BEYOND.socket(), OTHER.socket());
    // Told before all packets, after those on one side, after those on the other, or after both.
    for first in [[].as_slice(), &[VETH1], &[ETH0], &[VETH1, ETH0]] {
        for server_begins in [false, true] {
            let mut capture = Capture::of_everything();
            let pass = |capture: &mut Capture, interface| {
                let ends = if interface == VETH1 { (A, B) } else { (BEYOND, OTHER) };
                let (from, to) = if server_begins { (ends.1, ends.0) } else { ends };
                capture.stream(from, to, 1..2, &[interface]);
                capture.tell(0);
            };
            for interface in first {
                pass(&mut capture, *interface);
            }
            let before = capture.collector.take_questions();
            capture.translate((A, B), (BEYOND, OTHER), false);
            for interface in [VETH1, ETH0] {
                pass(&mut capture, interface);
            }
            capture.translate((A, B), (BEYOND, OTHER), false);
            let after = capture.collector.take_questions();
            let [(ticket, question)] = after[..] else { panic!("{first:?}: {after:?}") };
            let [source, destination] = [At::Source, At::Destination].map(|end| question.known_at(end));
            let expected = (as_client, (as_server.1, as_server.0));
            let expected = if server_begins { (expected.1, expected.0) } else { expected };
            assert_eq!((source, destination), expected, "{first:?}, server begins: {server_begins}");
            // Whoever was found by one of the five-tuples alone, at an end that does not have it, is not the owner.
            for (ticket, _) in before {
                capture.collector.answer(ticket, owner(9, At::Source, None));
                capture.collector.answer(ticket, owner(9, At::Destination, None));
            }
            capture.collector.answer(ticket, owner(1, At::Source, Some(2)));
            assert_eq!(capture.report().rows[0].owner, Some(owner(1, At::Source, Some(2))));
        }
    }
}

#[test]
fn who_was_found_before_the_translation_was_known_stays_where_nobody_is_found_then() {
    for (end, stays) in [(At::Source, true), (At::Destination, false)] {
        let mut capture = Capture::of_everything();
        capture.stream(A, B, 1..2, &[VETH1]);
        capture.tell(0);
        let (ticket, _) = capture.collector.take_questions()[0];
        capture.collector.answer(ticket, owner(7, end, Some(8)));
        capture.translate((A, B), (BEYOND, OTHER), false);
        let (ticket, _) = capture.collector.take_questions()[0];
        capture.collector.answer(ticket, Answer::None(Reason::Ended));
        let expected = if stays { owner(7, end, None) } else { Answer::None(Reason::Ended) };
        assert_eq!(capture.report().rows[0].owner, Some(expected));
    }
}

#[test]
fn an_answer_for_a_flow_that_is_gone_is_nobody_s() {
    let mut capture = Capture::of_everything();
    capture.stream(A, B, 0..3, &[ETH0]);
    capture.tell(0);
    let tickets = capture.collector.take_questions();
    capture.wait(1000);
    capture.collector.answer(tickets[0].0, Answer::None(Reason::Ended));
    // The same five-tuple, later.
    capture.stream(A, B, 9..12, &[ETH0]);
    capture.tell(0);
    capture.collector.answer(tickets[0].0, Answer::None(Reason::Ended));
    let events = capture.collector.take_events(None);
    let owners = events.iter().filter_map(|event| match event {
        Event::Flow(flow) => Some(flow.owner.clone()),
        _ => None,
    });
    assert_eq!(owners.collect::<Vec<_>>(), [None]);
    let snapshot = capture.report();
    assert!(snapshot.rows.iter().all(|flow| flow.owner.is_none()), "{:?}", snapshot.rows);
    assert_eq!(snapshot.ledger.reasons, [("not looked up yet".to_owned(), 2)]);
}

/// The kernel tells of a translation a little after its first packets have passed, and their request.
#[test]
fn a_name_that_passes_a_translation_is_told_once() {
    for is_known_before in [true, false] {
        let mut capture = Capture::of_names();
        let request = |from| Sent {
            flags: 0x18,
            payload: b"GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n".to_vec(),
            ..segment(from, B, 1, 0)
        };
        if is_known_before {
            capture.translate((A, B), (BEYOND, B), false);
        }
        capture.pass(&request(A), &[VETH1]);
        capture.pass(&request(BEYOND), &[ETH0]);
        capture.tell(0);
        let mut events = capture.collector.take_events(Some(dissect::Timestamp(capture.now)));
        capture.now += SECOND / 10;
        capture.translate((A, B), (BEYOND, B), false);
        capture.now += SECOND;
        events.extend(capture.collector.take_events(Some(dissect::Timestamp(capture.now))));
        let names = events.iter().filter_map(|event| match event {
            Event::Name(name) => Some((name.tuple.src, &*name.name)),
            _ => None,
        });
        assert_eq!(names.collect::<Vec<_>>(), [(A.endpoint(), "www.example.org")]);
    }
}
