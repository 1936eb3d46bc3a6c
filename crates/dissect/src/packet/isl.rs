//! Cisco Inter-Switch Link: a whole frame behind 26 bytes that begin with a reserved destination.

use super::bytes::{header, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

const HEADER: usize = 26;
/// High half of the byte behind the 40-bit destination.
const ETHERNET: u8 = 0;
const TOKEN_RING: u8 = 1;

#[derive(Debug)]
pub(super) struct Isl;

impl Dissector for Isl {
    fn name(&self) -> &'static str {
        "isl"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Form(Form::Isl)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<HEADER>(self.name(), bytes));
        match u8_at(h, 5) >> 4 {
            ETHERNET => Step::Next(Claim::Link(LinkType::ETHERNET), rest),
            TOKEN_RING => Step::Next(Claim::Link(LinkType(6)), rest),
            _ => Step::Payload(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn a_whole_frame_stands_inside() {
        let mut bytes = vec![0x01, 0x00, 0x0c, 0x00, 0x00, 0x00, 2, 0, 0, 0, 0, 1, 0, 60, 0xaa, 0xaa, 0x03];
        bytes.extend([2, 0, 0, 0x00, 0x02, 0, 1, 0, 0]);
        bytes.extend(fixture::frame(&[&fixture::ETHERNET, &fixture::IPV4_UDP]));
        let layers = ["ethernet", "isl", "ethernet", "ipv4", "udp"];
        assert_eq!(fixture::layers(LinkType::ETHERNET, &bytes), layers);
    }
}
