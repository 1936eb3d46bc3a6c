//! Where fuzzing begins: the fixtures, and the packets and payloads in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use capture::file::FileSource;
use capture::{Next, PacketSource};
use dissect::app::End;
use dissect::packet::Registry;
use dissect::{Dissection, Packet};

use crate::said::Input;

/// Seeds of a target, by name.
pub type Seeds = BTreeMap<String, Vec<u8>>;

/// What the fuzzer once found: inputs kept for ever, a folder a target.
pub const SEEDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds");
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");

/// The seeds of `target`.
pub fn seeds(target: &str) -> Seeds {
    let mut seeds = Seeds::new();
    for path in captures() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match target {
            "dissect" => packets(&path, |n, p| drop(seeds.insert(format!("{name}-{n}"), whole(p)))),
            "dns" => packets(&path, |n, p| {
                drop(payload(p).map(|bytes| seeds.insert(format!("{name}-{n}"), bytes)))
            }),
            "tls" | "quic" | "later" | "http" | "openings" => {
                for (n, input) in openings(&path).into_iter().enumerate() {
                    seeds.insert(format!("{name}-{n}"), input.bytes());
                }
            }
            _ => drop(fs::read(&path).map(|bytes| seeds.insert(name, bytes))),
        }
    }
    for entry in fs::read_dir(Path::new(SEEDED).join(target)).into_iter().flatten().flatten() {
        if let Ok(bytes) = fs::read(entry.path()) {
            seeds.insert(entry.file_name().to_string_lossy().into_owned(), bytes);
        }
    }
    seeds
}

fn captures() -> Vec<PathBuf> {
    let entries = fs::read_dir(FIXTURES).into_iter().flatten().flatten().map(|e| e.path());
    entries.filter(|p| p.to_string_lossy().contains(".pcap")).collect()
}

/// The first packets of a capture.
fn packets(path: &Path, mut each: impl FnMut(usize, &Packet<'_>)) {
    const AT_MOST: usize = 200;
    let Ok(mut source) = FileSource::open(path) else { return };
    if let Ok(Next::Batch(batch)) = source.next_batch(std::time::Duration::MAX) {
        batch.packets().take(AT_MOST).enumerate().for_each(|(n, p)| each(n, &p));
    }
}

/// What the ends of each flow of a capture say first.
fn openings(path: &Path) -> Vec<Input> {
    let mut order = Vec::new();
    let mut flows = BTreeMap::new();
    packets(path, |_, packet| {
        let d = Dissection::of(packet, Registry::global());
        let (Some(ip), Some(payload)) = (d.ip, d.app_payload().filter(|payload| !payload.is_empty())) else {
            return;
        };
        let end = |address: u128, port: u16| (address, port);
        let (src, dst) = (end(ip.src, ip.src_port), end(ip.dst, ip.dst_port));
        let flow = [src.min(dst), src.max(dst)];
        let (first, input) = flows.entry(flow).or_insert_with(|| {
            order.push(flow);
            let datagrams = ip.protocol == 17;
            (src, Input { datagrams, ports: [ip.src_port, ip.dst_port], pieces: Vec::new() })
        });
        let end = if *first == src { End::Initiator } else { End::Responder };
        input.pieces.push((end, payload.to_vec()));
    });
    order.iter().filter_map(|flow| flows.remove(flow)).map(|(_, input)| input).collect()
}

/// A packet as target `dissect` takes it.
fn whole(packet: &Packet<'_>) -> Vec<u8> {
    [&packet.link_type.0.to_be_bytes()[..], packet.bytes].concat()
}

/// A payload as target `dns` takes it.
fn payload(packet: &Packet<'_>) -> Option<Vec<u8>> {
    let d = Dissection::of(packet, Registry::global());
    let (ip, payload) = (d.ip?, d.app_payload()?);
    let ports = [ip.src_port, ip.dst_port].map(u16::to_be_bytes);
    (ports.contains(&53_u16.to_be_bytes()) || ports.contains(&5353_u16.to_be_bytes()))
        .then(|| [&[ip.protocol][..], ports.as_flattened(), payload].concat())
}
