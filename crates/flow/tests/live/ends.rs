//! Flows that are over on one interface, on all, or sooner than others of their five-tuple.

use flow::{Config, Event, FlowRecord, Options, SortKey, Timeouts};

use crate::wire::{A, B, Capture, End, SECOND, Sent, datagram, packets, segment};

const ETH0: u32 = 0;
const BR0: u32 = 1;

/// The flows that views were told of as over.
fn over(capture: &mut Capture) -> Vec<FlowRecord> {
    let flow = |event| match event {
        Event::Flow(flow) => Some(flow),
        _ => None,
    };
    capture.collector.take_events(None).into_iter().filter_map(flow).collect()
}

/// A flow of six packets, from SYN to both FINs.
fn conversation(capture: &mut Capture, interfaces: &[u32]) {
    let steps = [
        (A, B, 2, 100),
        (B, A, 0x12, 500),
        (A, B, 0x10, 101),
        (A, B, 0x11, 101),
        (B, A, 0x11, 501),
        (A, B, 0x10, 102),
    ];
    for (from, to, flags, seq) in steps {
        capture.pass(&Sent { flags, ..segment(from, to, seq, 0) }, interfaces);
    }
}

#[test]
fn a_flow_that_goes_on_elsewhere_is_not_over() {
    let mut capture = Capture::of_everything();
    capture.stream(A, B, 0..3, &[ETH0, BR0]);
    for round in 1..5 {
        capture.now += 500 * SECOND;
        capture.stream(A, B, 3 * round..3 * round + 3, &[BR0]);
        capture.wait(1);
    }
    assert_eq!(over(&mut capture), []);
    assert_eq!(packets(&capture.report().rows[0]), (15, 0));
    // And back again, as what it was.
    capture.stream(A, B, 15..18, &[ETH0, BR0]);
    let snapshot = capture.report();
    assert_eq!((snapshot.flows, packets(&snapshot.rows[0])), (1, (18, 0)));
    capture.wait(1000);
    assert_eq!(over(&mut capture).iter().map(packets).collect::<Vec<_>>(), [(18, 0)]);
}

#[test]
fn the_same_five_tuple_again_is_another_flow() {
    let mut capture = Capture::of_everything();
    conversation(&mut capture, &[ETH0, BR0]);
    capture.report();
    capture.now += 30 * SECOND;
    // The first ends and the second begins before the tables tell.
    (0..flow::ROUNDS).for_each(|_| capture.expire(0));
    conversation(&mut capture, &[ETH0, BR0]);
    capture.report();
    let first = over(&mut capture);
    assert_eq!(first.iter().map(packets).collect::<Vec<_>>(), [(4, 2)]);
    capture.wait(30);
    let second = over(&mut capture);
    assert_eq!(second.iter().map(packets).collect::<Vec<_>>(), [(4, 2)]);
    assert!(first[0].last < second[0].first);
    assert_eq!(second[0].tcp.as_ref().unwrap().history, "ShAFf");
}

#[test]
fn what_is_over_has_no_pace() {
    let live = Some(Timeouts::default());
    let config = Config { rows: 5, sort: SortKey::Rate, ..Config::default() };
    let mut capture = Capture::new(&Options { live, ..Options::default() }, config, 1);
    conversation(&mut capture, &[ETH0]);
    capture.now += SECOND;
    let pace = |capture: &mut Capture| capture.report().rows[0].pace.unwrap();
    assert!(pace(&mut capture).now > 0.0);
    capture.wait(30);
    let after = pace(&mut capture);
    assert_eq!((after.now, after.recent[flow::RECENT - 1]), (0.0, 0));
    assert!(after.peak > 0.0);
    // One that is slow now comes before one that was fast.
    capture.stream(B, crate::wire::BEYOND, 0..1, &[ETH0]);
    capture.now += SECOND;
    let rows = capture.report().rows;
    assert_eq!(rows.iter().map(|flow| flow.pace.unwrap().now > 0.0).collect::<Vec<_>>(), [true, false]);
}

/// One flow ends and another takes its place, both within an interval.
#[test]
fn what_took_the_place_of_another_has_its_own_pace() {
    let mut capture = Capture::of_everything();
    conversation(&mut capture, &[ETH0]);
    capture.tell(0);
    capture.now += 30 * SECOND;
    (0..flow::ROUNDS).for_each(|_| capture.expire(0));
    capture.tell(0);
    for _ in 0..2 {
        capture.collector.settle(dissect::Timestamp(capture.now));
        capture.now += SECOND;
    }
    assert_eq!(over(&mut capture).len(), 1);
    capture.stream(B, crate::wire::BEYOND, 0..3, &[ETH0]);
    let rows = capture.report().rows;
    let last = rows.iter().find(|flow| packets(flow) == (3, 0)).unwrap();
    let pace = last.pace.unwrap();
    assert_eq!(pace.recent[flow::RECENT - 2..], [0, last.sent.ip_bytes]);
    assert!(pace.now > 0.0);
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    let mut capture = Capture::of_everything();
    capture.stream(A, B, 0..10, &[ETH0]);
    capture.now += 10 * SECOND;
    let before = capture.report().live.unwrap();
    assert!(before.now.packets > 0.9);
    capture.now -= 3600 * SECOND;
    capture.stream(A, B, 10..20, &[ETH0]);
    assert!(capture.report().live.unwrap().now.packets > 0.9);
    capture.now += 10 * SECOND;
    let snapshot = capture.report();
    assert_eq!((snapshot.live.unwrap().now.packets, snapshot.total.packets), (0.0, 20));
}

/// The program's own lookups are in the account like any other flow, but not on show.
#[test]
fn own_lookups_are_hidden_and_marked() {
    let options = Options { live: Some(Timeouts::default()), ..Options::default() };
    let selection = flow::Selection { own: vec![A.socket()], ..flow::Selection::default() };
    let config = Config { rows: usize::MAX, events: true, selection, ..Config::default() };
    let mut capture = Capture::new(&options, config, 1);
    capture.pass(&datagram(A, B, 1, b"own"), &[ETH0]);
    capture.pass(&datagram(B, A, 2, b"own"), &[ETH0]);
    capture.pass(&datagram(B, End(A.0, A.1 + 1), 3, b"another's"), &[ETH0]);
    capture.now += SECOND;
    let snapshot = capture.report();
    assert_eq!((snapshot.flows, snapshot.total.packets, snapshot.ledger.counted.packets), (1, 1, 3));
    let live = snapshot.live.unwrap();
    let seconds = snapshot.duration().as_secs_f64();
    assert!((live.now.packets * seconds - 1.0).abs() < 1e-9, "of what is shown: {live:?}");
    assert_eq!(live.peak, live.now);
    capture.wait(200);
    let mut marks: Vec<_> = over(&mut capture).iter().map(|f| (f.own_lookup, packets(f))).collect();
    marks.sort_unstable();
    assert_eq!(marks, [(false, (1, 0)), (true, (1, 1))]);
}
