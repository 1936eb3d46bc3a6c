//! Memory that is asked for before it is wanted.
//!
//! Where a packet ends says where the next one begins, so that a processor that waits for one cannot go ahead to the
//! next: packets that lie in the page cache and not in the processor's would take longer than to copy them first. So
//! while one batch is counted, a runner goes over the next one, a packet for each that is counted, and asks for the
//! headers of the packet after it: a little later, when it comes there, they have come.

mod sys;

pub use self::sys::bring_near;

/// What memory comes in.
const LINE: usize = 64;
/// Lines that a runner asks for at each packet: most packets and what stands before the next one lie in so many.
const LINES: usize = 6;
/// How far beyond a packet's beginning a runner asks for more.
const FURTHEST: usize = 12 * LINE;
/// Where a packet is so long, and as long as that before it, …
const LONG: usize = 512;
/// … those behind it likely are, too, and the one so many behind it is asked for: else each would be waited for, since only its
/// length tells where the next begins.
const ALIKE: usize = 8;
/// Lines of it: so many mostly have its headers.
const HEADERS: usize = 2;

/// Asks for the line in which byte `at` is, wherever that is.
#[inline(always)]
fn second_level(bytes: &[u8], at: usize) {
    sys::bring_to_second_level(bytes.as_ptr().wrapping_add(at));
}

/// Asks for the lines of the `len` bytes that begin at `at`, to be read soon.
#[inline]
pub(crate) fn lines(bytes: &[u8], at: usize, len: usize) {
    for line in 0..len.div_ceil(LINE) {
        bring_near(bytes.as_ptr().wrapping_add(at + line * LINE));
    }
}

/// Asks for what a short packet and what stands before it take, wherever in it `at` is.
#[inline]
pub(crate) fn packet(bytes: &[u8], at: usize) {
    second_level(bytes, at);
    second_level(bytes, at + LINE);
    second_level(bytes, at + 2 * LINE);
}

/// Asks for all of what `bytes` begin with, as much as a batch takes.
pub(crate) fn beginning(bytes: &[u8]) {
    const BATCH: usize = 128 << 10;
    for at in (0..bytes.len().min(BATCH)).step_by(LINE) {
        second_level(bytes, at);
    }
}

/// How to come from one packet to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stride {
    /// Where behind a packet's first byte its length stands.
    pub(crate) length_at: usize,
    /// What has to be added to it.
    pub(crate) more: usize,
    /// Whether it is written big end first.
    pub(crate) big_endian: bool,
}

/// Goes over packets that will be read.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    rest: &'a [u8],
    stride: Stride,
    /// So much of what `rest` begins with has been asked for.
    asked: usize,
    /// How far it was to the packet before this one.
    last: usize,
}

impl<'a> Runner<'a> {
    /// Begins where a batch ends.
    #[inline]
    pub(crate) fn new(rest: &'a [u8], stride: Stride) -> Self {
        second_level(rest, 0);
        Self { rest, stride, asked: 0, last: 0 }
    }

    /// Goes one packet further. Nothing hangs on what is read here: damage sends the runner nowhere.
    #[inline(always)]
    pub(crate) fn step(&mut self) {
        let Stride { length_at, more, big_endian } = self.stride;
        let Some(length) = self.rest.get(length_at..).and_then(|length| length.first_chunk()) else { return };
        let length = if big_endian { u32::from_be_bytes(*length) } else { u32::from_le_bytes(*length) };
        // A claim may be more than a processor of 32 bits can address.
        let next = usize::try_from(u64::from(length) + more as u64).unwrap_or(usize::MAX);
        self.rest = self.rest.get(next..).unwrap_or_default();
        // Record header, and those of link, network and transport; and, behind short packets, of which most are, further
        // ones, which so have the time of several packets to come. What was asked for is not asked for again: a processor
        // waits for few lines at once.
        let from = self.asked.saturating_sub(next).min(FURTHEST);
        let is_alike = next >= LONG && next == self.last;
        let (at, lines) = if is_alike { (ALIKE.wrapping_mul(next), HEADERS) } else { (from, LINES) };
        for line in 0..lines {
            second_level(self.rest, at.wrapping_add(line * LINE));
        }
        self.asked = from + LINES * LINE;
        self.last = next;
    }
}
