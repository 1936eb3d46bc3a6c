//! However the packets of a live capture are spread over interfaces and tables, and whenever its flows end and its tables
//! tell: nothing is lost, and nothing that passed all interfaces counts twice.

use dissect::Packet;
use flow::{Config, Event, InterfaceLedger, Options, Timeouts};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::kept::{Kept, captures};
use crate::wire::Capture;

/// What happens after a packet.
#[derive(Clone, Copy, Debug)]
enum Step {
    Nothing,
    TellEvents,
    Tell,
    Report,
    /// So many seconds pass; what has ended is looked for.
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Nothing),
        2 => Just(Step::TellEvents),
        2 => Just(Step::Tell),
        2 => Just(Step::Report),
        1 => (1..40_i64).prop_map(Step::Wait),
    ]
}

/// Replays `packets` on `interfaces` at once.
fn replay(capture: &mut Capture, packets: &[Kept], interfaces: u32, tables: usize, steps: &[Step]) {
    for (n, kept) in packets.iter().enumerate() {
        let table = kept.pair() % tables;
        for interface in 0..interfaces {
            capture.now += 1000;
            let timestamp = dissect::Timestamp(capture.now);
            capture.observe(table, Packet { interface, timestamp, ..kept.packet() });
        }
        match steps[n % steps.len()] {
            Step::Nothing => {}
            Step::TellEvents => capture.tell_events(table),
            Step::Tell => capture.tell(table),
            Step::Report => {
                capture.report();
                capture.collector.settle(dissect::Timestamp(capture.now));
            }
            Step::Wait(seconds) => {
                capture.now += seconds * 1_000_000_000;
                capture.expire(table);
            }
        }
    }
}

fn sum(interfaces: &[InterfaceLedger], of: fn(&InterfaceLedger) -> (u64, u64)) -> (u64, u64) {
    interfaces.iter().map(of).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_counts_twice(
        interfaces in 1..4_u32,
        tables in 1..4_usize,
        few in prop_oneof![Just(4_000_000), 1..8_usize],
        steps in vec(step(), 1..40),
    ) {
        for packets in captures() {
            let options = Options { max_flows: few, live: Some(Timeouts::default()), ..Options::default() };
            let config = Config { rows: usize::MAX, dns_lines: 0, events: true, ..Config::default() };
            let mut capture = Capture::new(&options, config, tables);
            replay(&mut capture, &packets, interfaces, tables, &steps);
            let mut told: u64 = flows(&capture.collector.take_events(None));
            for table in 0..tables {
                capture.tell(table);
            }
            told += flows(&capture.collector.take_events(None));
            let mut open = 0;
            capture.collector.end_flows(|events| open += flows(&events));
            let snapshot = capture.finish();

            let wire = packets.iter().map(|p| u64::from(p.packet.wire_len)).sum::<u64>();
            let all = (packets.len() as u64, wire);
            let ledgers = &snapshot.ledger.interfaces;
            for ledger in &ledgers[..interfaces as usize] {
                prop_assert_eq!(ledger.seen, all);
                prop_assert!(ledger.closes());
                prop_assert_eq!(ledger.counted, ledgers[0].counted);
            }
            let counted = sum(ledgers, |ledger| ledger.counted);
            prop_assert_eq!((snapshot.ledger.counted.packets, snapshot.ledger.counted.frame_bytes), counted);
            prop_assert_eq!(told + open, snapshot.total.packets, "every packet is in one record");
            // An eviction may part a flow's strands while its packets are on their way.
            if few == 4_000_000 {
                prop_assert_eq!((snapshot.total.packets, snapshot.total.frame_bytes), ledgers[0].counted);
            } else {
                prop_assert!(snapshot.total.packets >= ledgers[0].counted.0);
            }
        }
    }
}

/// Packets of the flows among `events`.
fn flows(events: &[Event]) -> u64 {
    let packets = |event: &Event| match event {
        Event::Flow(flow) => flow.total().packets,
        _ => 0,
    };
    events.iter().map(packets).sum()
}
