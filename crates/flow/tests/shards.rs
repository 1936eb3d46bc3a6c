//! However the packets are spread over tables, and whenever their deltas are taken and absorbed, the account is the same.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use dissect::Timestamp;
use dissect::app::Depth;
use flow::{Collector, Config, Delta, FlowRecord, FlowTable, InterfaceName, Options, Snapshot};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

mod kept;

use kept::{Kept, captures};

fn collector() -> Collector {
    let mut collector = Collector::new(Config { rows: usize::MAX, dns_lines: 0, ..Config::default() });
    for name in ["eth0", "br0", "veth1"] {
        collector.add_interface(InterfaceName { file: None, name: Some(name.into()) });
    }
    collector
}

/// What all deltas amount to.
fn sum(deltas: impl IntoIterator<Item = Delta>) -> Snapshot {
    let mut collector = collector();
    deltas.into_iter().for_each(|delta| collector.absorb(delta));
    let snapshot = collector.snapshot(None, true);
    assert!(snapshot.ledger.closes(), "{:?}", snapshot.ledger);
    snapshot
}

/// The deltas of `shards` tables; one is taken after each of the packets that `moments` tell.
fn deltas(packets: &[Kept], options: &Options, shards: usize, moments: &[Index]) -> Vec<Vec<Delta>> {
    let mut tables: Vec<_> = (0..shards).map(|_| FlowTable::new(options.clone())).collect();
    let mut taken: Vec<Vec<Delta>> = tables.iter().map(|_| Vec::new()).collect();
    let moments: Vec<_> = moments.iter().map(|m| m.index(packets.len())).collect();
    for (n, kept) in packets.iter().enumerate() {
        let shard = kept.pair() % shards;
        tables[shard].observe_batch(std::iter::once(kept.packet()));
        if moments.contains(&n) {
            taken[shard].push(tables[shard].take_delta());
        }
    }
    for (table, taken) in tables.into_iter().zip(&mut taken) {
        taken.push(table.finish());
    }
    taken
}

/// One after another, each shard's in order, the shards as `turns` has it.
fn interleaved(mut shards: Vec<Vec<Delta>>, turns: &[Index]) -> Vec<Delta> {
    for deltas in &mut shards {
        deltas.reverse();
    }
    let mut order = Vec::new();
    for n in 0.. {
        shards.retain(|deltas| !deltas.is_empty());
        if shards.is_empty() {
            break;
        }
        let turn = turns[n % turns.len()].index(shards.len());
        order.extend(shards[turn].pop());
    }
    order
}

/// What a table tells that takes the packets in batches of these lengths, in turn. All packets of one have a time, or none has.
fn batched(packets: &[Kept], options: &Options, lengths: &[usize]) -> Snapshot {
    let mut table = FlowTable::new(options.clone());
    let mut lengths = lengths.iter().cycle();
    let is_timed = |kept: &Kept| kept.packet.timestamp != Timestamp::UNKNOWN;
    for mut rest in packets.chunk_by(|a, b| is_timed(a) == is_timed(b)) {
        while !rest.is_empty() {
            let (batch, behind) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
            table.observe_batch(batch.iter().map(Kept::packet));
            rest = behind;
        }
    }
    sum([table.finish()])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Packets of a batch are on their way to their flows together: those that begin a flow, are evicted, or find another's
    /// place among them.
    #[test]
    fn batches_do_not_matter(lengths in vec(1..200_usize, 1..8), max_flows in 1..40_usize) {
        for packets in captures() {
            for max_flows in [max_flows, usize::MAX] {
                let options = Options { max_flows, ..Options::default() };
                let alone = batched(&packets, &options, &[1]);
                prop_assert_eq!(batched(&packets, &options, &lengths), alone);
            }
        }
    }

    #[test]
    fn shards_and_moments_do_not_matter(
        shards in 1..5_usize,
        moments in vec(any::<Index>(), 0..8),
        turns in vec(any::<Index>(), 1..8),
    ) {
        for packets in captures() {
            let options = Options::default();
            let whole = sum(deltas(&packets, &options, 1, &[]).into_iter().flatten());
            let spread = sum(interleaved(deltas(&packets, &options, shards, &moments), &turns));
            prop_assert_eq!(spread, whole);
        }
    }

    #[test]
    fn evictions_lose_nothing(max_flows in 1..6_usize, moments in vec(any::<Index>(), 0..8)) {
        for packets in captures() {
            let few = Options { max_flows, ..Options::default() };
            let whole = sum(deltas(&packets, &Options::default(), 1, &[]).into_iter().flatten());
            let evicting = sum(deltas(&packets, &few, 1, &moments).into_iter().flatten());
            prop_assert_eq!(evicting.ledger.counted, whole.ledger.counted);
            prop_assert_eq!(&evicting.ledger.interfaces, &whole.ledger.interfaces);
            prop_assert_eq!(evicting.total, whole.total);
            prop_assert_eq!((evicting.first, evicting.last), (whole.first, whole.last));
        }
    }
}

#[test]
fn a_table_that_saw_nothing_adds_nothing() {
    let packets = captures().remove(0);
    let one = || deltas(&packets, &Options::default(), 1, &[]).remove(0);
    let idle = FlowTable::new(Options::default()).finish();
    assert_eq!(sum(one().into_iter().chain([idle])), sum(one()));
}

/// Where nobody takes records, details are not read; protocols, names and encrypted lookups are.
#[test]
fn the_same_is_told_of_flows_whoever_takes_records() {
    for packets in captures() {
        let told = |depth| {
            let options = Options { depth, ..Options::default() };
            let snapshot = sum(deltas(&packets, &options, 1, &[]).into_iter().flatten());
            let told = |flow: &FlowRecord| {
                let names = flow.app.as_ref().map(|app| app.names.clone());
                (flow.source, flow.destination, flow.app_protocol(), names, flow.encrypted_dns.clone())
            };
            snapshot.rows.iter().map(told).collect::<Vec<_>>()
        };
        assert_eq!(told(Depth::All), told(Depth::Names));
    }
}
