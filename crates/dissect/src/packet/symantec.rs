//! Symantec Enterprise Firewall (LINKTYPE_SYMANTEC_FIREWALL): two headers, told apart by where the
//! EtherType stands.

use super::bytes::{after, be16, header, tri};
use super::{Claim, Dissector, Step};
use crate::{Dissection, LinkType, Stop};

#[derive(Debug)]
pub(super) struct Symantec;

impl Dissector for Symantec {
    fn name(&self) -> &'static str {
        "symantec"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(99))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<22>(self.name(), bytes));
        let (ether_type, len) = match (be16(h, 6), be16(h, 20)) {
            (second, 0) if second != 0 => (second, 44),
            (0, third) if third != 0 => (third, 56),
            _ => return Step::Stop(Stop::Malformed { layer: self.name(), reason: "not one EtherType" }),
        };
        Step::Next(Claim::EtherType(ether_type), tri!(after(self.name(), bytes, len)))
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn the_ether_type_s_place_tells_the_version() {
        for (at, len) in [(6, 44), (20, 56)] {
            let mut front = vec![0; len];
            front[at] = 0x08;
            let bytes = fixture::frame(&[&front, &fixture::IPV4_UDP]);
            assert_eq!(fixture::layers(LinkType(99), &bytes), ["symantec", "ipv4", "udp"]);
        }
    }
}
