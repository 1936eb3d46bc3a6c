//! Frames of lz4, one after the other: those of its frame format (v1.6.x), and the legacy ones before it, of which only the
//! next magic number or the end of the file is the end.

use std::io::Read;

use lz4_flex::block::decompress_into;
use lz4_flex::frame::FrameDecoder;

use super::{Damage, LZ4, LZ4_LEGACY, Source, is_skippable, skip};

/// Bytes that a block of a legacy frame holds at most.
const LEGACY_BLOCK: usize = 8 << 20;
/// The most that those can be compressed to.
const LEGACY_STORED: usize = LEGACY_BLOCK + LEGACY_BLOCK / 255 + 16;

/// Frames of lz4.
pub(in super::super) struct Lz4<R: Read> {
    frame: Box<FrameDecoder<Source<R>>>,
    inside: Inside,
    /// A block of a legacy frame, as far as it was decompressed, and how much of it has been given.
    block: Vec<u8>,
    given: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    Frame,
    Legacy,
}

impl<R: Read> Lz4<R> {
    pub(super) fn new(source: Source<R>) -> Self {
        let frame = Box::new(FrameDecoder::new(source));
        Self { frame, inside: Inside::Nothing, block: Vec::new(), given: 0 }
    }

    /// Some bytes, as soon as there are any; 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Damage> {
        loop {
            match self.inside {
                Inside::Nothing => {
                    if !self.begin()? {
                        return Ok(0);
                    }
                }
                Inside::Legacy => {
                    let ready = self.block.get(self.given..).unwrap_or_default();
                    if !ready.is_empty() {
                        let count = ready.len().min(buffer.len());
                        buffer[..count].copy_from_slice(&ready[..count]);
                        self.given += count;
                        return Ok(count);
                    }
                    self.read_block()?;
                }
                Inside::Frame => match self.frame.read(buffer) {
                    // A frame ends with a mark.
                    Ok(0) if self.frame.get_ref().ended => return Err(Damage::Cut),
                    Ok(0) => self.inside = Inside::Nothing,
                    Ok(count) => return Ok(count),
                    Err(error) => return Err(self.frame.get_mut().damage(&error)),
                },
            }
        }
    }

    /// Begins the next frame; false if there is none.
    fn begin(&mut self) -> Result<bool, Damage> {
        let source = self.frame.get_mut();
        let head = source.peek(LZ4.len()).map_err(Damage::Io)?;
        if head.is_empty() {
            return Ok(false);
        }
        if is_skippable(head) {
            skip(source)?;
        } else if head.starts_with(LZ4_LEGACY) {
            source.pass(LZ4_LEGACY.len() as u64)?;
            self.inside = Inside::Legacy;
        } else {
            // It says itself what is wrong with anything else.
            self.inside = Inside::Frame;
        }
        Ok(true)
    }

    /// Decompresses the next block of a legacy frame, if one follows.
    fn read_block(&mut self) -> Result<(), Damage> {
        let source = self.frame.get_mut();
        let head = source.peek(4).map_err(Damage::Io)?;
        if head.is_empty() || head.starts_with(LZ4) || head.starts_with(LZ4_LEGACY) || is_skippable(head) {
            self.inside = Inside::Nothing;
            return Ok(());
        }
        let Some(&[a, b, c, d]) = head.first_chunk() else { return Err(Damage::Cut) };
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > LEGACY_STORED {
            return Err(Damage::Broken(format!("a legacy block of {length} bytes")));
        }
        source.pass(4)?;
        let mut stored = Vec::new();
        source.by_ref().take(length as u64).read_to_end(&mut stored).map_err(Damage::Io)?;
        if stored.len() < length {
            return Err(Damage::Cut);
        }
        self.block.resize(LEGACY_BLOCK, 0);
        let count =
            decompress_into(&stored, &mut self.block).map_err(|error| Damage::Broken(error.to_string()))?;
        self.block.truncate(count);
        self.given = 0;
        Ok(())
    }
}
