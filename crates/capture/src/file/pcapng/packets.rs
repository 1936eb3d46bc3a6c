//! Packets: enhanced, simple and obsolete ones (draft-ietf-opsawg-pcapng, sections 4.3, 4.4 and appendix A).

use dissect::Direction;

use super::super::linktype::{self, Lead};
use super::super::notes::Subject;
use super::super::scan::Fault;
use super::options::{Fields, OPT_COMMENT, OPT_CUSTOM, keep};
use super::{Finds, Local, Parsed, Pcapng, packet};
use crate::batch::Record;

const OPT_EPB_FLAGS: u16 = 2;

impl Pcapng {
    /// Enhanced Packet Block (section 4.3).
    #[inline]
    pub(super) fn enhanced(
        &self,
        mut body: Fields<'_>,
        position: usize,
        finds: &mut Finds<'_>,
    ) -> Parsed<Option<Record>> {
        let interface = body.u32();
        self.timed(interface, body, position + 20, finds)
    }

    /// Packet Block (obsolete; appendix A of the draft): as the enhanced one, with a drop count.
    pub(super) fn obsolete(
        &self,
        mut body: Fields<'_>,
        position: usize,
        finds: &mut Finds<'_>,
    ) -> Parsed<Option<Record>> {
        let interface = body.u16().map(u32::from);
        body.take(2);
        self.timed(interface, body, position + 20, finds)
    }

    #[inline]
    fn timed(
        &self,
        interface: Option<u32>,
        mut body: Fields<'_>,
        start: usize,
        finds: &mut Finds<'_>,
    ) -> Parsed<Option<Record>> {
        let (Some(interface), Some(high), Some(low), Some(captured), Some(wire_len)) =
            (interface, body.u32(), body.u32(), body.u32(), body.u32())
        else {
            return Err(packet("packet block is too short"));
        };
        let local = self.local(interface)?;
        believe(captured, &local)?;
        let Some(padded) = body.take((captured as usize).next_multiple_of(4)) else {
            return Err(packet(format!("packet block has no room for the {captured} bytes it claims")));
        };
        let mut record = Record {
            timestamp: local.clock.nanos(high, low),
            start: start as u32,
            captured,
            wire_len: linktype::wire_len(wire_len),
            interface: local.index,
            vlan_tci: None,
            direction: Direction::Unknown,
        };
        if !body.bytes.is_empty() {
            record.direction = packet_options(body, finds)?;
        }
        settle(local.lead, record, padded.get(..captured as usize).unwrap_or_default())
    }

    /// Simple Packet Block (section 4.4): of interface 0, without a time of its own.
    ///
    /// It gets the time of the packet before, so that it moves neither end of
    /// the capture. Those before the first time have none.
    pub(super) fn simple(
        &self,
        mut body: Fields<'_>,
        position: usize,
        _: &mut Finds<'_>,
    ) -> Parsed<Option<Record>> {
        let Some(wire_len) = body.u32() else { return Err(packet("packet block is too short")) };
        let local = self.local(0)?;
        let captured = if local.snaplen == 0 { wire_len } else { wire_len.min(local.snaplen) };
        believe(captured, &local)?;
        let Some(padded) = body.take((captured as usize).next_multiple_of(4)) else {
            return Err(packet(format!("packet block has no room for the {captured} bytes it claims")));
        };
        let record = Record {
            timestamp: self.last,
            start: (position + 4) as u32,
            captured,
            wire_len: linktype::wire_len(wire_len),
            interface: local.index,
            vlan_tci: None,
            direction: Direction::Unknown,
        };
        settle(local.lead, record, padded.get(..captured as usize).unwrap_or_default())
    }
}

/// A captured length within the bound of its interface's link type.
#[inline]
pub(super) fn believe(captured: u32, local: &Local) -> Parsed<()> {
    if captured > local.most {
        return Err(Fault::TooLong { claimed: captured, snaplen: local.snaplen, most: local.most });
    }
    Ok(())
}

#[inline]
fn settle(lead: Lead, mut record: Record, bytes: &[u8]) -> Parsed<Option<Record>> {
    if lead.settle(&mut record, bytes) {
        Ok(Some(record))
    } else {
        Err(packet("packet is shorter than its link type's own header"))
    }
}

/// A packet's options: its direction is read, comments and custom options are kept.
fn packet_options(mut options: Fields<'_>, finds: &mut Finds<'_>) -> Parsed<Direction> {
    let mut direction = Direction::Unknown;
    let subject = Subject::Packet(finds.packet());
    while let Some((code, value)) = options.option().map_err(packet)? {
        if code == OPT_EPB_FLAGS {
            let mut flags = Fields { bytes: value, big_endian: options.big_endian };
            let (Some(flags), 4) = (flags.u32(), value.len()) else {
                return Err(packet(format!("packet flags have {} bytes, not 4", value.len())));
            };
            direction = match flags & 3 {
                1 => Direction::Inbound,
                2 => Direction::Outbound,
                _ => Direction::Unknown,
            };
        } else if code == OPT_COMMENT || OPT_CUSTOM.contains(&code) {
            keep(finds.notes, subject, code, value, options.big_endian).map_err(packet)?;
        }
    }
    Ok(direction)
}
