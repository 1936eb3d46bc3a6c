//! Where a file's bytes come from: the disk in the caller's own thread, a
//! pipe or a decompressor in a thread of its own.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use super::compressed::{Damage, Decoder, Source};
use super::mapped::Mapped;

/// Blocks that a reading thread may be ahead.
const AHEAD: usize = 4;
/// Bytes a block; twice a pipe's usual capacity.
const BLOCK: usize = 128 << 10;

/// What asking for bytes gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    Got(usize),
    /// Nothing within the timeout.
    Idle,
    End,
}

pub(super) enum Input {
    /// Read in the calling thread, straight into the caller's buffer.
    Direct { file: File, consumed: u64 },
    /// Not read at all, but looked at where it lies.
    Mapped(Mapped),
    /// Blocks that another thread reads.
    Stream(Stream),
}

/// The receiving end of a reading thread.
pub(super) struct Stream {
    pieces: Receiver<Piece>,
    empty: SyncSender<Vec<u8>>,
    /// The block that did not fit wholly, and how much of it is used.
    held: Option<(Vec<u8>, usize)>,
    consumed: Arc<AtomicU64>,
    ended: bool,
}

enum Piece {
    Block(Vec<u8>),
    Failed(Failure),
    End,
}

/// Why a stream ended other than well.
#[derive(Debug)]
pub(super) struct Failure {
    /// The decompressor, if it was one.
    pub(super) format: Option<&'static str>,
    pub(super) damage: Damage,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.damage.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl Input {
    /// Reads a regular file from where it stands.
    pub(super) fn direct(file: File) -> Self {
        Self::Direct { file, consumed: 0 }
    }

    /// Maps a regular file that nobody writes, and reads any other.
    pub(super) fn mapped(file: File) -> Self {
        Mapped::new(file).map_or_else(Self::direct, Self::Mapped)
    }

    /// Reads a mapped file from `offset` on.
    pub(super) fn unmap(&mut self, offset: u64) -> io::Result<()> {
        if let Self::Mapped(mapped) = self {
            let mut file = mapped.file()?;
            file.seek(SeekFrom::Start(offset))?;
            mapped.give_back();
            *self = Self::Direct { file, consumed: offset };
        }
        Ok(())
    }

    /// Reads what `open` gives in a thread of its own, decompressed where it is compressed.
    pub(super) fn stream<R, F>(open: F) -> io::Result<Self>
    where
        R: Read,
        F: FnOnce() -> io::Result<R> + Send + 'static,
    {
        let (send, pieces) = sync_channel(AHEAD);
        let (empty, returned) = sync_channel(AHEAD);
        let consumed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&consumed);
        thread::Builder::new().name("read".into()).spawn(move || {
            let end = pump(open, &send, &returned, counter);
            // Nobody waits for the end when the source was dropped.
            let _ = send.send(end);
        })?;
        Ok(Self::Stream(Stream { pieces, empty, held: None, consumed, ended: false }))
    }

    pub(super) fn fill(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Fill> {
        match self {
            Self::Direct { file, consumed } => loop {
                match file.read(buffer) {
                    Ok(0) => return Ok(Fill::End),
                    Ok(count) => {
                        *consumed += count as u64;
                        return Ok(Fill::Got(count));
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            },
            Self::Stream(stream) => stream.fill(buffer, timeout),
            Self::Mapped(_) => Ok(Fill::End),
        }
    }

    /// Stored bytes taken so far.
    pub(super) fn consumed(&self) -> u64 {
        match self {
            Self::Direct { consumed, .. } => *consumed,
            Self::Mapped(file) => file.end(),
            Self::Stream(stream) => stream.consumed.load(Ordering::Relaxed),
        }
    }
}

impl Stream {
    fn fill(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Fill> {
        if self.ended {
            return Ok(Fill::End);
        }
        let (block, used) = match self.held.take() {
            Some(held) => held,
            None => match self.receive(timeout) {
                Ok(Piece::Block(block)) => (block, 0),
                Ok(Piece::End) => {
                    self.ended = true;
                    return Ok(Fill::End);
                }
                Ok(Piece::Failed(failure)) => {
                    self.ended = true;
                    return Err(match failure {
                        Failure { format: None, damage: Damage::Io(error) } => error,
                        failure => io::Error::other(failure),
                    });
                }
                Err(RecvTimeoutError::Timeout) => return Ok(Fill::Idle),
                Err(RecvTimeoutError::Disconnected) => {
                    self.ended = true;
                    return Err(io::Error::other("the reading thread ended"));
                }
            },
        };
        let rest = block.get(used..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        if used + count < block.len() {
            self.held = Some((block, used + count));
        } else {
            // A full channel only means that the thread has blocks enough.
            let _ = self.empty.try_send(block);
        }
        Ok(Fill::Got(count))
    }

    fn receive(&self, timeout: Duration) -> Result<Piece, RecvTimeoutError> {
        match self.pieces.try_recv() {
            Ok(piece) => Ok(piece),
            Err(TryRecvError::Empty) => self.pieces.recv_timeout(timeout),
            Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
        }
    }
}

/// Sends blocks until the input ends; says how it ended.
fn pump<R: Read>(
    open: impl FnOnce() -> io::Result<R>,
    send: &SyncSender<Piece>,
    returned: &Receiver<Vec<u8>>,
    consumed: Arc<AtomicU64>,
) -> Piece {
    let failed = |format, damage| Piece::Failed(Failure { format, damage });
    let reader = match open() {
        Ok(reader) => reader,
        Err(error) => return failed(None, Damage::Io(error)),
    };
    let mut decoder = match Decoder::detect(Source::new(reader, consumed)) {
        Ok(decoder) => decoder,
        Err(error) => return failed(None, Damage::Io(error)),
    };
    loop {
        let mut block = returned.try_recv().unwrap_or_default();
        block.resize(BLOCK, 0);
        match decoder.read(&mut block) {
            Ok(0) => return Piece::End,
            Ok(count) => {
                block.truncate(count);
                if send.send(Piece::Block(block)).is_err() {
                    return Piece::End;
                }
            }
            Err(damage) => return failed(decoder.format(), damage),
        }
    }
}
