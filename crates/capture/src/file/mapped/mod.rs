//! A file's bytes where the kernel has them, a few megabytes at a time, without a copy.
//!
//! To copy a capture of full-sized packets costs twice what it takes to count them, and nearly all of what is copied is
//! never looked at. But whoever reads a mapping dies if the file is cut meanwhile, and sees bytes change if somebody
//! writes. So a file is mapped only under a lease: it is refused while anybody has the file open for writing, and a
//! writer who comes later waits until it was given back. That takes as long as a batch; the rest is read.

mod sys;

use std::fs::File;
use std::io;

use self::sys::Mapping;

/// Bytes mapped at a time: the price of a mapping is spread over some ten thousand packets.
const AT_ONCE: usize = 4 << 20;
/// What offsets of mappings are multiples of: at least a page of any processor.
const PAGE: u64 = 64 << 10;

/// A file under a lease, and the part of it that is mapped.
#[derive(Debug)]
pub(super) struct Mapped {
    // Goes before the file: while it is there, the lease is.
    view: Option<Mapping>,
    file: File,
    /// Offset in the file of the first byte of the view, and of the one behind its last.
    from: u64,
    to: u64,
}

impl Mapped {
    /// Takes the lease; gives the file back where there is none to be had.
    pub(super) fn new(file: File) -> Result<Self, File> {
        match sys::lease(&file) {
            Ok(()) => Ok(Self { view: None, file, from: 0, to: 0 }),
            Err(_) => Err(file),
        }
    }

    /// Whether the bytes may still be looked at: nobody waits for the file.
    pub(super) fn holds(&self) -> bool {
        sys::holds(&self.file)
    }

    /// The bytes that are mapped.
    pub(super) fn bytes(&self) -> &[u8] {
        self.view.as_ref().map_or(&[], Mapping::bytes)
    }

    /// Offset in the file behind the last byte that was mapped.
    pub(super) fn end(&self) -> u64 {
        self.to
    }

    /// Maps what lies at `offset`, at least `needed` bytes of it where the file has so many; says where in
    /// [`Mapped::bytes`] `offset` is, or `None` if nothing came that was not there before.
    pub(super) fn map(&mut self, offset: u64, needed: usize) -> io::Result<Option<usize>> {
        let from = offset / PAGE * PAGE;
        let before = (offset - from) as usize;
        let size = self.file.metadata()?.len();
        let wanted = before.saturating_add(needed).max(AT_ONCE);
        let len = usize::try_from(size.saturating_sub(from)).map_or(wanted, |left| left.min(wanted));
        let to = from + len as u64;
        if to <= self.to.max(offset) {
            return Ok(None);
        }
        self.view = None;
        self.view = Some(Mapping::new(&self.file, from, len)?);
        (self.from, self.to) = (from, to);
        sys::read_ahead(&self.file, to, AT_ONCE);
        Ok(Some(before))
    }

    /// The file, to be read; the lease is of both.
    pub(super) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Gives the lease back: nothing is mapped any more.
    pub(super) fn give_back(&mut self) {
        self.view = None;
        sys::give_back(&self.file);
    }
}
