//! What ends a wait for packets, and when there is nothing to wait for.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use capture::ring::{Options, RingSource};
use capture::{Next, PacketSource};

use crate::frames::{ethernet, ipv4, udp};
use crate::lab::Lab;
use crate::sys::{RawSender, within};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn root_a_bell_ends_a_wait() {
    let Some(lab) = Lab::new() else { return };
    let mut source = lab.open("b", &["vb"]);
    let (mut rings, heard) = UnixStream::pair().unwrap();
    heard.set_nonblocking(true).unwrap();
    source.heed_bell(heard.into());
    // How long it waits, of so long at most.
    let mut waits = |most: Duration| {
        let begun = Instant::now();
        assert!(matches!(source.next_batch(most).unwrap(), Next::Idle));
        begun.elapsed()
    };
    let soon = Duration::from_millis(100);
    // However often it has rung, it has rung once.
    rings.write_all(&[0; 1000]).unwrap();
    assert!(waits(LONG) < LONG / 2);
    assert!(waits(soon) >= soon);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(soon);
            rings.write_all(&[0]).unwrap();
        });
        assert!(waits(LONG) < LONG / 2);
    });
    // Whoever rings is gone: that is heard once.
    drop(rings);
    assert!(waits(LONG) < LONG / 2);
    assert!(waits(soon) >= soon);
}

/// What passed before the ring was stopped is there, and it is known when it was all.
#[test]
fn root_a_ring_is_drained() {
    let Some(lab) = Lab::new() else { return };
    let options = Options { patience: Duration::from_millis(300), ..lab.options("b", &["vb"]) };
    let mut source = RingSource::open(&options).unwrap();
    assert!(source.is_drained(), "nothing has passed");
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    let frame = ethernet(0x0800, &ipv4(17, 0, &udp(40000, 7000, b"x", 100)));
    (0..7).for_each(|_| sender.send(&frame));
    source.stop().unwrap();
    sender.send(&frame);
    let mut seen = 0;
    while !source.is_drained() {
        match source.next_batch(LONG).unwrap() {
            Next::Batch(batch) => seen += batch.packets().count(),
            Next::Idle | Next::End => break,
        }
    }
    assert_eq!(seen, 7);
}
