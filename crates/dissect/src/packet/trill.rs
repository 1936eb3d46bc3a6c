//! TRILL (RFC 6325, section 3): a whole frame behind 6 bytes and options.

use super::bytes::{after, be16, header, tri};
use super::{Claim, Dissector, Step};
use crate::{Dissection, LinkType};

/// Options' length in 4-byte words, behind version, reserved bits and M.
const OPTIONS: u16 = 0x07c0;

#[derive(Debug)]
pub(super) struct Trill;

impl Dissector for Trill {
    fn name(&self) -> &'static str {
        "trill"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::EtherType(0x22f3)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<6>(self.name(), bytes));
        let options = usize::from((be16(h, 0) & OPTIONS) >> 6) * 4;
        Step::Next(Claim::Link(LinkType::ETHERNET), tri!(after(self.name(), rest, options)))
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn options_are_skipped() {
        let mut front = fixture::ETHERNET.to_vec();
        front[12..].copy_from_slice(&[0x22, 0xf3]);
        front.extend([0x00, 0x7f, 0, 1, 0, 2, 9, 9, 9, 9]);
        let bytes = fixture::frame(&[&front, &fixture::ETHERNET, &fixture::IPV4_UDP]);
        let layers = ["ethernet", "trill", "ethernet", "ipv4", "udp"];
        assert_eq!(fixture::layers(LinkType::ETHERNET, &bytes), layers);
    }
}
