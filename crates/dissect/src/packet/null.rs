//! BSD loopback: a 4-byte address family before the packet (LINKTYPE_NULL, in the capturing
//! host's byte order; LINKTYPE_LOOP, in network byte order).
//!
//! Some writers put an EtherType, or a whole PPP header, where the family belongs.

use super::bytes::{be16, header, tri};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

/// Greatest value that is a family, not an EtherType (the greatest 802.3 length).
const LAST_FAMILY: u32 = 1500;
const PPP_ADDRESS_CONTROL: [u8; 2] = [0xff, 0x03];

#[derive(Debug)]
pub(super) struct Null;

impl Dissector for Null {
    fn name(&self) -> &'static str {
        "null"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType::NULL), Claim::Link(LinkType(108))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<4>(self.name(), bytes));
        if h.starts_with(&PPP_ADDRESS_CONTROL) {
            return Step::Next(Claim::Form(Form::Ppp), bytes);
        }
        Step::Next(family(*h), rest)
    }
}

/// What a family field in either byte order names. A family is small, so the zero half is the high one.
pub(super) fn family(field: [u8; 4]) -> Claim {
    let value = u32::from_be_bytes(field).min(u32::from_le_bytes(field));
    if value <= LAST_FAMILY {
        return Claim::AddressFamily(value as u16);
    }
    match field {
        [0, 0, ..] => Claim::EtherType(be16(&field, 2)),
        [low, high, ..] => Claim::EtherType(u16::from_le_bytes([low, high])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    #[test]
    fn the_family_is_read_in_either_byte_order() {
        for field in [[2, 0, 0, 0], [0, 0, 0, 2]] {
            let bytes = fixture::frame(&[&field, &fixture::IPV4_UDP]);
            assert_eq!(fixture::layers(LinkType::NULL, &bytes), ["null", "ipv4", "udp"]);
        }
        for af in [10, 24, 28, 30] {
            let bytes = fixture::frame(&[&[af, 0, 0, 0], &fixture::IPV6_UDP]);
            assert_eq!(fixture::layers(LinkType::NULL, &bytes), ["null", "ipv6", "udp"]);
        }
    }

    #[test]
    fn an_ether_type_may_stand_for_the_family() {
        assert_eq!(family([0, 0, 0x86, 0xdd]), Claim::EtherType(0x86dd));
        assert_eq!(family([0xdd, 0x86, 0, 0]), Claim::EtherType(0x86dd));
        assert_eq!(family([7, 0, 0, 0]), Claim::AddressFamily(7));
    }
}
