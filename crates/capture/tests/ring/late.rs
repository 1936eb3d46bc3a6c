//! The filter that counts in the kernel, beside the one that does not.

use std::time::Duration;

use capture::ring::{KernelCounts, Options, RingSource, Snaplen};
use capture::{Next, PacketSource};

use crate::frames::{framed, in_pppoe, packets, tagged};
use crate::lab::{Lab, drain};
use crate::sys::{RawSender, Tun, within};

/// A source whose ring is backed by counts; `None`, and why on standard error, where the kernel does not let us.
#[allow(clippy::print_stderr)]
pub(crate) fn counting(options: &Options) -> Option<RingSource> {
    let source = RingSource::open(&Options { count_in_kernel: true, ..options.clone() }).unwrap();
    match source.refusal() {
        None => Some(source),
        Some(refusal) if refusal.is_refusal() => {
            eprintln!("skipped: needs CAP_BPF: {refusal}");
            None
        }
        Some(refusal) => panic!("{refusal}"),
    }
}

/// Every packet is seen by both, and as much is kept of it.
#[test]
fn root_both_filters_keep_the_same() {
    let Some(lab) = Lab::new() else { return };
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    let to_itself = within(&lab.path("b"), || RawSender::open("lo"));
    let mut tun = within(&lab.path("b"), || Tun::open("tun0"));
    lab.ip("b", &["link", "set", "tun0", "up"]);
    for interfaces in [&["vb"][..], &["vb", "lo"], &[]] {
        for snaplen in [Snaplen::Adaptive, Snaplen::Fixed(100)] {
            let options = Options { snaplen, ring_bytes: 64 << 20, ..lab.options("b", interfaces) };
            let Some(mut ours) = counting(&options) else { return };
            let mut classic = RingSource::open(&options).unwrap();
            for packet in packets() {
                for frame in [framed(&packet), in_pppoe(&packet), tagged(7, &framed(&packet))] {
                    (14..=frame.len()).for_each(|len| sender.send(&frame[..len]));
                    to_itself.send(&frame);
                }
                (20..=packet.len()).for_each(|len| tun.send(&packet[..len]));
            }
            let (ours, theirs) = (drain(&mut ours), drain(&mut classic));
            let of = |captured: &crate::lab::Captured| {
                (captured.interface.clone(), captured.wire_len, captured.bytes.clone(), captured.vlan_tci)
            };
            assert!(theirs.len() > 5000, "{}", theirs.len());
            assert_eq!(ours.len(), theirs.len(), "{interfaces:?}");
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(of(ours), of(theirs), "{interfaces:?} {snaplen:?}");
            }
        }
    }
}

/// Packets and wire bytes.
fn counted(counts: &KernelCounts) -> (u64, u64) {
    let places = counts.counts().map(|count| (count.packets, count.frame_bytes));
    let rest = counts.unplaced().iter().map(|rest| (rest.packets, rest.frame_bytes));
    places.chain(rest).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// What a packet takes of a block besides what was kept of it: its header and the address of its link (`tpacket3_hdr`,
/// `sockaddr_ll`), without what they are aligned by.
const SLOT: usize = 48 + 20;

/// Nobody reads while far more packets come than there is room for, short ones and long ones, at full speed and so slowly
/// that every block is closed by its time: the kernel has dropped none, and none is missing.
#[test]
fn root_the_kernel_drops_nothing() {
    let Some(lab) = Lab::new() else { return };
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    let all = packets();
    let short: Vec<_> = (0..64).map(|n| framed(&all[n % all.len()])).collect();
    let long: Vec<_> = short.iter().map(|frame| [&frame[..], &[0; 1000]].concat()).collect();
    for (ring_bytes, block_bytes) in
        [(1 << 20, 64 << 10), (256 << 10, 4096), (8 << 20, 1 << 20), (4 << 20, 1 << 20)]
    {
        for (frames, rounds, pause) in
            [(&short, 3000, 0), (&long, 500, 0), (&short, 200, 15), (&long, 100, 30)]
        {
            let options = Options { ring_bytes, block_bytes, ..lab.options("b", &["vb"]) };
            let Some(mut source) = counting(&options) else { return };
            for _ in 0..rounds {
                sender.send_all(frames);
                std::thread::sleep(Duration::from_millis(pause));
            }
            let (mut sum, mut room) = ((0, 0), 0);
            while let Next::Batch(batch) = source.next_batch(Duration::from_millis(250)).unwrap() {
                sum =
                    batch.packets().fold(sum, |sum, packet| (sum.0 + 1, sum.1 + u64::from(packet.wire_len)));
                room += batch.packets().map(|packet| packet.bytes.len() + SLOT).sum::<usize>();
            }
            let in_ring = sum;
            while source.has_counted() {
                let more = counted(&source.take_counts().unwrap());
                sum = (sum.0 + more.0, sum.1 + more.1);
            }
            let what = format!("{ring_bytes} {block_bytes} {rounds} {pause}: {in_ring:?}");
            assert_eq!(source.ring_stats().dropped, 0, "{what}");
            let bytes: usize = frames.iter().map(Vec::len).sum();
            assert_eq!(sum, (rounds * 64, rounds * bytes as u64), "{what}");
            assert!(in_ring.0 > 0, "{what}");
            // A ring of as many blocks as the program makes is used well: more than half of it.
            if rounds == 3000 && block_bytes > 4096 && ring_bytes / block_bytes >= 16 {
                assert!(room > ring_bytes / 2, "{what}, in {room} bytes");
            }
        }
    }
}

/// Less memory only where nothing is lost for it.
#[test]
fn root_a_ring_is_halved_where_the_kernel_counts() {
    let Some(lab) = Lab::new() else { return };
    let options = Options { ring_bytes: 4 << 20, halve_if_counted: true, ..lab.options("a", &["va"]) };
    assert_eq!(RingSource::open(&options).unwrap().bytes(), 4 << 20);
    let Some(counted) = counting(&options) else { return };
    assert_eq!(counted.bytes(), 2 << 20);
    let as_asked = Options { halve_if_counted: false, ..options };
    assert_eq!(counting(&as_asked).unwrap().bytes(), 4 << 20);
}
