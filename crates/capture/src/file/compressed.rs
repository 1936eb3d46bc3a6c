//! Compressed captures, recognised by their first bytes: gzip (RFC 1952,
//! several members), zstd (RFC 8878, several and skippable frames) and lz4
//! frames (v1.6.x). Decompressed as they are read; what comes out before
//! damage is delivered.
//!
//! Not read: dictionaries, and zstd windows above 128 MiB.

mod lz4;

use std::fmt;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::GzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder as ZstdDecoder};

use self::lz4::Lz4;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const LZ4: &[u8] = &[0x04, 0x22, 0x4d, 0x18];
const LZ4_LEGACY: &[u8] = &[0x02, 0x21, 0x4c, 0x18];
/// The largest window that `zstd` itself decodes without being asked to.
const WINDOW: u64 = 128 << 20;
/// Compressed bytes read at a time.
const READ: usize = 64 << 10;

/// Whether a file that begins like this must be decompressed.
pub(super) fn is_compressed(head: &[u8]) -> bool {
    Format::of(head).is_some()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Gzip,
    Zstd,
    Lz4,
}

impl Format {
    fn of(head: &[u8]) -> Option<Self> {
        if head.starts_with(GZIP) {
            Some(Self::Gzip)
        } else if head.starts_with(ZSTD) || is_skippable(head) {
            Some(Self::Zstd)
        } else if head.starts_with(LZ4) || head.starts_with(LZ4_LEGACY) {
            Some(Self::Lz4)
        } else {
            None
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }
}

/// A frame that carries nothing to decompress; zstd and lz4 share its magic.
fn is_skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// Bytes before what such a frame carries: its magic, and how much that is.
const SKIPPABLE_HEADER: usize = 8;

/// Passes over a frame of which [`is_skippable`] says that it is one.
fn skip<R: Read>(source: &mut Source<R>) -> Result<(), Damage> {
    let head = source.peek(SKIPPABLE_HEADER).map_err(Damage::Io)?;
    let Some(&[_, _, _, _, a, b, c, d]) = head.first_chunk::<SKIPPABLE_HEADER>() else {
        return Err(Damage::Cut);
    };
    source.pass(SKIPPABLE_HEADER as u64 + u64::from(u32::from_le_bytes([a, b, c, d])))
}

/// Why decompression stopped.
#[derive(Debug)]
pub(super) enum Damage {
    /// The compressed bytes end too early.
    Cut,
    /// They are wrong.
    Broken(String),
    /// They could not be read.
    Io(io::Error),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => Ok(()),
            Self::Broken(reason) => f.write_str(reason),
            Self::Io(error) => error.fmt(f),
        }
    }
}

/// The stored bytes, counted; remembers how they ended, which decompressors do not tell.
pub(super) struct Source<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    consumed: Arc<AtomicU64>,
    ended: bool,
    failed: Option<io::Error>,
}

impl<R: Read> Source<R> {
    pub(super) fn new(reader: R, consumed: Arc<AtomicU64>) -> Self {
        Self { reader, buffer: vec![0; READ], start: 0, end: 0, consumed, ended: false, failed: None }
    }

    /// The next bytes without taking them: `want` of them, or fewer at the end.
    fn peek(&mut self, want: usize) -> io::Result<&[u8]> {
        while self.end - self.start < want && !self.ended {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            self.more()?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn more(&mut self) -> io::Result<()> {
        match read_some(&mut self.reader, &mut self.buffer[self.end..]) {
            Ok(0) => self.ended = true,
            Ok(count) => {
                self.end += count;
                self.consumed.fetch_add(count as u64, Ordering::Relaxed);
            }
            Err(error) => {
                self.failed = Some(io::Error::new(error.kind(), error.to_string()));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes `count` bytes that mean nothing.
    fn pass(&mut self, count: u64) -> Result<(), Damage> {
        match io::copy(&mut self.by_ref().take(count), &mut io::sink()) {
            Ok(passed) if passed == count => Ok(()),
            Ok(_) => Err(Damage::Cut),
            Err(error) => Err(Damage::Io(error)),
        }
    }

    /// What an error of the decompressor over this source means.
    fn damage(&mut self, reason: &impl fmt::Display) -> Damage {
        match self.failed.take() {
            Some(error) => Damage::Io(error),
            None if self.ended => Damage::Cut,
            None => Damage::Broken(reason.to_string()),
        }
    }
}

fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end && !self.ended {
            self.start = 0;
            self.end = 0;
            self.more()?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }
}

/// Bytes as they were before they were compressed; plain ones pass through.
pub(super) enum Decoder<R: Read> {
    Plain(Source<R>),
    /// `None` only while one member gives way to the next.
    Gzip(Option<Box<GzDecoder<Source<R>>>>),
    Zstd(Zstd<R>),
    Lz4(Lz4<R>),
}

impl<R: Read> Decoder<R> {
    /// Chooses by the first bytes that mean something, which it waits for.
    pub(super) fn detect(mut source: Source<R>) -> io::Result<Self> {
        let mut damage = None;
        let format = loop {
            let head = source.peek(SKIPPABLE_HEADER)?;
            let format = Format::of(head);
            if !is_skippable(head) {
                break format;
            }
            match skip(&mut source) {
                Ok(()) if source.peek(1)?.is_empty() => break format,
                Ok(()) => {}
                Err(Damage::Io(error)) => return Err(error),
                Err(cut) => {
                    damage = Some(cut);
                    break format;
                }
            }
        };
        Ok(match format {
            None => Self::Plain(source),
            Some(Format::Gzip) => Self::Gzip(Some(Box::new(GzDecoder::new(source)))),
            Some(Format::Zstd) => {
                let mut frame = Box::new(ZstdDecoder::new());
                frame.set_max_window_size(WINDOW);
                Self::Zstd(Zstd { source, frame, inside: false, damage })
            }
            Some(Format::Lz4) => Self::Lz4(Lz4::new(source)),
        })
    }

    /// Name of the compression, unless there is none.
    pub(super) fn format(&self) -> Option<&'static str> {
        match self {
            Self::Plain(_) => None,
            Self::Gzip(_) => Some(Format::Gzip.name()),
            Self::Zstd(_) => Some(Format::Zstd.name()),
            Self::Lz4(_) => Some(Format::Lz4.name()),
        }
    }

    /// Some bytes, as soon as there are any; 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Damage> {
        match self {
            Self::Plain(source) => source.read(buffer).map_err(Damage::Io),
            Self::Gzip(member) => read_gzip(member, buffer),
            Self::Zstd(zstd) => zstd.read(buffer),
            Self::Lz4(lz4) => lz4.read(buffer),
        }
    }
}

fn read_gzip<R: Read>(
    member: &mut Option<Box<GzDecoder<Source<R>>>>,
    buffer: &mut [u8],
) -> Result<usize, Damage> {
    while let Some(decoder) = member {
        match decoder.read(buffer) {
            Ok(0) => {}
            Ok(count) => return Ok(count),
            Err(error) => return Err(decoder.get_mut().damage(&error)),
        }
        let Some(mut source) = member.take().map(|m| m.into_inner()) else { break };
        // Tapes and disks pad with zeros; gzip(1) reads over them, too.
        loop {
            let ready = source.fill_buf().map_err(Damage::Io)?;
            let zeros = ready.iter().take_while(|&&byte| byte == 0).count();
            if zeros == 0 {
                break;
            }
            source.consume(zeros);
        }
        match source.peek(GZIP.len()).map_err(Damage::Io)? {
            [] => return Ok(0),
            head if head.starts_with(GZIP) => *member = Some(Box::new(GzDecoder::new(source))),
            [0x1f] => return Err(Damage::Cut),
            _ => return Err(Damage::Broken("what follows the last member is not gzip".into())),
        }
    }
    Ok(0)
}

/// Frames of zstd, one after the other.
///
/// A frame's last window of bytes comes only when the frame ends: what a pipe
/// brings is behind by as much.
pub(super) struct Zstd<R: Read> {
    source: Source<R>,
    frame: Box<ZstdDecoder>,
    inside: bool,
    /// To be told once the bytes before it are out.
    damage: Option<Damage>,
}

impl<R: Read> Zstd<R> {
    /// An empty last block and a checksum: it ends a frame that does not end itself.
    const LAST_BLOCK: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Damage> {
        loop {
            if !self.inside {
                match self.damage.take() {
                    Some(damage) => return Err(damage),
                    None if self.source.fill_buf().map_err(Damage::Io)?.is_empty() => return Ok(0),
                    None => self.begin_frame()?,
                }
                continue;
            }
            if self.frame.can_collect() > 0 {
                let count = self.frame.read(buffer).map_err(Damage::Io)?;
                if count > 0 {
                    return Ok(count);
                }
            }
            if self.frame.is_finished() {
                self.end_frame();
            } else if let Err(error) =
                self.frame.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
            {
                self.damage = Some(self.source.damage(&error));
                // What it gives is known; it is wanted for making the decoder let go of its window.
                let _ = self.frame.decode_blocks(&Self::LAST_BLOCK[..], BlockDecodingStrategy::UptoBlocks(1));
                self.inside = self.frame.is_finished();
            }
        }
    }

    fn begin_frame(&mut self) -> Result<(), Damage> {
        match self.frame.reset(&mut self.source) {
            Ok(()) => self.inside = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => self.source.pass(length.into())?,
            Err(error) => return Err(self.source.damage(&error)),
        }
        Ok(())
    }

    fn end_frame(&mut self) {
        self.inside = false;
        let (stored, computed) = (self.frame.get_checksum_from_data(), self.frame.get_calculated_checksum());
        if self.damage.is_none() && stored.is_some() && stored != computed {
            self.damage = Some(Damage::Broken("checksum does not match".into()));
        }
    }
}
