//! Compressed captures and pipes give what plain files do.

use super::*;

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Two frames, neither larger than its window.
fn zstd_frames(bytes: &[u8]) -> Vec<u8> {
    let (a, b) = bytes.split_at(bytes.len() / 2);
    [zstd(a), zstd(b)].concat()
}

pub(crate) fn lz4(bytes: &[u8]) -> Vec<u8> {
    let blocks = lz4_flex::frame::FrameInfo::new()
        .block_size(lz4_flex::frame::BlockSize::Max64KB)
        .block_mode(lz4_flex::frame::BlockMode::Linked)
        .content_checksum(true);
    let mut out = lz4_flex::frame::FrameEncoder::with_frame_info(blocks, Vec::new());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// The frames of lz4 before its frame format (lz4_Frame_format.md, "Legacy frame"): blocks of 8 MiB, and no mark at the end.
fn lz4_legacy(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x02, 0x21, 0x4c, 0x18];
    for block in bytes.chunks(8 << 20) {
        let packed = lz4_flex::block::compress(block);
        out.extend((packed.len() as u32).to_le_bytes());
        out.extend(packed);
    }
    out
}

/// A capture that is larger than any one block of a compressor.
pub(crate) fn large() -> Vec<u8> {
    let mut out = Writer::pcap(false, MICROS, (2, 4), 1);
    let mut noise = 1_u32;
    for n in 0..2000_u32 {
        let bytes: Vec<u8> = (0..n % 700)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 28) as u8
            })
            .collect();
        out.record(n, 0, &bytes, 1514);
    }
    out.bytes
}

#[test]
fn compressed_files_read_as_plain_ones() {
    let bytes = large();
    let plain = whole(&bytes);
    assert_eq!(plain.len(), 2000);
    for pack in [gzip, zstd, lz4] {
        assert_eq!(whole(&pack(&bytes)), plain);
        let (a, b) = bytes.split_at(bytes.len() / 3);
        assert_eq!(whole(&[pack(a), pack(b)].concat()), plain, "several members");
    }
    let skippable = [&[0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    assert_eq!(whole(&[skippable.clone(), zstd(&bytes), skippable.clone()].concat()), plain);
    for pack in [lz4, lz4_legacy] {
        assert_eq!(whole(&[skippable.clone(), pack(&bytes), skippable.clone()].concat()), plain);
    }
    let (a, b) = bytes.split_at(bytes.len() / 3);
    for parts in [[lz4_legacy(a), lz4_legacy(b)], [lz4_legacy(a), lz4(b)], [lz4(a), lz4_legacy(b)]] {
        assert_eq!(whole(&parts.concat()), plain, "kinds of frames may follow each other");
    }
    for cut in 5..skippable.len() {
        let (seen, error) = read(&[zstd(&bytes), skippable[..cut].to_vec()].concat());
        assert_eq!(seen, plain);
        assert!(error.unwrap().is_truncation());
    }
    assert_eq!(whole(&[gzip(&bytes), vec![0; 512]].concat()), plain, "padding");
}

#[test]
fn half_a_compressed_file_gives_its_half() {
    let bytes = large();
    let plain = whole(&bytes);
    for pack in [gzip, zstd, zstd_frames, lz4] {
        let packed = pack(&bytes);
        let (seen, error) = read(&packed[..packed.len() / 2]);
        assert!(seen.len() > 300 && seen.len() < 1900, "{}", seen.len());
        assert_eq!(seen, plain[..seen.len()]);
        let error = error.unwrap();
        assert!(error.is_damage() && error.is_truncation(), "{error}");
        for cut in [1, 3, 5, 12] {
            let (seen, error) = read(&packed[..cut]);
            assert!(seen.is_empty() && !error.unwrap().is_damage());
        }
        // Only a zstd block is lost by its last byte.
        let (seen, error) = read(&packed[..packed.len() - 1]);
        assert_eq!(seen, plain[..seen.len()]);
        assert!(seen.len() == plain.len() || packed.starts_with(&[0x28, 0xb5]));
        assert!(error.unwrap().is_truncation());
    }
    let mut packed = gzip(&bytes);
    let middle = packed.len() / 2;
    packed[middle..middle + 64].fill(0xff);
    let (seen, error) = read(&packed);
    assert_eq!(seen[..300], plain[..300]);
    let error = error.unwrap();
    assert!(error.is_damage(), "{error}");
}

#[test]
fn a_pipe_gives_what_is_there() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut source = FileSource::stream(Path::new("-"), reader).unwrap();
    let wait = Duration::from_millis(30);
    assert!(matches!(source.next_batch(wait), Ok(Next::Idle)));
    let bytes = plain_pcap();
    writer.write_all(&bytes[..24 + 36 + 10]).unwrap();
    let Ok(Next::Batch(batch)) = source.next_batch(Duration::from_secs(10)) else { panic!("no packet") };
    assert_eq!(batch.len(), 1);
    assert!(matches!(source.next_batch(wait), Ok(Next::Idle)));
    writer.write_all(&bytes[70..]).unwrap();
    let Ok(Next::Batch(batch)) = source.next_batch(Duration::from_secs(10)) else { panic!("no packet") };
    assert_eq!(batch.len(), 4);
    assert!(matches!(source.next_batch(wait), Ok(Next::Idle)));
    drop(writer);
    assert!(matches!(source.next_batch(Duration::from_secs(10)), Ok(Next::End)));
    assert_eq!(source.stats().consumed, bytes.len() as u64);
}
