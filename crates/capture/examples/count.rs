//! Counts packets and bytes of capture files, and says what that cost.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::{Duration, Instant};

use capture::file::FileSource;
use capture::{Next, PacketSource};

fn main() {
    for name in std::env::args_os().skip(1) {
        let start = Instant::now();
        let (mut packets, mut bytes, mut batches) = (0_u64, 0_u64, 0_u64);
        let end = FileSource::open(Path::new(&name)).and_then(|mut source| {
            loop {
                match source.next_batch(Duration::from_secs(1))? {
                    Next::Batch(batch) => {
                        batches += 1;
                        packets += batch.len() as u64;
                        bytes += batch.packets().map(|packet| u64::from(packet.wire_len)).sum::<u64>();
                    }
                    Next::Idle => {}
                    Next::End => return Ok(()),
                }
            }
        });
        let took = start.elapsed();
        let each = took.as_nanos() as f64 / packets.max(1) as f64;
        println!(
            "{}: {packets} packets, {bytes} bytes, {batches} batches; {:.3} s, {each:.1} ns a packet{}",
            name.to_string_lossy(),
            took.as_secs_f64(),
            end.map_or_else(|e| format!("; {e}"), |()| String::new()),
        );
    }
}
