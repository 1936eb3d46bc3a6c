//! Apple's packet tap (LINKTYPE_PKTAP): names the link type of what follows its header.
//!
//! Apple's systems wrote it under LINKTYPE_USER2 first; what does not look like it there is left alone.

use super::bytes::{after, header, le32, tri};
use super::{Claim, Dissector, Step};
use crate::{Dissection, LinkType, Stop};

const MIN_HEADER: usize = 108;
/// The record is a packet.
const PACKET: u32 = 1;
const USER2: LinkType = LinkType(149);

#[derive(Debug)]
pub(super) struct Pktap;

impl Dissector for Pktap {
    fn name(&self) -> &'static str {
        "pktap"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(258)), Claim::Link(USER2)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<12>(self.name(), bytes));
        let len = le32(h, 0) as usize;
        if len < MIN_HEADER || le32(h, 4) != PACKET {
            return Step::Stop(Stop::Malformed { layer: self.name(), reason: "no packet record" });
        }
        let rest = tri!(after(self.name(), bytes, len));
        Step::Next(Claim::Link(LinkType(le32(h, 8) as u16)), rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    #[test]
    fn the_link_type_inside_counts() {
        let mut front = vec![108, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0];
        front.resize(108, 0);
        let mut bytes = fixture::frame(&[&front, &fixture::ETHERNET, &fixture::IPV4_UDP]);
        for link_type in [258, 149] {
            let layers = fixture::layers(LinkType(link_type), &bytes);
            assert_eq!(layers, ["pktap", "ethernet", "ipv4", "udp"]);
        }
        bytes[0] = 12;
        let stop = fixture::dissect(USER2, &bytes).stop;
        assert!(matches!(stop, Stop::Malformed { layer: "pktap", .. }));
    }
}
