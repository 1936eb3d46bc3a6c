//! Counts the packets of this machine's interfaces, and says what that cost.
//!
//! `ring SECONDS [SNAPLEN [INTERFACE…]]`; a snaplen of `-` is the adaptive one.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use capture::ring::{Error, Options, RingSource, Snaplen};
use capture::{Next, PacketSource};

/// Time that this thread has run, in nanoseconds.
fn cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let seconds = args.next().and_then(|s| s.parse().ok()).unwrap_or(5.0);
    let snaplen = args.next().and_then(|s| s.parse().ok()).map_or(Snaplen::Adaptive, Snaplen::Fixed);
    let mut source =
        RingSource::open(&Options { interfaces: args.collect(), snaplen, ..Options::default() })?;
    println!("ready: {}", source.interface_names().join(" "));
    let (end, before) = (Instant::now() + Duration::from_secs_f64(seconds), cpu());
    let (mut packets, mut bytes, mut batches, mut names) = (0_u64, 0_u64, 0_u64, Vec::new());
    while Instant::now() < end {
        if let Next::Batch(batch) = source.next_batch(Duration::from_millis(200))? {
            batches += 1;
            packets += batch.len() as u64;
            bytes += batch.packets().map(|packet| u64::from(packet.wire_len)).sum::<u64>();
            names = batch.interfaces.iter().map(|i| i.name.clone().unwrap_or_default()).collect();
        }
        for change in source.take_changes() {
            println!("{change:?}");
        }
    }
    let (spent, stats, kept) = (cpu() - before, source.ring_stats(), source.stats().consumed);
    println!(
        "{packets} packets, {bytes} bytes ({kept} kept), {batches} batches, of {names:?}; {} seen, {} dropped, {} freezes; \
         {:.1} ms of CPU, {:.1} ns a packet",
        stats.seen,
        stats.dropped,
        stats.freezes,
        spent as f64 / 1e6,
        spent as f64 / packets.max(1) as f64,
    );
    Ok(())
}
