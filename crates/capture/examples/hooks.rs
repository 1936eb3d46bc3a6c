//! Prints what the programs in the kernel tell, for some seconds.
#![allow(clippy::print_stdout, reason = "an example")]

#[cfg(target_os = "linux")]
fn main() {
    use std::time::{Duration, Instant};

    use capture::bpf::{Hooks, Options};

    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    let start = Instant::now();
    let mut hooks = match Hooks::open(&Options { accounts: true, ..Options::default() }) {
        Ok(hooks) => hooks,
        Err(refusal) => return println!("nothing: {refusal}"),
    };
    println!("{:?} in {:?}", hooks.attached(), start.elapsed());
    for refusal in hooks.refused() {
        println!("refused: {refusal}");
    }
    let start = Instant::now();
    let mut there = 0;
    let result = hooks.snapshot(|event| {
        there += 1;
        if there < 20 {
            println!("there {event:?}");
        }
    });
    println!("{there} sockets in {:?}: {result:?}", start.elapsed());
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
        hooks.read(|event| println!("{event:?}"));
    }
    let start = Instant::now();
    let mut totals = Vec::new();
    let read = hooks.accounts(|round_trip| println!("{round_trip:?}"), |total| totals.push(total));
    println!("{} accounts in {:?}: {read:?}", totals.len(), start.elapsed());
    totals.iter().take(20).for_each(|total| println!("{total:?}"));
    println!("lost {}", hooks.take_lost());
}

#[cfg(not(target_os = "linux"))]
fn main() {}
