//! Solaris' observability of IP (LINKTYPE_IPNET): 24 bytes before the packet, with its family.

use super::bytes::{header, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

#[derive(Debug)]
pub(super) struct Ipnet;

impl Dissector for Ipnet {
    fn name(&self) -> &'static str {
        "ipnet"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(226))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<24>(self.name(), bytes));
        match u8_at(h, 1) {
            // Solaris' AF_INET and AF_INET6.
            2 | 26 => Step::Next(Claim::Form(Form::Ip), rest),
            family => Step::Next(Claim::AddressFamily(u16::from(family)), rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn both_versions_are_read() {
        let mut front = [0; 24];
        front[..2].copy_from_slice(&[1, 2]);
        let bytes = fixture::frame(&[&front, &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(226), &bytes), ["ipnet", "raw", "ipv4", "udp"]);
        front[1] = 26;
        let bytes = fixture::frame(&[&front, &fixture::IPV6_UDP]);
        assert_eq!(fixture::layers(LinkType(226), &bytes), ["ipnet", "raw", "ipv6", "udp"]);
    }
}
