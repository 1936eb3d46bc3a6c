//! The part of a stream that is in memory: one buffer, used again and again, or what is mapped of a file.

use std::io;
use std::time::Duration;

use super::input::{Fill, Input};
use crate::fetch;

/// Bytes read at a time: small enough to stay in the second-level cache, so
/// that what the kernel copied is still there when it is parsed.
pub(super) const SIZE: usize = 256 << 10;

/// `bytes()[start..end]` is what was read and not yet parsed.
pub(super) struct Window {
    input: Input,
    /// Not used while the input is mapped.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset in the stream of the first of [`Window::bytes`].
    base: u64,
    /// Bytes still to be thrown away before `start` goes on.
    skip: u64,
}

impl Window {
    pub(super) fn new(input: Input) -> Self {
        Self { input, buffer: Vec::new(), start: 0, end: 0, base: 0, skip: 0 }
    }

    /// All bytes up to what was read; records point into them.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.input {
            Input::Mapped(file) => file.bytes(),
            _ => &self.buffer[..self.end],
        }
    }

    /// Where the unparsed bytes begin in [`Window::bytes`].
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Whether nothing has brought the unparsed bytes into the processor's cache.
    pub(super) fn is_cold(&self) -> bool {
        matches!(self.input, Input::Mapped(_))
    }

    /// The unparsed bytes.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes()[self.start..self.end]
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

    /// Whether bytes may be long in coming.
    pub(super) fn waits(&self) -> bool {
        matches!(self.input, Input::Stream(_))
    }

    /// Stored bytes taken so far.
    pub(super) fn consumed(&self) -> u64 {
        self.input.consumed()
    }

    /// Asked before each batch: whether a mapped file is still as it was. If somebody waits to change it, the unparsed
    /// rest is given up, to be read.
    pub(super) fn check(&mut self) -> io::Result<()> {
        match &self.input {
            Input::Mapped(file) if !file.holds() => self.unmap(),
            _ => Ok(()),
        }
    }

    /// Goes on by reading, from the first unparsed byte.
    fn unmap(&mut self) -> io::Result<()> {
        let offset = self.offset();
        (self.base, self.start, self.end) = (offset, 0, 0);
        self.input.unmap(offset)
    }

    /// Reads or maps once, behind the unparsed bytes, of which `needed` are wanted in one piece.
    pub(super) fn fill(&mut self, needed: usize, timeout: Duration) -> io::Result<Fill> {
        let offset = self.offset();
        if let Input::Mapped(file) = &mut self.input {
            let had = self.end - self.start;
            match file.map(offset, needed) {
                Ok(None) => return Ok(Fill::End),
                Ok(Some(start)) => {
                    fetch::beginning(file.bytes().get(start..).unwrap_or_default());
                    (self.base, self.start, self.end) = (offset - start as u64, start, file.bytes().len());
                    let count = self.end - self.start - had;
                    self.take_skip();
                    return Ok(Fill::Got(count));
                }
                // Reading says what is wrong, if anything is.
                Err(_) => self.unmap()?,
            }
        }
        self.read(needed, timeout)
    }

    /// The buffer grows only when it is full of bytes that did arrive, and then to twice its size: a claimed length
    /// allocates nothing.
    fn read(&mut self, needed: usize, timeout: Duration) -> io::Result<Fill> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.base += self.start as u64;
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.is_empty() {
            self.buffer = vec![0; SIZE];
        } else if self.end == self.buffer.len() && needed > self.end {
            self.buffer.resize(needed.min(self.buffer.len() * 2), 0);
        }
        let fill = self.input.fill(&mut self.buffer[self.end..], timeout)?;
        if let Fill::Got(count) = fill {
            self.end += count;
            self.take_skip();
        }
        Ok(fill)
    }
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::Write;
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::thread;

    use tempfile::TempPath;

    use super::*;

    const WAIT: Duration = Duration::from_secs(20);

    /// So many bytes that differ from place to place, in a file that nobody has open.
    fn file(len: usize) -> (Vec<u8>, TempPath) {
        let bytes: Vec<u8> = (0..len).map(|at| (at * 31 / 7 % 251) as u8).collect();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        (bytes, file.into_temp_path())
    }

    /// A window on a mapped file; `None`, and said so, where the file system has no leases.
    fn mapped(path: &TempPath) -> Option<Window> {
        let input = Input::mapped(File::open(path).unwrap());
        let is_mapped = matches!(input, Input::Mapped(_));
        if !is_mapped {
            eprintln!("skipped: no lease to be had on {}", path.display());
        }
        is_mapped.then(|| Window::new(input))
    }

    #[test]
    fn a_mapped_file_is_seen_piece_by_piece() {
        let (bytes, path) = file((9 << 20) + 123);
        let Some(mut window) = mapped(&path) else { return };
        let mut pieces = 0;
        while let Fill::Got(count) = window.fill(1, WAIT).unwrap() {
            pieces += 1;
            assert!(count > 0 && window.bytes().len() < 5 << 20);
            let offset = window.offset() as usize;
            assert_eq!(window.rest(), &bytes[offset..offset + window.rest().len()]);
            // A piece is left, as of a packet that was cut.
            window.advance_to(window.bytes().len() - 100);
        }
        assert!(pieces >= 3);
        assert_eq!(window.rest(), &bytes[bytes.len() - 100..]);
        assert_eq!((window.fill(1 << 20, WAIT).unwrap(), window.consumed()), (Fill::End, bytes.len() as u64));
    }

    /// What was mapped has been read, whole: a disk that fails is an error before it is looked at.
    #[test]
    fn what_is_mapped_was_read() {
        let (_, path) = file(5 << 20);
        let Some(mut window) = mapped(&path) else { return };
        window.fill(1, WAIT).unwrap();
        if !matches!(window.input, Input::Mapped(_)) {
            eprintln!("skipped: may not read so much memory in");
            return;
        }
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let (_, map) = maps.split_once(name).unwrap();
        let resident = map.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
        let kib: usize = resident.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        assert!(kib >= 4096, "{resident}");
    }

    #[test]
    fn a_file_that_is_being_written_is_not_mapped() {
        let (bytes, path) = file(1000);
        let _writer = OpenOptions::new().append(true).open(&path).unwrap();
        let input = Input::mapped(File::open(&path).unwrap());
        assert!(matches!(input, Input::Direct { .. }));
        let mut window = Window::new(input);
        assert_eq!(window.fill(1, WAIT).unwrap(), Fill::Got(1000));
        assert_eq!(window.rest(), bytes);
    }

    #[test]
    fn who_wants_to_cut_a_mapped_file_waits_until_it_is_given_up() {
        let (bytes, path) = file(8 << 20);
        let Some(mut window) = mapped(&path) else { return };
        window.fill(1, WAIT).unwrap();
        window.advance_to(5000);
        let (about, begins) = channel();
        let (done, cut) = channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                about.send(()).unwrap();
                let file = OpenOptions::new().write(true).open(&path).unwrap();
                file.set_len(6000).unwrap();
                done.send(()).unwrap();
            });
            begins.recv_timeout(WAIT).unwrap();
            assert_eq!(cut.recv_timeout(Duration::from_millis(200)), Err(RecvTimeoutError::Timeout));
            assert_eq!(window.rest(), &bytes[5000..window.bytes().len()]);
            window.check().unwrap();
            cut.recv_timeout(WAIT).unwrap();
        });
        // What was not parsed is not there any more; what is there now is read.
        assert_eq!((window.offset(), window.rest()), (5000, &[][..]));
        assert_eq!(window.fill(1, WAIT).unwrap(), Fill::Got(1000));
        assert_eq!(window.rest(), &bytes[5000..6000]);
        assert_eq!(window.fill(2000, WAIT).unwrap(), Fill::End);
        assert_eq!((window.offset(), window.consumed()), (5000, 6000));
    }
}
