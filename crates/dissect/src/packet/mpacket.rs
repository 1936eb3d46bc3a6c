//! IEEE 802.3br packets as they are on the wire (LINKTYPE_ETHERNET_MPACKET): preamble, start
//! delimiter, then a frame or the beginning of one.
//!
//! Not handled: continuations of a preempted frame.

use super::bytes::{header, tri, u8_at};
use super::{Claim, Dissector, Step};
use crate::{Dissection, LinkType};

const PREAMBLE: u8 = 0x55;
/// Delimiters of an express frame and of the four that begin a preemptable one (IEEE 802.3, table 99-1).
const STARTS: [u8; 5] = [0xd5, 0xe6, 0x4c, 0x7f, 0xb3];

#[derive(Debug)]
pub(super) struct Mpacket;

impl Dissector for Mpacket {
    fn name(&self) -> &'static str {
        "mpacket"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(274))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<8>(self.name(), bytes));
        // A continuation's delimiter stands one byte earlier, and its count where this one would be.
        if u8_at(h, 6) != PREAMBLE || !STARTS.contains(&u8_at(h, 7)) {
            return Step::Payload(rest);
        }
        Step::Next(Claim::Link(LinkType::ETHERNET), rest)
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn continuations_end_here() {
        let frame = fixture::frame(&[&fixture::ETHERNET, &fixture::IPV4_UDP]);
        let express = fixture::frame(&[&[0x55; 7], &[0xd5], &frame]);
        assert_eq!(fixture::layers(LinkType(274), &express), ["mpacket", "ethernet", "ipv4", "udp"]);
        let continuation = fixture::frame(&[&[0x55; 6], &[0x61, 0xe6], &frame]);
        assert_eq!(fixture::layers(LinkType(274), &continuation), ["mpacket"]);
    }
}
