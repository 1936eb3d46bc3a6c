//! DOCSIS MAC frames (DOCSIS MULPI, section 6.2): packet PDUs carry Ethernet.
//!
//! Not handled: MAC-specific frames, encrypted PDUs (BPI+).

use super::bytes::{after, header, tri, u8_at};
use super::{Claim, Dissector, Step};
use crate::{Dissection, LinkType};

/// Frame control, parameter, length, header check.
const HEADER: usize = 6;
const FRAME_TYPE: u8 = 0xc0;
/// The parameter is the length of an extended header.
const EXTENDED: u8 = 0x01;

#[derive(Debug)]
pub(super) struct Docsis;

impl Dissector for Docsis {
    fn name(&self) -> &'static str {
        "docsis"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(143))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<HEADER>(self.name(), bytes));
        let control = u8_at(h, 0);
        let extended = if control & EXTENDED == 0 { 0 } else { usize::from(u8_at(h, 1)) };
        let rest = tri!(after(self.name(), rest, extended));
        if control & FRAME_TYPE != 0 {
            return Step::Payload(rest);
        }
        Step::Next(Claim::Link(LinkType::ETHERNET), rest)
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn an_extended_header_is_skipped() {
        let frame = fixture::frame(&[&fixture::ETHERNET, &fixture::IPV4_UDP]);
        let layers = ["docsis", "ethernet", "ipv4", "udp"];
        let plain = fixture::frame(&[&[0x00, 0, 0, 44, 0, 0], &frame]);
        assert_eq!(fixture::layers(LinkType(143), &plain), layers);
        let extended = fixture::frame(&[&[0x01, 3, 0, 47, 1, 2, 3, 0, 0], &frame]);
        assert_eq!(fixture::layers(LinkType(143), &extended), layers);
        let management = fixture::frame(&[&[0xc2, 0, 0, 44, 0, 0], &frame]);
        assert_eq!(fixture::layers(LinkType(143), &management), ["docsis"]);
    }
}
