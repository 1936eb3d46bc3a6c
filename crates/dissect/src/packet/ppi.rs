//! Per-packet information (CACE PPI): skipped by its length, names the link type of what follows.

use super::bytes::{after, header, le16, le32, tri};
use super::{Claim, Dissector, Step};
use crate::{Dissection, LinkType};

#[derive(Debug)]
pub(super) struct Ppi;

impl Dissector for Ppi {
    fn name(&self) -> &'static str {
        "ppi"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(192))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<8>(self.name(), bytes));
        let rest = tri!(after(self.name(), bytes, usize::from(le16(h, 2))));
        Step::Next(Claim::Link(LinkType(le32(h, 4) as u16)), rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    #[test]
    fn the_link_type_inside_counts() {
        let front = [0, 0, 12, 0, 1, 0, 0, 0, 9, 9, 9, 9];
        let bytes = fixture::frame(&[&front, &fixture::ETHERNET, &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(192), &bytes), ["ppi", "ethernet", "ipv4", "udp"]);
    }
}
