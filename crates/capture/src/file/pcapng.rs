//! pcapng: sections of blocks, each with its own byte order and interfaces.
//!
//! draft-ietf-opsawg-pcapng: sections 3 (blocks, options) and 4 (block
//! types). Read: section headers, interfaces, enhanced, simple and obsolete
//! packets, names. Everything else is passed over: statistics, decryption
//! secrets, journals, custom and unknown blocks. Section lengths are not
//! used: blocks are enough.
//!
//! As Wireshark does, a block's length is rounded up to four bytes, since
//! some writers forget the padding, and both its lengths must agree.

mod interface;
mod names;
mod options;
mod packets;

use dissect::Timestamp;

use self::options::{Fields, keep_options};
use self::packets::believe;
use super::clock::Clock;
use super::error::Unit;
use super::linktype::Lead;
use super::notes::{Notes, Subject};
use super::scan::{Fault, More, Room, Scan, Short};
use crate::batch::Record;
use crate::fetch::Stride;
use crate::source::Interface;

/// Reads the same in both byte orders.
pub(super) const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE: u32 = 3;
const NAMES: u32 = 4;
const ENHANCED: u32 = 6;

const ORDER_LITTLE: [u8; 4] = [0x4d, 0x3c, 0x2b, 0x1a];
const ORDER_BIG: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];

/// Type, length, and the length again at the end.
const FRAME: usize = 12;
/// A block of a kind that is read, but holds no packet, is not longer than this.
const LONGEST_BLOCK: usize = 16 << 20;

/// An interface of the current section.
#[derive(Clone, Copy, Debug)]
struct Local {
    /// Index over all sections.
    index: u32,
    snaplen: u32,
    /// Longest captured length that is believed.
    most: u32,
    lead: Lead,
    clock: Clock,
}

/// The state between blocks.
#[derive(Debug)]
pub(super) struct Pcapng {
    big_endian: bool,
    /// Section headers read.
    sections: u32,
    locals: Vec<Local>,
    /// Time of the packet before, if one had any: a simple packet has none of its own.
    last: Timestamp,
    /// Length of a block of which only the end, with its length, is still to come.
    passing: Option<u32>,
}

/// What a stream's first bytes are, as pcapng.
pub(super) enum Begun {
    Pcapng(Pcapng),
    /// This many bytes are needed to say.
    More(usize),
    Foreign,
}

/// What the blocks give, beside packets.
pub(super) struct Finds<'a> {
    pub(super) records: &'a mut Vec<Record>,
    pub(super) interfaces: &'a mut Vec<Interface>,
    pub(super) notes: &'a mut Notes,
    /// Packets handed out in batches before.
    pub(super) before: u64,
}

impl Finds<'_> {
    /// Number of the packet that is being read, from 1.
    fn packet(&self) -> u64 {
        self.before + self.records.len() as u64 + 1
    }
}

type Parsed<T> = Result<T, Fault>;

fn block(reason: impl Into<String>) -> Fault {
    Fault::Block(reason.into())
}

fn packet(reason: impl Into<String>) -> Fault {
    Fault::Malformed(reason.into())
}

impl Pcapng {
    /// Whether a stream begins with a section header; the header itself is left for [`Pcapng::scan`].
    pub(super) fn begin(head: &[u8]) -> Begun {
        if !head.iter().zip(SECTION.to_be_bytes()).all(|(a, b)| *a == b) {
            return Begun::Foreign;
        }
        match head.get(8..12) {
            None => Begun::More(FRAME),
            Some(order) if order == ORDER_LITTLE || order == ORDER_BIG => Begun::Pcapng(Self {
                big_endian: false,
                sections: 0,
                locals: Vec::new(),
                last: Timestamp::UNKNOWN,
                passing: None,
            }),
            Some(_) => Begun::Foreign,
        }
    }

    /// Reads the first block only, which is the first section's header.
    pub(super) fn first_section(&mut self, bytes: &[u8], position: usize, finds: &mut Finds<'_>) -> Scan {
        match self.step(bytes.get(position..).unwrap_or_default(), position, finds) {
            Ok(length) => Scan { position: position + length, end: Ok(()) },
            Err(end) => Scan { position, end: Err(end) },
        }
    }

    /// Length of the block that is being passed over.
    pub(super) fn passing(&self) -> u64 {
        self.passing.unwrap_or(0).into()
    }

    /// How to come from one block to the next.
    pub(super) fn stride(&self) -> Stride {
        Stride { length_at: 4, more: 0, big_endian: self.big_endian }
    }

    /// Appends the packets of the blocks that lie wholly in `bytes`, as long as there is `room`.
    pub(super) fn scan(
        &mut self,
        bytes: &[u8],
        mut position: usize,
        finds: &mut Finds<'_>,
        room: Room,
    ) -> Scan {
        while !room.is_full(finds.records.len(), position) {
            let rest = bytes.get(position..).unwrap_or_default();
            if self.ends_batch(rest, finds) {
                break;
            }
            match self.step(rest, position, finds) {
                Ok(length) => position += length,
                Err(end) => return Scan { position, end: Err(end) },
            }
        }
        Scan { position, end: Ok(()) }
    }

    /// Whether packets without a time have been found, and what comes may have one.
    #[inline]
    fn ends_batch(&self, rest: &[u8], finds: &Finds<'_>) -> bool {
        let simple = if self.big_endian { SIMPLE.to_be_bytes() } else { SIMPLE.to_le_bytes() };
        self.last == Timestamp::UNKNOWN && !finds.records.is_empty() && !rest.starts_with(&simple)
    }

    /// Reads one block, if all of it is there; gives its length.
    fn step(&mut self, rest: &[u8], position: usize, finds: &mut Finds<'_>) -> Result<usize, Short> {
        if let Some(length) = self.passing {
            self.check_end(rest, length)?;
            self.passing = None;
            return Ok(4);
        }
        let unit = |kind| if matches!(kind, PACKET | SIMPLE | ENHANCED) { Unit::Packet } else { Unit::Block };
        let mut fields = Fields { bytes: rest, big_endian: self.big_endian };
        let (Some(kind), Some(length)) = (fields.u32(), fields.u32()) else {
            return Err(Short::More(More { unit: Unit::Packet, needed: 8, before: 0 }));
        };
        let length = if kind == SECTION {
            let Some(header) = rest.first_chunk::<12>() else {
                return Err(Short::More(More { unit: Unit::Block, needed: FRAME, before: 0 }));
            };
            self.begin_section(header).map_err(Short::Fault)?
        } else {
            length
        };
        let length = round_up(length).ok_or_else(|| Short::Fault(block("block length is out of range")))?;
        check_length(kind, length).map_err(Short::Fault)?;
        let size = length as usize;
        if !matches!(kind, SECTION | INTERFACE | PACKET | SIMPLE | NAMES | ENHANCED) {
            // Only the length at the end is wanted; the rest need not be kept.
            self.passing = Some(length);
            return Err(Short::Skip(u64::from(length) - 4));
        }
        let Some(whole) = rest.get(..size) else {
            if unit(kind) == Unit::Packet {
                self.check_claim(kind, size, rest).map_err(Short::Fault)?;
            }
            return Err(Short::More(More { unit: unit(kind), needed: size, before: 0 }));
        };
        let body = Fields { bytes: whole.get(8..size - 4).unwrap_or_default(), big_endian: self.big_endian };
        let found = match kind {
            ENHANCED => self.enhanced(body, position + 8, finds),
            PACKET => self.obsolete(body, position + 8, finds),
            SIMPLE => self.simple(body, position + 8, finds),
            INTERFACE => self.interface(body, finds).map(|()| None),
            NAMES => self.names(body, finds).map(|()| None),
            _ => self.section(body, finds).map(|()| None),
        };
        let record = found.map_err(Short::Fault)?;
        self.check_end(whole.get(size - 4..).unwrap_or_default(), length)?;
        if let Some(record) = record {
            self.last = record.timestamp;
            finds.records.push(record);
        }
        Ok(size)
    }

    /// The length at a block's end must be the one at its beginning.
    fn check_end(&self, end: &[u8], length: u32) -> Result<(), Short> {
        let mut fields = Fields { bytes: end, big_endian: self.big_endian };
        match fields.u32() {
            None => Err(Short::More(More { unit: Unit::Block, needed: 4, before: 0 })),
            Some(again) if round_up(again) == Some(length) => Ok(()),
            Some(again) => Err(Short::Fault(block(format!(
                "block lengths differ: {length} at its start, {again} at its end"
            )))),
        }
    }

    /// Refuses a packet's claim before all of its block has come.
    fn check_claim(&self, kind: u32, size: usize, rest: &[u8]) -> Parsed<()> {
        let mut fields = Fields { bytes: rest.get(8..).unwrap_or_default(), big_endian: self.big_endian };
        let (interface, before) = match kind {
            SIMPLE => (Some(0), 0),
            ENHANCED => (fields.u32(), 8),
            _ => (fields.u32().map(|word| if self.big_endian { word >> 16 } else { word & 0xffff }), 8),
        };
        let (Some(interface), Some(_), Some(captured)) = (interface, fields.take(before), fields.u32())
        else {
            return Ok(());
        };
        let local = self.local(interface)?;
        let captured =
            if kind == SIMPLE && local.snaplen != 0 { captured.min(local.snaplen) } else { captured };
        believe(captured, &local)?;
        let most = captured as usize + LONGEST_BLOCK;
        if size > most {
            return Err(packet(format!("packet block claims {size} bytes for {captured} bytes of packet")));
        }
        Ok(())
    }

    fn local(&self, interface: u32) -> Parsed<Local> {
        self.locals.get(interface as usize).copied().ok_or_else(|| {
            packet(format!("packet names interface {interface}, the section has {}", self.locals.len()))
        })
    }

    /// Takes on a section's byte order; gives the block's length in it.
    fn begin_section(&mut self, header: &[u8; 12]) -> Parsed<u32> {
        let [_, _, _, _, l0, l1, l2, l3, order @ ..] = *header;
        self.big_endian = match order {
            ORDER_LITTLE => false,
            ORDER_BIG => true,
            _ => return Err(block("section header has no valid byte order")),
        };
        let length = [l0, l1, l2, l3];
        Ok(if self.big_endian { u32::from_be_bytes(length) } else { u32::from_le_bytes(length) })
    }

    /// Section Header Block (section 4.1): interfaces are numbered anew.
    fn section(&mut self, mut body: Fields<'_>, finds: &mut Finds<'_>) -> Parsed<()> {
        body.take(4);
        let (Some(major), Some(minor), Some(_)) = (body.u16(), body.u16(), body.take(8)) else {
            return Err(block("section header is too short"));
        };
        if major != 1 || !matches!(minor, 0 | 2) {
            return Err(Fault::Version(major, minor));
        }
        let subject = Subject::Section(self.sections);
        keep_options(body, finds.notes, subject, |_, _| false).map_err(block)?;
        self.sections = self.sections.saturating_add(1);
        self.locals.clear();
        Ok(())
    }
}

/// A block is long enough for its kind, and believably short where all of it is kept.
fn check_length(kind: u32, length: u32) -> Parsed<()> {
    let least = match kind {
        SECTION => 28,
        INTERFACE => 20,
        PACKET | ENHANCED => 32,
        SIMPLE => 16,
        _ => FRAME,
    };
    if (length as usize) < least {
        return Err(block(format!("block of type {kind} has length {length}, at least {least} are needed")));
    }
    let most = match kind {
        SECTION | INTERFACE | NAMES => LONGEST_BLOCK,
        // Packets are bounded by what they claim.
        _ => return Ok(()),
    };
    if length as usize > most {
        return Err(block(format!("block of type {kind} claims {length} bytes, the most is {most}")));
    }
    Ok(())
}

fn round_up(length: u32) -> Option<u32> {
    length.checked_next_multiple_of(4)
}
