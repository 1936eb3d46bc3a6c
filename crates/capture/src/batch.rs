//! Packets as sources lend them: many at a time, where they lie.

use dissect::{Direction, LinkType, Packet, Pause, Timestamp};

use crate::fetch::{self, Runner, Stride};
use crate::file::linktype::wire_len;
use crate::file::record::{HEADER, Header};
use crate::source::Interface;

/// Where one packet of a batch lies in the batch's buffer, and what the source knows of it.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// When it was captured. The packets of a batch have a time, or all of them have none ([`Timestamp::UNKNOWN`]).
    pub timestamp: Timestamp,
    /// First byte in [`Batch::buffer`].
    pub start: u32,
    /// Captured length, in bytes.
    pub captured: u32,
    /// Length on the wire, in bytes; may be more than `captured` (snaplen), and less: in damaged
    /// files, and where metadata that was not on the wire stands before the frame.
    pub wire_len: u32,
    /// Index into [`Batch::interfaces`].
    pub interface: u32,
    /// The VLAN tag that the kernel took out of the frame, if any.
    pub vlan_tci: Option<u16>,
    /// Which way it passed the interface, where the source knows.
    pub direction: Direction,
}

/// Packets that lie in one buffer, in the order in which they came.
///
/// They are lent until the source is asked again, so a reader may look at many at once.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The bytes that the packets lie in.
    pub buffer: &'a [u8],
    /// The next batch, as far as it lies there already and is not in the processor's cache.
    pub(crate) ahead: Option<Ahead>,
    /// While a packet of a list is looked at, what lies so many bytes behind its first one is fetched; 0 for nothing.
    pub(crate) fetch: usize,
    /// Where in it they lie.
    pub records: Records<'a>,
    /// Every interface of the source so far.
    pub interfaces: &'a [Interface],
    /// Data that the source has counted, before these packets or between them.
    pub pauses: &'a [Pause],
}

/// Where the next batch lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    /// First byte in [`Batch::buffer`].
    pub(crate) start: usize,
    /// How its packets follow each other.
    pub(crate) stride: Stride,
}

/// Where the packets of a batch lie.
#[derive(Clone, Copy, Debug)]
pub enum Records<'a> {
    /// As a list says: one entry a packet; each lies wholly inside [`Batch::buffer`].
    Listed(&'a [Record]),
    /// One after the other, as a pcap file has them: see [`InPlace`].
    InPlace(InPlace),
}

/// Packets of interface 0 that lie one after the other, each behind the record header of a pcap file in its usual form:
/// little-endian, 16 bytes, captured length first (draft-ietf-opsawg-pcap, section 5).
///
/// To list them first would cost a twelfth of what it takes to count them.
#[derive(Clone, Copy, Debug)]
pub struct InPlace {
    /// First byte of the first record header in [`Batch::buffer`].
    pub start: usize,
    /// Byte behind the last packet.
    pub end: usize,
    /// How many packets there are.
    pub count: usize,
    /// Nanoseconds in one unit of a timestamp's fraction.
    pub unit: u32,
}

impl<'a> Batch<'a> {
    /// How many packets there are.
    pub fn len(&self) -> usize {
        match self.records {
            Records::Listed(records) => records.len(),
            Records::InPlace(InPlace { count, .. }) => count,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The packets, in order.
    pub fn packets(&self) -> impl Iterator<Item = Packet<'a>> + use<'a> {
        let (listed, ranged) = match self.records {
            Records::Listed(records) => (Some(self.listed(records)), None),
            Records::InPlace(found) => (None, Some(self.ranged(found))),
        };
        listed.into_iter().flatten().chain(ranged.into_iter().flatten())
    }

    /// Has `reader` read them, in the way that suits how they lie.
    #[inline]
    pub fn read_by(&self, reader: impl Reader<'a>) {
        match self.records {
            Records::Listed(records) => reader.read(self.listed(records)),
            Records::InPlace(found) => reader.read(self.ranged(found)),
        }
    }

    #[inline]
    fn listed(&self, records: &'a [Record]) -> Listed<'a> {
        let last = (0, link_type(self.interfaces, 0));
        let runner = self.ahead.map(|Ahead { start, stride }| self.runner(start, stride));
        Listed {
            buffer: self.buffer,
            records: records.iter(),
            interfaces: self.interfaces,
            last,
            runner,
            fetch: self.fetch,
        }
    }

    #[inline]
    fn runner(&self, start: usize, stride: Stride) -> Runner<'a> {
        Runner::new(self.buffer.get(start..).unwrap_or_default(), stride)
    }

    #[inline]
    fn ranged(&self, InPlace { start, end, unit, .. }: InPlace) -> Ranged<'a> {
        let rest = self.buffer.get(start..end).unwrap_or_default();
        let start = self.ahead.map_or(self.buffer.len(), |ahead| ahead.start);
        let runner = self.runner(start, Stride { length_at: 8, more: HEADER, big_endian: false });
        Ranged { rest, runner, unit, link_type: link_type(self.interfaces, 0) }
    }
}

/// Who reads all packets of a batch: the loop is compiled for each way in which they may lie.
pub trait Reader<'a> {
    /// Reads them, in order.
    fn read(self, packets: impl Iterator<Item = Packet<'a>>);
}

fn link_type(interfaces: &[Interface], number: u32) -> LinkType {
    interfaces.get(number as usize).map_or(LinkType::NULL, |i| i.link_type)
}

/// Packets that a list tells of.
#[derive(Debug)]
struct Listed<'a> {
    buffer: &'a [u8],
    records: std::slice::Iter<'a, Record>,
    interfaces: &'a [Interface],
    /// The interface that the last packet came from, and its link type: most packets come from the same one.
    last: (u32, LinkType),
    runner: Option<Runner<'a>>,
    fetch: usize,
}

impl<'a> Iterator for Listed<'a> {
    type Item = Packet<'a>;

    #[inline]
    fn next(&mut self) -> Option<Packet<'a>> {
        let r = self.records.next()?;
        if r.interface != self.last.0 {
            self.last = (r.interface, link_type(self.interfaces, r.interface));
        }
        let start = r.start as usize;
        if let Some(runner) = &mut self.runner {
            runner.step();
        }
        if self.fetch > 0 {
            fetch::packet(self.buffer, start + self.fetch);
        }
        Some(Packet {
            timestamp: r.timestamp,
            link_type: self.last.1,
            wire_len: r.wire_len,
            bytes: self.buffer.get(start..start + r.captured as usize).unwrap_or_default(),
            interface: r.interface,
            vlan_tci: r.vlan_tci,
            direction: r.direction,
        })
    }
}

/// Packets that lie one after the other.
#[derive(Debug)]
struct Ranged<'a> {
    rest: &'a [u8],
    runner: Runner<'a>,
    unit: u32,
    link_type: LinkType,
}

impl<'a> Iterator for Ranged<'a> {
    type Item = Packet<'a>;

    #[inline]
    fn next(&mut self) -> Option<Packet<'a>> {
        let (header, rest) = self.rest.split_first_chunk::<HEADER>()?;
        let header = Header::little(header);
        let (bytes, rest) = rest.split_at_checked(header.captured as usize)?;
        self.runner.step();
        self.rest = rest;
        Some(Packet {
            timestamp: header.timestamp(self.unit),
            link_type: self.link_type,
            wire_len: wire_len(header.wire),
            bytes,
            interface: 0,
            vlan_tci: None,
            direction: Direction::Unknown,
        })
    }
}
