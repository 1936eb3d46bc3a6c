//! Flows of which the kernel exchanges the addresses on their way.

use flow::{Answer, Event, Reason};

use crate::wire::{A, B, BEYOND, Capture, End, SECOND, Sent, packets, path, segment};

const ETH0: u32 = 0;
const VETH1: u32 = 2;
const OTHER: End = End([10, 0, 0, 2], 40_000);

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
