//! BSD packet filter logs (LINKTYPE_PFLOG, and OpenBSD's first form of it) and decapsulated IPsec
//! packets (LINKTYPE_ENC): a header with an address family.

use super::bytes::{after, header, tri, u8_at};
use super::{Claim, Dissector, Step, null};
use crate::{Dissection, LinkType, Stop};

/// The header says how long it is, without its padding to 4 bytes.
#[derive(Debug)]
pub(super) struct Pflog;

impl Dissector for Pflog {
    fn name(&self) -> &'static str {
        "pflog"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(117))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<4>(self.name(), bytes));
        let len = usize::from(u8_at(h, 0)).next_multiple_of(4);
        if len < 48 {
            return Step::Stop(Stop::Malformed { layer: self.name(), reason: "header shorter than any" });
        }
        let rest = tri!(after(self.name(), bytes, len));
        Step::Next(Claim::AddressFamily(u16::from(u8_at(h, 1))), rest)
    }
}

/// A family of 4 bytes in front of a header of fixed length.
#[derive(Debug)]
pub(super) struct Family {
    name: &'static str,
    claims: &'static [Claim],
    len: usize,
}

/// Family, SPI, flags. OpenBSD numbers it 13.
pub(super) static ENC: Family =
    Family { name: "enc", claims: &[Claim::Link(LinkType(109)), Claim::Link(LinkType(13))], len: 12 };
/// OpenBSD before 3.4: family, interface (16), rule, reason, action, direction.
pub(super) static OLD_PFLOG: Family =
    Family { name: "old-pflog", claims: &[Claim::Link(LinkType(17))], len: 28 };

impl Dissector for Family {
    fn name(&self) -> &'static str {
        self.name
    }

    fn claims(&self) -> &'static [Claim] {
        self.claims
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (field, _) = tri!(header::<4>(self.name, bytes));
        Step::Next(null::family(*field), tri!(after(self.name, bytes, self.len)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    #[test]
    fn the_family_names_the_packet() {
        let mut pflog = vec![61, 2];
        pflog.resize(64, 0);
        let bytes = fixture::frame(&[&pflog, &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(117), &bytes), ["pflog", "ipv4", "udp"]);
        let mut enc = vec![24, 0, 0, 0];
        enc.resize(12, 0);
        let bytes = fixture::frame(&[&enc, &fixture::IPV6_UDP]);
        assert_eq!(fixture::layers(LinkType(109), &bytes), ["enc", "ipv6", "udp"]);
    }
}
