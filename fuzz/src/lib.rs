//! What is fuzzed: each target is a function of any bytes that panics where a promise is broken.
//!
//! The fuzzer calls them, and so does a test that replays the seeds on any toolchain.
#![forbid(unsafe_code)]

mod said;
mod seed;

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use capture::file::{Error, FileSource};
use capture::{Batch, InPlace, Next, PacketSource, Records};
use dissect::app::{self, Fact, Verdict};
use dissect::packet::Registry;
use dissect::{Direction, Dissection, Endpoint, FiveTuple, LinkType, MAX_LAYERS, Packet, Timestamp};
use flow::{Collector, Config, FlowTable, InterfaceName, Keep, Options, Snapshot};

pub use seed::{SEEDED, seeds};

/// Batches that one input may give: a small compressed file can hold a great many.
const BATCHES: usize = 64;
/// Far longer than any input takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A target's name and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("files", files),
    ("dissect", dissect),
    ("dns", dns),
    ("flows", flows),
    ("tls", tls),
    ("quic", quic),
    ("later", later),
    ("http", http),
    ("openings", openings),
];

/// Those that take what the ends of a flow say first, and whose dissectors they are; all, where none is named.
const OPENINGS: &[(&str, &[&str])] = &[
    ("tls", &["tls", "dtls", "haproxy"]),
    ("quic", &["quic"]),
    ("http", &["http", "http2", "haproxy"]),
    ("openings", &[]),
    ("later", &["smtp", "ftp", "pop3", "imap", "xmpp", "postgresql", "mysql", "socks"]),
];

/// Capture readers: packets lie inside their buffer, and reading ends.
pub fn files(bytes: &[u8]) {
    let _ = batches(bytes, |batch| {
        let (mut packets, mut bytes) = (0, 0);
        for packet in batch.packets() {
            assert!((packet.interface as usize) < batch.interfaces.len());
            packets += 1;
            bytes += packet.bytes.len();
        }
        assert_eq!(packets, batch.len());
        let expected = match batch.records {
            Records::Listed(records) => records.iter().map(|record| record.captured as usize).sum(),
            Records::InPlace(InPlace { start, end, count, .. }) => end - start - 16 * count,
        };
        assert_eq!(bytes, expected);
    });
}

/// Gives the batches of a capture to `each`.
fn batches(bytes: &[u8], mut each: impl FnMut(&Batch<'_>)) -> Result<(), Error> {
    let mut source = FileSource::stream(Path::new("input"), Cursor::new(bytes.to_vec()))?;
    for _ in 0..BATCHES {
        match source.next_batch(PATIENCE)? {
            Next::Batch(batch) => each(&batch),
            Next::Idle => panic!("no packet and no end within {PATIENCE:?}"),
            Next::End => return Ok(()),
        }
    }
    Ok(())
}

/// One packet, of the link type that the first two bytes name: the fast path agrees with the general one, and what is
/// found lies inside the packet.
pub fn dissect(bytes: &[u8]) {
    let Some((link_type, bytes)) = bytes.split_first_chunk() else { return };
    let packet = Packet {
        timestamp: Timestamp::default(),
        link_type: LinkType(u16::from_be_bytes(*link_type)),
        wire_len: bytes.len() as u32,
        bytes,
        interface: 0,
        vlan_tci: None,
        direction: Direction::Unknown,
    };
    let d = Dissection::of(&packet, Registry::global());
    assert_eq!(d, Dissection::general(&packet, Registry::global()));
    assert!(d.layers().len() <= MAX_LAYERS);
    assert!(d.layers().iter().all(|layer| usize::from(layer.offset) <= bytes.len()));
    assert!(d.offset_of(d.payload) + d.payload.len() <= bytes.len());
    assert!(d.outer.is_none() || d.ip.is_some());
}

/// A payload, on the protocol and ports that its first five bytes name: messages end inside it.
pub fn dns(bytes: &[u8]) {
    let Some((&[protocol, a, b, c, d], mut rest)) = bytes.split_first_chunk() else { return };
    let end = |address: [u8; 4], high, low| Endpoint {
        addr: address.into(),
        port: u16::from_be_bytes([high, low]),
    };
    let (src, dst) = (end([192, 0, 2, 1], a, b), end([192, 0, 2, 2], c, d));
    let tuple = FiveTuple { src, dst, protocol };
    let by_port = app::by_port(protocol, src.port, dst.port);
    let Some(dissector) = by_port.or_else(|| app::by_content(src.port, dst.port, rest)) else { return };
    loop {
        let verdict = dissector.dissect(&tuple, rest);
        if let Verdict::Is { fact: Fact::Dns(message), .. } = &verdict {
            // What it says is laid out only when somebody asks.
            let said = (message.message(), message.services(), message.netbios_names());
            std::hint::black_box((said, message.addresses().count()));
        }
        match verdict {
            Verdict::Is { consumed, .. } | Verdict::Malformed { consumed, .. } if consumed > 0 => {
                assert!(consumed <= rest.len(), "{} of {}", consumed, rest.len());
                rest = &rest[consumed..];
            }
            _ => return,
        }
    }
}

/// TLS and DTLS.
pub fn tls(bytes: &[u8]) {
    opening("tls", bytes);
}

/// QUIC.
pub fn quic(bytes: &[u8]) {
    opening("quic", bytes);
}

/// Protocols in which TLS begins later.
pub fn later(bytes: &[u8]) {
    opening("later", bytes);
}

/// HTTP, and HTTP/2 with its compressed headers.
pub fn http(bytes: &[u8]) {
    opening("http", bytes);
}

/// Every protocol.
pub fn openings(bytes: &[u8]) {
    opening("openings", bytes);
}

/// What the ends of a flow say first, by the dissectors of a target.
fn opening(target: &str, bytes: &[u8]) {
    let (_, names) = OPENINGS.iter().find(|(name, _)| *name == target).expect("a target of openings");
    said::read(names, bytes);
}

/// A capture's packets through a table into a collector: the ledger closes, and it does not matter when deltas are taken.
pub fn flows(bytes: &[u8]) {
    let keep = Keep { all: true, answers: 5, once: false, nameless: false };
    let options = Options { keep, depth: app::Depth::All, ..Options::default() };
    let config = || Config { rows: usize::MAX, ..Config::default() };
    let (mut once, mut often, mut few) = (
        FlowTable::new(options.clone()),
        FlowTable::new(options.clone()),
        FlowTable::new(Options { max_flows: 2, decap: false, ..options }),
    );
    let (mut at_end, mut meanwhile, mut evicting) =
        (Collector::new(config()), Collector::new(config()), Collector::new(config()));
    let mut named = 0;
    let _ = batches(bytes, |batch| {
        for interface in batch.interfaces.get(named..).unwrap_or_default() {
            let name = InterfaceName { file: None, name: interface.name.as_deref().map(Into::into) };
            for collector in [&mut at_end, &mut meanwhile, &mut evicting] {
                collector.add_interface(name.clone());
            }
            named += 1;
        }
        once.observe_batch(batch.packets());
        few.observe_batch(batch.packets());
        for packet in batch.packets() {
            often.observe_batch(std::iter::once(packet));
            meanwhile.absorb(often.take_delta());
        }
    });
    at_end.absorb(once.finish());
    meanwhile.absorb(often.finish());
    evicting.absorb(few.finish());
    let whole = at_end.snapshot(None, true);
    assert_eq!(whole, meanwhile.snapshot(None, true));
    closes(&whole);
    let evicted = evicting.snapshot(None, true);
    closes(&evicted);
    assert_eq!(whole.ledger.seen(), evicted.ledger.seen());
}

fn closes(snapshot: &Snapshot) {
    assert!(snapshot.ledger.closes(), "{:?}", snapshot.ledger);
}
