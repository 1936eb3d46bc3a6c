//! pcap: a file header, then packets, each behind a record header.
//!
//! draft-ietf-opsawg-pcap: sections 4 (file header) and 5 (records). Beside
//! the two magic numbers there, both byte orders: the records of three
//! Linux patches of 1999 and of Nokia, which share magic numbers and are told
//! apart by which reading makes sense of the first packets; Ixia's longer
//! file header; AIX's interface types; and the order of the two lengths
//! before version 2.3.
//!
//! The header's time zone is never applied: no writer sets it to anything
//! but 0, no reader believes it. AIX's padding before FDDI frames stays.

use dissect::LinkType;

use super::linktype::{self, Lead};
use super::record::{HEADER, Header};
use super::scan::{Fault, Found, More, Room, Scan, Short};
use crate::batch::{InPlace, Record};
use crate::fetch::Stride;
use crate::source::Interface;

const MICROS: u32 = 0xa1b2_c3d4;
const NANOS: u32 = 0xa1b2_3c4d;
/// Linux, A. Kuznetsov's patches.
const MODIFIED: u32 = 0xa1b2_cd34;
const IXIA_HARDWARE: u32 = 0x1c00_01ac;
const IXIA_SOFTWARE: u32 = 0x1c00_01ab;
const FILE_HEADER: usize = 24;
/// Packets that are looked at to tell variants apart.
const TRIED: usize = 3;
/// A wire length beyond this speaks against a variant.
const PLAUSIBLE_WIRE: u32 = 128 << 20;

/// How the records of one file are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pcap {
    /// Byte order is the one opposite to little-endian.
    big_endian: bool,
    /// Nanoseconds in one unit of the fraction.
    unit: u32,
    lengths: Lengths,
    /// Bytes of a record header.
    header: usize,
    /// Header sizes that the magic number leaves possible.
    variants: &'static [usize],
    link_type: LinkType,
    lead: Lead,
    snaplen: u32,
    /// Longest captured length that is believed.
    most: u32,
}

/// In which order a record gives its lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    /// Version 2.3 was written by both kinds; the captured length is not the larger one.
    Either,
    WireFirst,
}

/// What a stream's first bytes are, as pcap.
pub(super) enum Begun {
    /// A pcap file, whose records begin after so many bytes.
    Pcap(Pcap, usize),
    /// This many bytes are needed to say.
    More(usize),
    Version(u16, u16),
    Foreign,
}

impl Pcap {
    /// Reads the file header.
    pub(super) fn begin(head: &[u8]) -> Begun {
        let Some(magic) = head.first_chunk::<4>() else { return Begun::More(4) };
        let little = u32::from_le_bytes(*magic);
        let known = |m| matches!(m, MICROS | NANOS | MODIFIED | IXIA_HARDWARE | IXIA_SOFTWARE);
        let (magic, big_endian) = if known(little) {
            (little, false)
        } else if known(little.swap_bytes()) {
            (little.swap_bytes(), true)
        } else {
            return Begun::Foreign;
        };
        let ixia = matches!(magic, IXIA_HARDWARE | IXIA_SOFTWARE);
        let size = if ixia { FILE_HEADER + 4 } else { FILE_HEADER };
        let (Some(fields), true) = (head.first_chunk::<FILE_HEADER>(), head.len() >= size) else {
            return Begun::More(size);
        };
        let [.., s0, s1, s2, s3, l0, l1, l2, l3] = *fields;
        let [_, _, _, _, a0, a1, i0, i1, ..] = *fields;
        let half = |b| if big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) };
        let word = |b| if big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) };
        let (major, minor) = (half([a0, a1]), half([i0, i1]));
        if major < 2 {
            return Begun::Version(major, minor);
        }
        let field = word([l0, l1, l2, l3]);
        let aix =
            if magic == MICROS && (major, minor) == (2, 2) { linktype::aix_link_type(field) } else { None };
        let link_type = aix.unwrap_or_else(|| linktype::link_type(field));
        let variants: &[usize] = match magic {
            MICROS if aix.is_none() => &[16, 24, 20],
            MODIFIED => &[24, 28],
            _ => &[16],
        };
        let pcap = Self {
            big_endian,
            unit: if magic == NANOS || aix.is_some() { 1 } else { 1000 },
            lengths: match (major, minor) {
                (2, ..3) | (543, _) => Lengths::WireFirst,
                (2, 3) => Lengths::Either,
                _ => Lengths::CapturedFirst,
            },
            header: variants[0],
            variants,
            link_type,
            lead: Lead::of(link_type),
            snaplen: word([s0, s1, s2, s3]),
            most: linktype::longest(link_type),
        };
        Begun::Pcap(pcap, size)
    }

    /// The file's only interface.
    pub(super) fn interface(&self) -> Interface {
        Interface { link_type: self.link_type, name: None, splits_at: None }
    }

    /// Settles on one of the variants that share a magic number, by the first records.
    ///
    /// Another than the first is only taken if the first makes no sense of
    /// them and the other does, with nothing left over: a damaged or cut file
    /// is still what its magic number says.
    pub(super) fn choose_variant(&mut self, records: &[u8]) {
        if self.makes_sense(records, false) {
            return;
        }
        let mut others = self.variants.iter().skip(1).map(|&header| Self { header, ..*self });
        if let Some(other) = others.find(|other| other.makes_sense(records, true)) {
            *self = other;
        }
    }

    /// Whether records are needed to know their layout.
    pub(super) fn undecided(&self) -> bool {
        self.variants.len() > 1
    }

    /// Whether the first records have times, and lengths that agree; if `strict`, none of them is cut short.
    fn makes_sense(&self, mut records: &[u8], strict: bool) -> bool {
        for _ in 0..TRIED {
            if records.is_empty() {
                return true;
            }
            let Some(header) = records.get(..self.header).and_then(|r| self.read_header(r)) else {
                return !strict;
            };
            if header.fraction >= 1_000_000
                || header.captured > self.most.min(self.snaplen)
                || header.captured > header.wire
                || header.wire > PLAUSIBLE_WIRE
                || (self.header != self.variants[0] && header.seconds == 0)
            {
                return false;
            }
            match records.get(self.header + header.captured as usize..) {
                Some(rest) => records = rest,
                None => return !strict,
            }
        }
        true
    }

    fn read_header(&self, record: &[u8]) -> Option<Header> {
        if self.big_endian { self.header_in::<true>(record) } else { self.header_in::<false>(record) }
    }

    #[inline(always)]
    fn header_in<const BIG: bool>(&self, record: &[u8]) -> Option<Header> {
        let bytes = record.first_chunk()?;
        let mut header = if BIG { Header::big(bytes) } else { Header::little(bytes) };
        let swap = match self.lengths {
            Lengths::CapturedFirst => false,
            Lengths::Either => header.captured > header.wire,
            Lengths::WireFirst => true,
        };
        if swap {
            std::mem::swap(&mut header.captured, &mut header.wire);
        }
        Some(header)
    }

    /// How to come from one packet to the next, where the captured length stands first.
    pub(super) fn stride(&self) -> Stride {
        Stride { length_at: 8, more: self.header, big_endian: self.big_endian }
    }

    /// Finds the packets that lie wholly in `bytes` from `position` on, as many as there is `room` for.
    pub(super) fn scan(&self, bytes: &[u8], position: usize, found: &mut Found, room: Room) -> Scan {
        let is_usual = !self.big_endian && self.lengths == Lengths::CapturedFirst && self.header == HEADER;
        if is_usual && self.lead == Lead::None {
            return self.pass(bytes, position, found, room);
        }
        let records = &mut found.records;
        let scan = if self.big_endian {
            self.list::<true>(bytes, position, records, room)
        } else {
            self.list::<false>(bytes, position, records, room)
        };
        if self.lead == Lead::None { scan } else { self.settle(bytes, records, scan) }
    }

    /// Passes over packets that can be read where they lie.
    fn pass(&self, bytes: &[u8], start: usize, found: &mut Found, room: Room) -> Scan {
        let mut rest = bytes.get(start..).unwrap_or_default();
        let mut count = 0;
        let end = loop {
            if room.is_full(count, bytes.len() - rest.len()) {
                break Ok(());
            }
            let Some((header, _)) = rest.split_first_chunk() else {
                break Err(Short::More(More::header(HEADER)));
            };
            match self.behind(rest, HEADER, Header::little(header).captured) {
                Ok(behind) => rest = behind,
                Err(short) => break Err(short),
            }
            count += 1;
        };
        let position = bytes.len() - rest.len();
        found.in_place = Some(InPlace { start, end: position, count, unit: self.unit });
        Scan { position, end }
    }

    /// What follows a packet of `captured` bytes behind its record header of `size`.
    #[inline(always)]
    fn behind<'a>(&self, record: &'a [u8], size: usize, captured: u32) -> Result<&'a [u8], Short> {
        // One comparison: packets of no bytes are looked at more closely.
        if captured.wrapping_sub(1) >= self.most {
            self.check(record, captured).map_err(Short::Fault)?;
        }
        record.get(size + captured as usize..).ok_or(Short::More(More::packet(size, captured)))
    }

    /// Refuses what cannot be the record of a packet.
    #[cold]
    fn check(&self, record: &[u8], captured: u32) -> Result<(), Fault> {
        if captured > self.most {
            return Err(Fault::TooLong { claimed: captured, snaplen: self.snaplen, most: self.most });
        }
        // Read as a record, its zero fields are the lengths of a packet that was captured in 2055.
        if matches!(Self::begin(record), Begun::Pcap(..) | Begun::More(_)) {
            return Err(Fault::Malformed("another pcap file begins there".into()));
        }
        Ok(())
    }

    /// Lists packets, of whatever form.
    fn list<const BIG: bool>(
        &self,
        bytes: &[u8],
        position: usize,
        records: &mut Vec<Record>,
        room: Room,
    ) -> Scan {
        let size = self.header;
        let mut rest = bytes.get(position..).unwrap_or_default();
        let end = loop {
            if room.is_full(records.len(), bytes.len() - rest.len()) {
                break Ok(());
            }
            let header = if rest.len() < size { None } else { self.header_in::<BIG>(rest) };
            let Some(header) = header else { break Err(Short::More(More::header(size))) };
            let behind = match self.behind(rest, size, header.captured) {
                Ok(behind) => behind,
                Err(short) => break Err(short),
            };
            records.push(Record {
                timestamp: header.timestamp(self.unit),
                start: (bytes.len() - rest.len() + size) as u32,
                captured: header.captured,
                wire_len: linktype::wire_len(header.wire),
                interface: 0,
                vlan_tci: None,
                direction: dissect::Direction::Unknown,
            });
            rest = behind;
        };
        Scan { position: bytes.len() - rest.len(), end }
    }

    /// Takes what was not on the wire out of the wire lengths.
    #[cold]
    fn settle(&self, bytes: &[u8], records: &mut Vec<Record>, scan: Scan) -> Scan {
        let bad = records.iter_mut().position(|record| {
            let start = record.start as usize;
            let packet = bytes.get(start..start + record.captured as usize).unwrap_or_default();
            !self.lead.settle(record, packet)
        });
        let Some(bad) = bad else { return scan };
        let position = records.get(bad).map_or(scan.position, |r| r.start as usize - self.header);
        records.truncate(bad);
        let reason = "packet is shorter than its link type's own header".into();
        Scan { position, end: Err(Short::Fault(Fault::Malformed(reason))) }
    }
}
