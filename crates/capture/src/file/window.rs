//! The part of a stream that is in memory: one buffer, used again and again.

use std::io;
use std::time::Duration;

use super::input::{Fill, Input};

/// Bytes read at a time: small enough to stay in the second-level cache, so
/// that what the kernel copied is still there when it is parsed.
pub(super) const SIZE: usize = 256 << 10;

/// `buffer[start..end]` is what was read and not yet parsed.
#[derive(Debug)]
pub(super) struct Window {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset in the stream of `buffer[0]`.
    base: u64,
    /// Bytes still to be thrown away before `start` goes on.
    skip: u64,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; SIZE], start: 0, end: 0, base: 0, skip: 0 }
    }

    /// The whole buffer up to what was read; records point into it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.end]
    }

    /// Where the unparsed bytes begin in [`Window::bytes`].
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// The unparsed bytes.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Offset in the stream of the first unparsed byte.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Bytes of a skipped stretch that have not come yet.
    pub(super) fn skipping(&self) -> u64 {
        self.skip
    }

    /// Marks everything before `position` (in [`Window::bytes`]) as parsed.
    pub(super) fn advance_to(&mut self, position: usize) {
        self.start = position.min(self.end);
    }

    /// Passes over the next `count` bytes, which may not have been read yet.
    pub(super) fn skip(&mut self, count: u64) {
        self.skip += count;
        self.take_skip();
    }

    fn take_skip(&mut self) {
        let now = self.skip.min((self.end - self.start) as u64);
        self.start += now as usize;
        self.skip -= now;
    }

    /// Reads once, behind the unparsed bytes, of which `needed` are wanted in one piece.
    ///
    /// The buffer grows only when it is full of bytes that did arrive, and
    /// then to twice its size: a claimed length allocates nothing.
    pub(super) fn fill(&mut self, input: &mut Input, needed: usize, timeout: Duration) -> io::Result<Fill> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.base += self.start as u64;
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() && needed > self.end {
            self.buffer.resize(needed.min(self.buffer.len() * 2), 0);
        }
        let fill = input.fill(&mut self.buffer[self.end..], timeout)?;
        if let Fill::Got(count) = fill {
            self.end += count;
            self.take_skip();
        }
        Ok(fill)
    }
}
