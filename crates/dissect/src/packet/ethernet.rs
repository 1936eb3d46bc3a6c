//! Ethernet II and IEEE 802.3 frames (IEEE 802.3, clause 3).
//!
//! A type/length field below 1536 is a length: LLC follows.

use super::bytes::{be16, header, tri};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType, Stop};

/// Least value that is an EtherType, not a length (IEEE 802.3, clause 3.2.6).
const FIRST_ETHER_TYPE: u16 = 0x0600;
/// Greatest value that is a length.
const LAST_LENGTH: u16 = 1500;
/// Novell "raw" 802.3: IPX follows the length at once, and begins with this checksum.
pub(super) const NOVELL_RAW: [u8; 2] = [0xff, 0xff];

#[derive(Debug)]
pub(super) struct Ethernet;

impl Dissector for Ethernet {
    fn name(&self) -> &'static str {
        "ethernet"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType::ETHERNET), Claim::EtherType(0x6558)]
    }

    #[inline(always)]
    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<14>(self.name(), bytes));
        let field = be16(h, 12);
        // Cisco Inter-Switch Link reserves these destinations and has a length where a type would be.
        if field < FIRST_ETHER_TYPE && matches!(h, [0x01 | 0x03, 0x00, 0x0c, 0x00, 0x00, ..]) {
            return Step::Next(Claim::Form(Form::Isl), bytes);
        }
        type_or_length(field, rest)
    }
}

/// Where a type/length field leads: an EtherType, or LLC in so many bytes.
pub(super) fn type_or_length(field: u16, rest: &[u8]) -> Step<'_> {
    if field >= FIRST_ETHER_TYPE {
        return Step::Next(Claim::EtherType(field), rest);
    }
    if field > LAST_LENGTH {
        return Step::Stop(Stop::Malformed { layer: "ethernet", reason: "neither a length nor a type" });
    }
    if rest.starts_with(&NOVELL_RAW) {
        return Step::Next(Claim::EtherType(0x8137), rest);
    }
    let frame = rest.get(..usize::from(field)).unwrap_or(rest);
    Step::Next(Claim::Form(Form::Llc), frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_type_field_is_a_length() {
        let rest = [0xaa; 50];
        assert_eq!(type_or_length(3, &rest), Step::Next(Claim::Form(Form::Llc), &rest[..3]));
        assert_eq!(type_or_length(0x0800, &rest), Step::Next(Claim::EtherType(0x0800), &rest));
        assert!(matches!(type_or_length(1501, &rest), Step::Stop(Stop::Malformed { .. })));
    }
}
