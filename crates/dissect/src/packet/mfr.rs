//! Multilink Frame Relay (FRF.16.1, section 3): the beginning of a packet is read on.
//!
//! Link integrity messages and later fragments end here.

use super::bytes::{header, tri, u8_at};
use super::{Claim, Dissector, Step};
use crate::{Dissection, LinkType};

const BEGIN: u8 = 0x80;
const CONTROL: u8 = 0x20;

#[derive(Debug)]
pub(super) struct Mfr;

impl Dissector for Mfr {
    fn name(&self) -> &'static str {
        "mfr"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(182))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<2>(self.name(), bytes));
        match u8_at(h, 0) & (BEGIN | CONTROL) {
            BEGIN => Step::Next(Claim::Link(LinkType(107)), rest),
            _ => Step::Payload(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn control_and_later_fragments_end_here() {
        let relay = fixture::frame(&[&[0x18, 0x41, 0x03, 0xcc], &fixture::IPV4_UDP]);
        let whole = fixture::frame(&[&[0xc1, 0x07], &relay]);
        assert_eq!(fixture::layers(LinkType(182), &whole), ["mfr", "frame-relay", "ipv4", "udp"]);
        for first in [0x40, 0xe1] {
            let bytes = fixture::frame(&[&[first, 0x07], &relay]);
            assert_eq!(fixture::layers(LinkType(182), &bytes), ["mfr"]);
        }
    }
}
