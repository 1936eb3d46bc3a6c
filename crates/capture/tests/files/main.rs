//! Capture files built by hand: every layout, every kind of damage.
#![allow(clippy::unwrap_used)]

mod compressed;
mod writer;

use std::io::{Cursor, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use capture::file::{Error, FileSource, Note, Subject};
use capture::{Next, PacketSource};
use dissect::Direction;
use proptest::prelude::*;

use self::compressed::{gzip, large, lz4, zstd};
use self::writer::Writer;

/// What a reader keeps of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    nanos: i64,
    bytes: Vec<u8>,
    wire_len: u32,
    interface: u32,
    link_type: u16,
    direction: Direction,
}

fn drain(source: &mut FileSource) -> (Vec<Seen>, Option<Error>) {
    let mut seen = Vec::new();
    loop {
        match source.next_batch(Duration::from_secs(20)) {
            Ok(Next::Batch(batch)) => {
                assert!(!batch.is_empty(), "a batch has packets");
                seen.extend(batch.packets().map(|p| Seen {
                    nanos: p.timestamp.0,
                    bytes: p.bytes.to_vec(),
                    wire_len: p.wire_len,
                    interface: p.interface,
                    link_type: p.link_type.0,
                    direction: p.direction,
                }));
            }
            Ok(Next::Idle) => panic!("idle"),
            Ok(Next::End) => return (seen, None),
            Err(error) => {
                assert!(matches!(source.next_batch(Duration::ZERO), Ok(Next::End)), "an error is the end");
                assert_eq!(source.stats().received, seen.len() as u64);
                return (seen, Some(error));
            }
        }
    }
}

/// Reads bytes as a file at rest (which is mapped where the system can), as one that is open for writing (which is not),
/// and as a pipe; all must agree.
fn read(bytes: &[u8]) -> (Vec<Seen>, Option<Error>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let written = read_file(file.path(), bytes.len());
    let path = file.into_temp_path();
    let at_rest = read_file(&path, bytes.len());
    let piped = drain(&mut FileSource::stream(&path, Cursor::new(bytes.to_vec())).unwrap());
    for other in [at_rest, piped] {
        assert_eq!(written.0, other.0);
        assert_eq!(written.1.as_ref().map(ToString::to_string), other.1.as_ref().map(ToString::to_string));
    }
    written
}

fn read_file(path: &Path, size: usize) -> (Vec<Seen>, Option<Error>) {
    match FileSource::open(path) {
        Ok(mut source) => {
            assert_eq!(source.size(), Some(size as u64));
            drain(&mut source)
        }
        Err(error) => (Vec::new(), Some(error)),
    }
}

fn whole(bytes: &[u8]) -> Vec<Seen> {
    let (seen, error) = read(bytes);
    assert!(error.is_none(), "{error:?}");
    seen
}

const MICROS: u32 = 0xa1b2_c3d4;
const NANOS: u32 = 0xa1b2_3c4d;
const MODIFIED: u32 = 0xa1b2_cd34;

fn plain_pcap() -> Vec<u8> {
    let mut out = Writer::pcap(false, MICROS, (2, 4), 1);
    for n in 0..5_u32 {
        out.record(1000 + n, n, &vec![n as u8; 20 + n as usize], 1514);
    }
    out.bytes
}

fn plain_pcapng() -> Vec<u8> {
    let mut out = Writer::new(false);
    out.section().interface(1, 0, |o| {
        o.option(2, b"eth0");
    });
    out.block(0x8000_0001, b"whatever");
    for n in 0..5_u64 {
        out.enhanced(0, 1_000_000 * n, &vec![n as u8; 20 + n as usize], |_| {});
    }
    out.bytes
}

#[test]
fn both_byte_orders_and_resolutions() {
    for big in [false, true] {
        for (magic, unit) in [(MICROS, 1000), (NANOS, 1)] {
            let mut out = Writer::pcap(big, magic, (2, 4), 0x1400_0065);
            out.record(1_700_000_000, 999_999, b"abcd", 70_000).record(u32::MAX, 1_000_000, b"", 0);
            let seen = whole(&out.bytes);
            assert_eq!(seen.len(), 2);
            assert_eq!(seen[0].nanos, 1_700_000_000_000_000_000 + 999_999 * unit);
            assert_eq!((seen[0].bytes.as_slice(), seen[0].wire_len), (b"abcd".as_slice(), 70_000));
            assert_eq!(seen[0].link_type, 101, "FCS bits are masked");
            assert_eq!(seen[1].nanos, 4_294_967_295_000_000_000 + 1_000_000 * unit, "the fraction carries");
        }
    }
}

#[test]
fn early_link_types_are_mapped() {
    for (stored, meant) in [(12, 101), (14, 101), (11, 100), (19, 106), (276, 276)] {
        let mut out = Writer::pcap(false, MICROS, (2, 4), stored);
        out.record(0, 0, b"abcd", 4);
        assert_eq!(whole(&out.bytes)[0].link_type, meant);
    }
}

#[test]
fn patched_record_headers_are_recognised() {
    for big in [false, true] {
        for (magic, extra) in [(MODIFIED, 8), (MODIFIED, 12), (MICROS, 8), (MICROS, 4)] {
            let mut out = Writer::pcap(big, magic, (2, 4), 1);
            for n in 0..4_u8 {
                out.u32(1000).u32(5).u32(60).u32(60).raw(&[0xee; 12][..extra]).raw(&[n; 60]);
            }
            let seen = whole(&out.bytes);
            assert_eq!(
                seen.iter().map(|p| p.bytes.clone()).collect::<Vec<_>>(),
                [0, 1, 2, 3].map(|n| vec![n; 60])
            );
        }
    }
}

#[test]
fn old_versions_give_the_wire_length_first() {
    for version in [(2, 2), (543, 0), (2, 3)] {
        let mut out = Writer::pcap(false, MICROS, version, 1);
        out.u32(1).u32(2).u32(1514).u32(3).raw(b"abc");
        let seen = whole(&out.bytes);
        assert_eq!((seen[0].bytes.as_slice(), seen[0].wire_len), (b"abc".as_slice(), 1514));
    }
    let mut out = Writer::pcap(false, MICROS, (2, 2), 6);
    out.u32(1).u32(2).u32(3).u32(3).raw(b"abc");
    assert_eq!((whole(&out.bytes)[0].link_type, whole(&out.bytes)[0].nanos), (1, 1_000_000_002), "AIX");
}

#[test]
fn ixia_has_a_longer_file_header() {
    let mut out = Writer::pcap(true, 0x1c00_01ac, (2, 4), 1);
    out.u32(4711).record(7, 8, b"abc", 3);
    assert_eq!(whole(&out.bytes)[0].nanos, 7_000_008_000);
}

#[test]
fn what_was_not_on_the_wire_is_not_counted() {
    let mut out = Writer::pcap(false, MICROS, (2, 4), 123);
    out.record(0, 0, &[0; 60], 60).record(0, 0, b"abc", 3);
    let (seen, error) = read(&out.bytes);
    assert_eq!((seen.len(), seen[0].wire_len, seen[0].bytes.len()), (1, 56, 60));
    assert!(matches!(error, Some(Error::Malformed { packet: 2, byte: 100, .. })), "{error:?}");
}

#[test]
fn absurd_wire_lengths_are_bounded() {
    let mut out = Writer::pcap(false, MICROS, (2, 4), 1);
    out.record(1, 0, b"abcd", u32::MAX);
    assert_eq!(whole(&out.bytes)[0].wire_len, 0x7fff_ffff);
}

#[test]
fn sections_have_their_own_order_and_interfaces() {
    let mut out = Writer::new(false);
    out.section().interface(1, 0, |o| {
        o.option(2, b"eth0").option(9, &[9]).option(0, b"");
    });
    out.interface(113, 0, |_| {});
    out.enhanced(1, 1_000_001, b"abcde", |_| {});
    out.big = true;
    out.section().interface(101, 0, |o| {
        o.option(9, &[0x8a]).option(14, &60_i64.to_be_bytes());
    });
    out.enhanced(0, 1536, b"xyz", |o| {
        o.option(2, &[0, 0, 0, 2]);
    });
    out.big = false;
    out.section().interface(1, 0, |o| {
        o.option(9, &[9]);
    });
    out.enhanced(0, 1_700_000_000_000_000_001, b"", |o| {
        o.option(2, &[1, 0, 0, 0]);
    });
    let seen = whole(&out.bytes);
    let facts: Vec<_> = seen.iter().map(|p| (p.nanos, p.interface, p.link_type, p.direction)).collect();
    assert_eq!(
        facts,
        [
            (1_000_001_000, 1, 113, Direction::Unknown),
            (61_500_000_000, 2, 101, Direction::Outbound),
            (1_700_000_000_000_000_001, 3, 1, Direction::Inbound),
        ]
    );
    let mut source = FileSource::stream(Path::new("x"), Cursor::new(out.bytes)).unwrap();
    drain(&mut source);
    assert_eq!(source.interfaces()[0].name.as_deref(), Some("eth0"));
    assert_eq!(source.interfaces().len(), 4);
    assert_eq!(source.format(), Some("pcapng"));
}

#[test]
fn simple_and_obsolete_packets() {
    for big in [false, true] {
        let mut out = Writer::new(big);
        out.section().interface(1, 6, |_| {});
        let mut body = Writer::new(big);
        body.u16(0).u16(3).u32(0).u32(5_000_000).u32(3).u32(99).padded(b"abc");
        out.block(2, &body.bytes);
        let mut body = Writer::new(big);
        body.u32(1000).padded(b"abcdef");
        out.block(3, &body.bytes);
        let seen = whole(&out.bytes);
        assert_eq!((seen[0].bytes.as_slice(), seen[0].wire_len), (b"abc".as_slice(), 99));
        assert_eq!((seen[1].bytes.as_slice(), seen[1].wire_len), (b"abcdef".as_slice(), 1000));
        assert_eq!((seen[0].nanos, seen[1].nanos), (5_000_000_000, 5_000_000_000));
    }
}

/// However many they are, and whatever stands between them.
#[test]
fn simple_packets_have_no_time_before_the_first() {
    for (big, count) in [(false, 1), (true, 3), (false, 2000)] {
        let mut out = Writer::new(big);
        out.section().interface(1, 6, |_| {});
        let mut simple = Writer::new(big);
        simple.u32(6).padded(b"abcdef");
        for n in 0..count {
            out.block(3, &simple.bytes);
            if n % 7 == 0 {
                // A block that nobody reads.
                out.block(0x0bad, b"ffff");
            }
        }
        out.enhanced(0, 5_000_000, b"abc", |_| {}).block(3, &simple.bytes);
        let nanos: Vec<i64> = whole(&out.bytes).iter().map(|seen| seen.nanos).collect();
        let mut expected = vec![dissect::Timestamp::UNKNOWN.0; count];
        expected.extend([5_000_000_000; 2]);
        assert_eq!(nanos, expected);
    }
}

#[test]
fn names_comments_and_custom_options_are_kept() {
    let mut out = Writer::new(false);
    out.section().interface(1, 0, |o| {
        o.option(1, b"the uplink");
    });
    out.enhanced(0, 0, b"abcd", |o| {
        o.option(1, "hé".as_bytes()).option(2988, b"\x2a\x00\x00\x00mine").option(4, &[0; 8]);
    });
    let mut body = Writer::new(false);
    body.option(1, b"\xc0\x00\x02\x01a.example\0b.example\0");
    body.option(2, b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01six.example\0").option(0, b"");
    out.block(4, &body.bytes);
    let mut source = FileSource::stream(Path::new("x"), Cursor::new(out.bytes)).unwrap();
    drain(&mut source);
    let names: Vec<_> = source.take_names().into_iter().map(|n| (n.addr, n.name)).collect();
    let addr = |text: &str| text.parse::<IpAddr>().unwrap();
    assert_eq!(
        names,
        [
            (addr("192.0.2.1"), "a.example".into()),
            (addr("192.0.2.1"), "b.example".into()),
            (addr("2001:db8::1"), "six.example".into()),
        ]
    );
    assert!(source.take_names().is_empty());
    let notes: Vec<_> = source.notes().iter().map(|n| (n.subject, n.code, n.enterprise, n.text())).collect();
    assert_eq!(
        notes,
        [
            (Subject::Interface(0), Note::COMMENT, None, "the uplink".into()),
            (Subject::Packet(1), Note::COMMENT, None, "hé".into()),
            (Subject::Packet(1), 2988, Some(42), "mine".into()),
        ]
    );
}

#[test]
fn addresses_of_interfaces_are_told_once() {
    for big in [false, true] {
        let mut out = Writer::new(big);
        out.section().interface(1, 0, |o| {
            o.option(4, &[192, 0, 2, 1, 255, 255, 255, 0]).option(4, &[192, 0, 2, 2, 255, 0, 0, 0]);
            // A length that none has.
            o.option(4, &[192, 0, 2]).option(5, &[0; 16]);
        });
        out.enhanced(0, 0, b"abcd", |_| {}).interface(1, 0, |o| {
            o.option(5, b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x40");
        });
        let mut source = FileSource::stream(Path::new("x"), Cursor::new(out.bytes)).unwrap();
        drain(&mut source);
        let own: Vec<_> = source.take_own().iter().map(ToString::to_string).collect();
        assert_eq!(own, ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
        assert!(source.take_own().is_empty());
        let kept: Vec<_> = source.notes().iter().map(|n| (n.code, n.value.len())).collect();
        assert_eq!(kept, [(4, 3), (5, 16)]);
    }
}

#[test]
fn notes_are_bounded() {
    let mut out = Writer::new(false);
    out.section().interface(1, 0, |_| {});
    for _ in 0..3000 {
        out.enhanced(0, 0, b"", |o| {
            o.option(1, &[b'x'; 1000]);
        });
    }
    let mut source = FileSource::stream(Path::new("x"), Cursor::new(out.bytes)).unwrap();
    assert_eq!(drain(&mut source).0.len(), 3000);
    let kept = source.notes().len() as u64;
    assert!((900..1100).contains(&kept));
    assert_eq!(kept + source.lost_notes(), 3000);
}

#[test]
fn packets_larger_than_the_window_arrive_whole() {
    let mut out = Writer::pcap(false, MICROS, (2, 4), 1);
    for n in 0..4_u8 {
        out.record(0, 0, &vec![n; 262_144], 262_144);
    }
    let seen = whole(&out.bytes);
    assert!(seen.iter().zip(0..).all(|(p, n)| p.bytes == vec![n; 262_144]) && seen.len() == 4);
    let mut out = Writer::pcap(false, MICROS, (2, 4), 249);
    out.record(0, 0, &vec![7; 3 << 20], 3 << 20).record(0, 0, b"x", 1);
    assert_eq!(whole(&out.bytes).iter().map(|p| p.bytes.len()).collect::<Vec<_>>(), [3 << 20, 1]);
}

#[test]
fn large_blocks_are_passed_over() {
    let mut out = Writer::new(false);
    out.section().interface(1, 0, |_| {}).enhanced(0, 0, b"a", |_| {});
    out.block(10, &vec![0; 5 << 20]).enhanced(0, 0, b"b", |_| {});
    assert_eq!(whole(&out.bytes).len(), 2);
    out.block(10, &vec![0; 1 << 20]);
    let at = out.bytes.len() - ((1 << 20) + 12);
    let (seen, error) = read(&out.bytes[..out.bytes.len() - 1000]);
    assert_eq!(seen.len(), 2);
    let Some(Error::Truncated { byte, needed, had, .. }) = error else { panic!("{error:?}") };
    assert_eq!((byte, needed, had), (at as u64, (1 << 20) + 12, (1 << 20) + 12 - 1000));
}

#[test]
fn lying_lengths_are_errors_and_allocate_nothing() {
    let mut out = Writer::pcap(false, MICROS, (2, 4), 1);
    out.record(0, 0, b"abcd", 4).u32(0).u32(0).u32(u32::MAX).u32(60).raw(&[0; 100]);
    let (seen, error) = read(&out.bytes);
    assert_eq!(seen.len(), 1);
    let error = error.unwrap();
    assert!(error.is_damage() && !error.is_truncation());
    let text = error.to_string();
    assert!(
        text.ends_with(
            "packet 2 at byte 44 claims 4294967295 bytes, snaplen is 65535; stopped, 1 packet read"
        ),
        "{text}"
    );
    // Over the snaplen, but believable.
    let mut out = Writer::pcap(false, MICROS, (2, 4), 1);
    out.record(0, 0, &vec![1; 70_000], 4);
    assert_eq!(whole(&out.bytes)[0].bytes.len(), 70_000);
    // A block, and a packet in a block.
    let mut out = Writer::new(false);
    out.section().interface(1, 0, |_| {}).u32(1).u32(0xffff_fff0).raw(&[0; 100]);
    assert!(matches!(read(&out.bytes).1, Some(Error::Malformed { .. })));
    let mut out = Writer::new(false);
    out.section().interface(1, 0, |_| {});
    out.u32(6).u32(0x4000_0000).u32(0).u32(0).u32(0).u32(0x3fff_0000).u32(60).raw(&[0; 100]);
    assert!(matches!(read(&out.bytes).1, Some(Error::TooLong { packet: 1, claimed: 0x3fff_0000, .. })));
}

#[test]
fn block_lengths_must_agree() {
    let mut bytes = plain_pcapng();
    let last = bytes.len() - 4;
    bytes[last] ^= 4;
    let (seen, error) = read(&bytes);
    assert_eq!(seen.len(), 4);
    assert!(matches!(error, Some(Error::Malformed { packet: 5, .. })), "{error:?}");
}

#[test]
fn what_cannot_be_begun_says_why() {
    let begun = |bytes: &[u8]| read(bytes).1.unwrap();
    assert!(matches!(begun(b""), Error::Empty { .. }));
    assert!(matches!(
        begun(b"\xff\xd8\xff\xe0 JFIF and so on"),
        Error::Foreign { seems: Some("a JPEG image"), .. }
    ));
    assert!(matches!(begun(b"x"), Error::Foreign { .. }));
    assert!(matches!(begun(&[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 1, 2, 3, 4]), Error::Foreign { .. }));
    let version = Writer::pcap(false, MICROS, (1, 9), 1);
    assert!(matches!(begun(&version.bytes), Error::Version { major: 1, minor: 9, .. }));
    assert!(matches!(begun(&plain_pcap()[..20]), Error::Header { needed: 24, had: 20, .. }));
    assert!(matches!(begun(&plain_pcapng()[..20]), Error::Header { needed: 28, had: 20, .. }));
    for error in [begun(b""), begun(b"x"), begun(&plain_pcap()[..20]), begun(&gzip(b"hello, world"))] {
        assert!(!error.is_damage(), "{error}");
    }
    assert!(matches!(begun(&gzip(b"hello, world")), Error::Foreign { seems: Some("text"), .. }));
    assert!(matches!(FileSource::open(Path::new("/nowhere/at/all")), Err(Error::Open { .. })));
    assert!(matches!(FileSource::open(Path::new("/")), Err(Error::Open { .. })));
    assert!(whole(&plain_pcap()[..24]).is_empty(), "no packets are no error");
}

#[test]
fn every_prefix_gives_its_packets() {
    for bytes in [plain_pcap(), plain_pcapng()] {
        let all = whole(&bytes);
        assert_eq!(all.len(), 5);
        for cut in 0..bytes.len() {
            let (seen, error) = read(&bytes[..cut]);
            assert_eq!(seen, all[..seen.len()], "cut at {cut}");
            if let Some(error) = error {
                assert!(error.is_truncation() || matches!(error, Error::Empty { .. }), "{cut}: {error}");
            } else {
                assert!(seen.len() < 5);
            }
        }
    }
    let bytes = plain_pcap();
    let error = read(&bytes[..bytes.len() - 3]).1.unwrap().to_string();
    assert!(
        error.ends_with(
            "packet 5 at byte 174 is cut short: 24 bytes claimed, 21 there; stopped, 4 packets read"
        ),
        "{error}"
    );
}

#[test]
fn pcap_parser_sees_the_same() {
    use pcap_parser::{PcapBlockOwned, PcapError, create_reader};
    for bytes in [large(), plain_pcapng()] {
        let mut lengths = Vec::new();
        let mut reader = create_reader(1 << 20, Cursor::new(&bytes)).unwrap();
        loop {
            match reader.next() {
                Ok((offset, block)) => {
                    match block {
                        PcapBlockOwned::Legacy(p) => lengths.push((p.caplen, p.origlen)),
                        PcapBlockOwned::NG(pcap_parser::Block::EnhancedPacket(p)) => {
                            lengths.push((p.caplen, p.origlen));
                        }
                        _ => {}
                    }
                    reader.consume(offset);
                }
                Err(PcapError::Eof) => break,
                Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
                Err(error) => panic!("{error:?}"),
            }
        }
        let seen: Vec<_> = whole(&bytes).iter().map(|p| (p.bytes.len() as u32, p.wire_len)).collect();
        assert_eq!(seen, lengths);
    }
}

/// Any bytes end somehow, the same way every time.
fn survives(bytes: &[u8]) {
    let mut source = FileSource::stream(&PathBuf::from("any"), Cursor::new(bytes.to_vec())).unwrap();
    drain(&mut source);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_end_somehow(bytes in prop::collection::vec(any::<u8>(), 0..400), head in 0..8_usize) {
        let mut start: Vec<u8> = match head {
            0 => plain_pcap()[..24].to_vec(),
            1 => plain_pcapng()[..48].to_vec(),
            2 => Writer::pcap(true, MODIFIED, (2, 4), 1).bytes,
            3 => vec![0x1f, 0x8b, 8, 0],
            4 => vec![0x28, 0xb5, 0x2f, 0xfd],
            5 => vec![0x04, 0x22, 0x4d, 0x18],
            6 => Writer::pcap(false, MICROS, (2, 2), 197).bytes,
            _ => Vec::new(),
        };
        start.extend(bytes);
        survives(&start);
    }

    #[test]
    fn any_damage_leaves_what_came_before(which in 0..2_usize, at in 0..300_usize, flip in 1..255_u8) {
        let mut bytes = if which == 0 { plain_pcap() } else { plain_pcapng() };
        let at = at % bytes.len();
        bytes[at] ^= flip;
        read(&bytes);
    }

    #[test]
    fn damaged_compression_never_panics(which in 0..3_usize, at in any::<prop::sample::Index>(), flip in 1..255_u8) {
        let bytes = plain_pcap();
        let mut packed = [gzip, zstd, lz4][which](&bytes);
        let at = at.index(packed.len());
        packed[at] ^= flip;
        survives(&packed);
    }
}
