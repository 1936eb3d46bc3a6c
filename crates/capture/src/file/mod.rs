//! Capture files: pcap and pcapng, plain or compressed, from a disk or a pipe.
//!
//! [`FileSource::open`] finds out by the first bytes what a file is. A plain
//! file is looked at where the kernel has it, a few megabytes at a time, while
//! nobody writes to it, and else read in the calling thread, straight into the
//! one buffer that the batches lend; pipes and compressed files are read by a
//! thread of their own. No file is mapped or loaded as a whole, and no claimed
//! length allocates anything before its bytes have come.
//!
//! Every packet that lies whole before damage is handed out before the
//! [`Error`] is. Which those are is what Wireshark says.

mod clock;
mod compressed;
mod error;
mod input;
pub(crate) mod linktype;
#[cfg(target_os = "linux")]
mod mapped;
#[cfg(not(target_os = "linux"))]
#[path = "unmapped.rs"]
mod mapped;
mod notes;
mod pcap;
mod pcapng;
pub(crate) mod record;
mod scan;
mod window;

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use error::{Error, Unit};
pub use notes::{Name, Note, Subject};

use crate::batch::{Ahead, Batch};
use crate::source::{CaptureStats, Interface, Next, PacketSource};
use input::{Fill, Input};
use notes::Notes;
use scan::{Fault, Found, More, Room, Scan, Short};
use window::Window;

/// Longer than any pipe is waited for at once.
const FOREVER: Duration = Duration::from_secs(3600);

/// The packets of one capture file.
pub struct FileSource {
    path: PathBuf,
    size: Option<u64>,
    window: Window,
    format: Format,
    found: Found,
    interfaces: Vec<Interface>,
    notes: Notes,
    /// Packets handed out.
    received: u64,
    /// What ended it, to be told after the last batch.
    fault: Option<Error>,
    ended: bool,
}

enum Format {
    Unknown,
    Pcap(pcap::Pcap),
    Pcapng(pcapng::Pcapng),
}

impl FileSource {
    /// Opens a file; `-` is the standard input.
    ///
    /// Waits for the header of a regular file, so that most of what cannot be
    /// read is refused here; a pipe's header is read by the first
    /// [`PacketSource::next_batch`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Open { path: path.to_owned(), source };
        let stdin = path == Path::new("-");
        let known = if stdin {
            let file = io::stdin().as_fd().try_clone_to_owned().map(File::from).map_err(failed)?;
            (file.metadata().map_err(failed)?, Some(file))
        } else {
            (fs::metadata(path).map_err(failed)?, None)
        };
        let (meta, file) = known;
        if meta.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        if !meta.is_file() {
            let name = path.to_owned();
            let input = Input::stream(move || file.map_or_else(|| File::open(name), Ok)).map_err(failed)?;
            return Ok(Self::new(path, None, input));
        }
        let input = match file {
            Some(file) => Self::regular(file, false),
            None => File::open(path).and_then(|file| Self::regular(file, true)),
        };
        let mut source = Self::new(path, Some(meta.len()), input.map_err(failed)?);
        while matches!(source.format, Format::Unknown) {
            source.begin(FOREVER)?;
        }
        Ok(source)
    }

    /// A regular file: with a decompressing thread in front of it, if it needs one. A file that is `ours` alone, which no
    /// other process got from the same open(2), may be mapped.
    fn regular(mut file: File, ours: bool) -> io::Result<Input> {
        let mut head = [0; 4];
        let begin = file.stream_position()?;
        let count = file.read_at(&mut head, begin)?;
        if compressed::is_compressed(&head[..count]) {
            return Input::stream(move || Ok(file));
        }
        Ok(if ours { Input::mapped(file) } else { Input::direct(file) })
    }

    /// Reads what `reader` gives as a pipe is read: in a thread of its own.
    ///
    /// `name` stands for it in errors.
    pub fn stream(name: &Path, reader: impl Read + Send + 'static) -> Result<Self, Error> {
        let input = Input::stream(move || Ok(reader));
        let input = input.map_err(|source| Error::Open { path: name.to_owned(), source })?;
        Ok(Self::new(name, None, input))
    }

    fn new(path: &Path, size: Option<u64>, input: Input) -> Self {
        Self {
            path: path.to_owned(),
            size,
            window: Window::new(input),
            format: Format::Unknown,
            found: Found::default(),
            interfaces: Vec::new(),
            notes: Notes::default(),
            received: 0,
            fault: None,
            ended: false,
        }
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the file as stored, in bytes; `None` for a pipe.
    ///
    /// With [`CaptureStats::consumed`] it tells how far reading has come.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// `pcap` or `pcapng`; `None` until the header was read.
    pub fn format(&self) -> Option<&'static str> {
        match self.format {
            Format::Unknown => None,
            Format::Pcap(_) => Some("pcap"),
            Format::Pcapng(_) => Some("pcapng"),
        }
    }

    /// Every interface that was described so far.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Names for addresses that the file brought since this was asked last.
    pub fn take_names(&mut self) -> Vec<Name> {
        self.notes.take_names()
    }

    /// Addresses that the file says its interfaces had, since this was asked last.
    pub fn take_own(&mut self) -> Vec<IpAddr> {
        std::mem::take(&mut self.notes.own)
    }

    /// Comments and other options that the file brought so far: the first 1 MiB of them.
    pub fn notes(&self) -> &[Note] {
        &self.notes.kept
    }

    /// Names, notes and addresses that there was no room for.
    pub fn lost_notes(&self) -> u64 {
        self.notes.lost
    }

    /// Reads the file's header, or what there is of it; false if nothing came in time.
    fn begin(&mut self, timeout: Duration) -> Result<bool, Error> {
        let head = self.window.rest();
        let needed = match pcap::Pcap::begin(head) {
            pcap::Begun::More(needed) => needed,
            pcap::Begun::Version(major, minor) => {
                return Err(Error::Version { path: self.path.clone(), format: "pcap", major, minor });
            }
            pcap::Begun::Pcap(pcap, size) => match self.begin_pcap(pcap, size) {
                Some(needed) => needed,
                None => return Ok(true),
            },
            pcap::Begun::Foreign => match pcapng::Pcapng::begin(head) {
                pcapng::Begun::More(needed) => needed,
                pcapng::Begun::Foreign => return Err(self.foreign()),
                pcapng::Begun::Pcapng(pcapng) => match self.begin_pcapng(pcapng)? {
                    Some(needed) => needed,
                    None => return Ok(true),
                },
            },
        };
        match self.window.fill(needed, timeout) {
            Ok(Fill::Got(_)) => Ok(true),
            Ok(Fill::Idle) => Ok(false),
            Ok(Fill::End) => self.begin_at_end(needed),
            Err(error) => {
                self.begin_bare();
                Err(self.read_error(error))
            }
        }
    }

    /// Takes on a pcap header, unless more bytes are needed to tell the variant.
    fn begin_pcap(&mut self, mut pcap: pcap::Pcap, size: usize) -> Option<usize> {
        let records = self.window.rest().get(size..).unwrap_or_default();
        if pcap.undecided() {
            if records.len() < 16 {
                return Some(size + 16);
            }
            pcap.choose_variant(records);
        }
        self.interfaces.push(pcap.interface());
        self.window.advance_to(self.window.start() + size);
        self.format = Format::Pcap(pcap);
        None
    }

    /// Takes on a first section, unless more bytes are needed.
    fn begin_pcapng(&mut self, mut pcapng: pcapng::Pcapng) -> Result<Option<usize>, Error> {
        let mut finds = pcapng::Finds {
            records: &mut self.found.records,
            interfaces: &mut self.interfaces,
            notes: &mut self.notes,
            before: 0,
        };
        let scan = pcapng.first_section(self.window.bytes(), self.window.start(), &mut finds);
        match scan.end {
            Err(Short::More(more)) => Ok(Some(more.needed)),
            Err(Short::Fault(Fault::Version(major, minor))) => {
                Err(Error::Version { path: self.path.clone(), format: "pcapng", major, minor })
            }
            Err(Short::Fault(_) | Short::Skip(_)) => {
                Err(Error::Foreign { path: self.path.clone(), seems: Some("a damaged pcapng file") })
            }
            Ok(()) => {
                self.window.advance_to(scan.position);
                self.format = Format::Pcapng(pcapng);
                Ok(None)
            }
        }
    }

    /// Takes on a pcap header of which only the records are missing: none, or a piece of one.
    fn begin_bare(&mut self) -> bool {
        let head = self.window.rest();
        let pcap::Begun::Pcap(mut pcap, size) = pcap::Pcap::begin(head) else { return false };
        pcap.choose_variant(head.get(size..).unwrap_or_default());
        self.interfaces.push(pcap.interface());
        self.window.advance_to(self.window.start() + size);
        self.format = Format::Pcap(pcap);
        true
    }

    /// The stream ended before its header was settled.
    fn begin_at_end(&mut self, needed: usize) -> Result<bool, Error> {
        if self.begin_bare() {
            return Ok(true);
        }
        let head = self.window.rest();
        Err(if head.is_empty() {
            Error::Empty { path: self.path.clone() }
        } else if head.len() < 4 && !is_magic_prefix(head) {
            self.foreign()
        } else {
            Error::Header { path: self.path.clone(), needed: needed as u64, had: head.len() as u64 }
        })
    }

    fn foreign(&self) -> Error {
        Error::Foreign { path: self.path.clone(), seems: looks_like(self.window.rest()) }
    }

    /// Parses from the window until a batch is full or something is in the way.
    fn scan(&mut self) -> Scan {
        let (bytes, start) = (self.window.bytes(), self.window.start());
        let room = Room::from(start);
        match &mut self.format {
            Format::Pcap(pcap) => pcap.scan(bytes, start, &mut self.found, room),
            Format::Pcapng(pcapng) => {
                let mut finds = pcapng::Finds {
                    records: &mut self.found.records,
                    interfaces: &mut self.interfaces,
                    notes: &mut self.notes,
                    before: self.received,
                };
                pcapng.scan(bytes, start, &mut finds, room)
            }
            Format::Unknown => Scan { position: start, end: Err(Short::More(More::header(0))) },
        }
    }

    /// Where the next batch will be found, if it is there already.
    fn ahead(&self) -> Option<Ahead> {
        let stride = match &self.format {
            Format::Unknown => return None,
            Format::Pcap(pcap) => pcap.stride(),
            Format::Pcapng(pcapng) => pcapng.stride(),
        };
        Some(Ahead { start: self.window.start(), stride })
    }

    /// Finds the packets of the next batch; false if nothing came in time. No packets are the end.
    fn advance(&mut self, timeout: Duration) -> Result<bool, Error> {
        self.found.clear();
        let mut deadline = None;
        loop {
            let more = if matches!(self.format, Format::Unknown) {
                if !self.begin(left(&mut deadline, timeout, &self.window))? {
                    return Ok(false);
                }
                continue;
            } else if self.window.skipping() > 0 {
                More { unit: Unit::Block, needed: 0, before: 0 }
            } else {
                let scan = self.scan();
                self.window.advance_to(scan.position);
                match scan.end {
                    Ok(()) => return Ok(true),
                    Err(Short::Skip(count)) => {
                        self.window.skip(count);
                        continue;
                    }
                    Err(Short::Fault(fault)) => {
                        self.fault = Some(self.fault(fault));
                        return Ok(true);
                    }
                    Err(Short::More(more)) => more,
                }
            };
            // Filling moves the bytes that the records point to.
            if self.found.len() > 0 {
                return Ok(true);
            }
            let wait = left(&mut deadline, timeout, &self.window);
            match self.window.fill(more.needed, wait) {
                Ok(Fill::Got(_)) => {}
                Ok(Fill::Idle) => return Ok(false),
                Ok(Fill::End) => return self.finish(more).map(|()| true),
                Err(error) => return Err(self.read_error(error)),
            }
        }
    }

    /// The stream ended where `more` was wanted.
    fn finish(&self, more: More) -> Result<(), Error> {
        let had = self.window.rest().len() as u64;
        let skipping = self.window.skipping();
        let passing = match &self.format {
            Format::Pcapng(pcapng) => pcapng.passing(),
            _ => 0,
        };
        let (byte, needed, had) = if passing > 0 {
            let there = (passing - 4).saturating_sub(skipping);
            (self.window.offset() - there, passing, there + had)
        } else if had == 0 {
            return Ok(());
        } else {
            let before = if had < more.before as u64 { 0 } else { more.before as u64 };
            let whole = if before == 0 && more.before > 0 { more.before } else { more.needed } as u64;
            (self.window.offset(), whole - before, had - before)
        };
        let (path, packet) = (self.path.clone(), self.received + 1);
        Err(Error::Truncated { path, what: more.unit, packet, byte, needed, had })
    }

    /// Names the place of a fault: the first unparsed byte, the packet after those in hand.
    fn fault(&self, fault: Fault) -> Error {
        let path = self.path.clone();
        let packet = self.received + self.found.len() as u64 + 1;
        let byte = self.window.offset();
        let (what, reason) = match fault {
            Fault::TooLong { claimed, snaplen, most } => {
                return Error::TooLong { path, packet, byte, claimed, snaplen, most };
            }
            Fault::Malformed(reason) => (Unit::Packet, reason),
            Fault::Block(reason) => (Unit::Block, reason),
            Fault::Version(major, minor) => {
                (Unit::Block, format!("pcapng version {major}.{minor} is not supported"))
            }
        };
        Error::Malformed { path, what, packet, byte, reason }
    }

    fn read_error(&self, error: io::Error) -> Error {
        let path = self.path.clone();
        let begun = !matches!(self.format, Format::Unknown);
        let packet = self.received + 1;
        let byte = self.window.offset() + self.window.rest().len() as u64;
        match error.downcast::<input::Failure>() {
            Ok(input::Failure { format: Some(format), damage }) => {
                let cut = matches!(damage, compressed::Damage::Cut);
                Error::Compression { path, format, cut, reason: damage.to_string(), packet, byte, begun }
            }
            Ok(failure) => Error::Read { path, packet, byte, source: io::Error::other(failure) },
            Err(source) if begun => Error::Read { path, packet, byte, source },
            Err(source) => Error::Open { path, source },
        }
    }
}

impl PacketSource for FileSource {
    type Error = Error;

    /// See [`PacketSource::next_batch`]; a regular file is never [`Next::Idle`].
    fn next_batch(&mut self, timeout: Duration) -> Result<Next<'_>, Error> {
        if let Some(fault) = self.fault.take() {
            self.ended = true;
            return Err(fault);
        }
        if self.ended {
            return Ok(Next::End);
        }
        if let Err(error) = self.window.check() {
            self.ended = true;
            return Err(self.read_error(error));
        }
        match self.advance(timeout) {
            Ok(false) => return Ok(Next::Idle),
            Ok(true) => {}
            Err(error) => {
                self.ended = true;
                return Err(error);
            }
        }
        if self.found.len() == 0 {
            self.ended = true;
            return self.fault.take().map_or(Ok(Next::End), Err);
        }
        self.received += self.found.len() as u64;
        Ok(Next::Batch(Batch {
            buffer: self.window.bytes(),
            ahead: self.window.is_cold().then(|| self.ahead()).flatten(),
            fetch: 0,
            records: self.found.places(),
            interfaces: &self.interfaces,
            pauses: &[],
        }))
    }

    fn stats(&self) -> CaptureStats {
        CaptureStats { received: self.received, dropped: 0, consumed: self.window.consumed() }
    }
}

/// What is left of a timeout; only streams need a clock.
fn left(deadline: &mut Option<Instant>, timeout: Duration, window: &Window) -> Duration {
    if !window.waits() {
        return timeout;
    }
    let now = Instant::now();
    if let Some(deadline) = *deadline {
        return deadline.saturating_duration_since(now);
    }
    *deadline = now.checked_add(timeout);
    timeout
}

/// Whether so short a file may have been meant as a capture.
fn is_magic_prefix(head: &[u8]) -> bool {
    const MAGICS: [[u8; 4]; 7] = [
        [0xa1, 0xb2, 0xc3, 0xd4],
        [0xd4, 0xc3, 0xb2, 0xa1],
        [0xa1, 0xb2, 0x3c, 0x4d],
        [0x4d, 0x3c, 0xb2, 0xa1],
        [0xa1, 0xb2, 0xcd, 0x34],
        [0x34, 0xcd, 0xb2, 0xa1],
        [0x0a, 0x0d, 0x0d, 0x0a],
    ];
    MAGICS.iter().any(|magic| magic.starts_with(head))
}

/// What a file that is no capture seems to be.
fn looks_like(head: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 16] = [
        (&[0xff, 0xd8, 0xff], "a JPEG image"),
        (b"\x89PNG", "a PNG image"),
        (b"GIF8", "a GIF image"),
        (b"%PDF", "a PDF document"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x7fELF", "a program"),
        (b"\xfd7zXZ", "an xz file: decompress it first"),
        (b"BZh", "a bzip2 file: decompress it first"),
        (b"snoop\0", "a snoop capture: convert it with editcap"),
        (b"btsnoop\0", "a btsnoop capture: convert it with editcap"),
        (b"GMBU", "a Network Monitor capture: convert it with editcap"),
        (b"RTSS", "a Network Monitor capture: convert it with editcap"),
        (b"XCP\0", "a Sniffer capture: convert it with editcap"),
        (b"TRSNIFF", "a Sniffer capture: convert it with editcap"),
        (b"\x54\x00\x7f\xf5", "a nettl trace"),
        (b"<", "markup"),
    ];
    let known = KNOWN.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what);
    let text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e);
    known.or_else(|| head.iter().take(256).all(text).then_some("text"))
}
