//! What parsing one window of a file gave.

use super::error::Unit;
use crate::batch::{InPlace, Record, Records};

/// The packets that parsing found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Those that had to be listed.
    pub(super) records: Vec<Record>,
    /// Those that need not be, instead.
    pub(super) in_place: Option<InPlace>,
}

impl Found {
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.in_place = None;
    }

    pub(super) fn len(&self) -> usize {
        self.in_place.map_or(self.records.len(), |found| found.count)
    }

    /// Where they lie.
    pub(super) fn places(&self) -> Records<'_> {
        self.in_place.map_or(Records::Listed(&self.records), Records::InPlace)
    }
}

/// How much a batch takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    packets: usize,
    until: usize,
}

impl Room {
    /// Packets in a batch at most.
    const PACKETS: usize = 512;
    /// None begins further behind its beginning: what is asked for while the batch before is counted is to be near yet when it is
    /// passed over, and its addresses translated.
    const BYTES: usize = 192 << 10;

    /// That of a batch that begins at `start`.
    pub(super) fn from(start: usize) -> Self {
        Self { packets: Self::PACKETS, until: start + Self::BYTES }
    }

    /// Whether a batch of so many packets that ends at `position` is full; it is not if there are none.
    #[inline]
    pub(super) fn is_full(self, packets: usize, position: usize) -> bool {
        packets >= self.packets || (position >= self.until && packets > 0)
    }
}

/// Where parsing stopped, and why.
pub(super) struct Scan {
    /// First byte that was not parsed.
    pub(super) position: usize,
    /// `Ok` if the batch is full, else what is in the way.
    pub(super) end: Result<(), Short>,
}

/// Why no further packet can be had from the window.
pub(super) enum Short {
    /// It has to be filled.
    More(More),
    /// These bytes mean nothing and need not be kept.
    Skip(u64),
    /// The file is wrong there.
    Fault(Fault),
}

/// What is wanted in one piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct More {
    pub(super) unit: Unit,
    /// Bytes, of the whole record or block.
    pub(super) needed: usize,
    /// Bytes of them that stand before what is claimed (0 if all are claimed).
    pub(super) before: usize,
}

impl More {
    /// A record header of so many bytes.
    pub(super) fn header(size: usize) -> Self {
        Self { unit: Unit::Packet, needed: size, before: 0 }
    }

    /// A packet behind a header of `size` bytes.
    pub(super) fn packet(size: usize, captured: u32) -> Self {
        Self { unit: Unit::Packet, needed: size + captured as usize, before: size }
    }
}

/// What is wrong with a record or block.
pub(super) enum Fault {
    TooLong {
        claimed: u32,
        snaplen: u32,
        most: u32,
    },
    /// A packet's record.
    Malformed(String),
    /// A block without a packet.
    Block(String),
    Version(u16, u16),
}
