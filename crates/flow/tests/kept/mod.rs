//! The packets of every fixture, kept for tests that replay them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use capture::file::FileSource;
use capture::{Next, PacketSource};
use dissect::packet::Registry;
use dissect::{Dissection, Packet};

/// A packet with bytes of its own.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) packet: Packet<'static>,
    pub(crate) bytes: Vec<u8>,
}

impl Kept {
    pub(crate) fn packet(&self) -> Packet<'_> {
        Packet { bytes: &self.bytes, ..self.packet }
    }

    /// A number that the packets of one pair of hosts have in common, fragments and tunnels included.
    pub(crate) fn pair(&self) -> usize {
        let packet = self.packet();
        let d = Dissection::of(&packet, Registry::global());
        d.outer.or(d.ip).map_or(0, |ip| (ip.src ^ ip.dst) as usize % 1021)
    }
}

/// The packets of every fixture, one capture after another, each on interfaces of its own.
pub(crate) fn captures() -> Vec<Vec<Kept>> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures"));
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|p| p.to_str().unwrap().contains(".pcap")).collect();
    paths.sort();
    let captures: Vec<_> = paths.iter().map(|path| read(path)).collect();
    assert!(captures.iter().map(Vec::len).sum::<usize>() > 300);
    captures
}

/// The packets of one capture.
pub(crate) fn read(path: &Path) -> Vec<Kept> {
    let mut source = FileSource::open(path).unwrap();
    let mut kept = Vec::new();
    while let Ok(Next::Batch(batch)) = source.next_batch(Duration::MAX) {
        for packet in batch.packets() {
            kept.push(Kept { packet: Packet { bytes: &[], ..packet }, bytes: packet.bytes.to_owned() });
        }
    }
    kept
}
