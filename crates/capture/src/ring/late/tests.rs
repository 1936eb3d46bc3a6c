//! The programs, in the kernel: they need `CAP_BPF`, and are skipped without it.
#![allow(clippy::unwrap_used, reason = "a test's own surroundings must work")]

use std::path::{Path, PathBuf};

use super::*;
use crate::file::FileSource;
use crate::ring::filter::{self, Snaplen};
use crate::ring::link::arphrd;
use crate::ring::program::Instruction;
use crate::ring::program::machine::{Seen, run};
use crate::{Next, PacketSource};
use dissect::LinkType;

const RING: Ring = Ring { block_size: 1 << 20, blocks: 32, patience: Duration::from_millis(50) };
/// The loopback's number, which a test run's packets come from.
const LO: usize = 1;

#[allow(clippy::print_stderr)]
fn load(decisions: &[Instruction], chosen: bool) -> Option<Late> {
    match Loader::new().load(decisions, chosen, RING) {
        Ok(late) => Some(late),
        Err(refusal) if refusal.is_refusal() => {
            eprintln!("skipped: needs CAP_BPF: {refusal}");
            None
        }
        Err(refusal) => panic!("{refusal}"),
    }
}

impl Late {
    fn set_link(&self, hatype: u16, taken: bool) {
        self.links.all()[LO].store(memory::link(LO as u32, hatype, taken, start(hatype)), Relaxed);
    }

    fn set_room(&self, bytes: u64) {
        let state = self.state.all();
        state[memory::LIMIT].store(state[memory::POSITION].load(Relaxed) + bytes, Relaxed);
    }

    fn keeps(&self, frame: &[u8]) -> u32 {
        sys::test_run(self.filter.as_fd(), frame, 1).unwrap().0
    }
}

/// Packets of all fixtures that are read as they are.
fn fixtures() -> Vec<(LinkType, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let captures = |path: &PathBuf| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng");
    let mut packets = Vec::new();
    for path in files.filter(captures) {
        let Ok(mut source) = FileSource::open(&path) else { continue };
        while let Ok(Next::Batch(batch)) = source.next_batch(Duration::ZERO) {
            packets.extend(batch.packets().map(|packet| (packet.link_type, packet.bytes.to_vec())));
        }
    }
    packets
}

/// Kinds of interfaces whose packets look so.
fn kinds(link_type: LinkType) -> &'static [u16] {
    match link_type {
        LinkType::ETHERNET => &[arphrd::ETHER, arphrd::LOOPBACK],
        LinkType::RAW => &[0xfffe, 776],
        _ => &[803],
    }
}

/// However short a packet is cut off, both programs keep the same of it.
#[test]
fn root_both_programs_decide_alike() {
    let packets = fixtures();
    let mut runs = 0;
    for snaplen in [Snaplen::Adaptive, Snaplen::Fixed(96), Snaplen::Fixed(0)] {
        let classic = filter::program(snaplen, None);
        let Some(late) = load(&classic, false) else { return };
        late.set_room(u64::MAX / 2);
        for (link_type, bytes) in &packets {
            let lengths =
                if snaplen == Snaplen::Adaptive { 1..=bytes.len() } else { bytes.len()..=bytes.len() };
            for hatype in kinds(*link_type) {
                late.set_link(*hatype, true);
                for length in lengths.clone().filter(|&length| length > 0) {
                    let frame = &bytes[..length];
                    let seen = Seen { bytes: frame, hatype: *hatype, pkttype: 0, ifindex: LO as u32 };
                    assert_eq!(Some(late.keeps(frame)), run(&classic, &seen), "{hatype}: {frame:02x?}");
                    runs += 1;
                }
            }
        }
    }
    assert!(runs > 100_000, "{runs}");
}
