//! Network Service Header (RFC 8300, section 2.2): skipped by its length, says what it carries.

use super::bytes::{after, be16, header, tri, u8_at};
use super::{Claim, Dissector, Step};
use crate::{Dissection, LinkType};

const BASE: usize = 4;
const LENGTH: u16 = 0x003f;

#[derive(Debug)]
pub(super) struct Nsh;

impl Dissector for Nsh {
    fn name(&self) -> &'static str {
        "nsh"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::EtherType(0x894f)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<BASE>(self.name(), bytes));
        let len = usize::from(be16(h, 0) & LENGTH) * 4;
        let rest = tri!(after(self.name(), bytes, len.max(BASE)));
        let next = match u8_at(h, 3) {
            1 => Claim::EtherType(0x0800),
            2 => Claim::EtherType(0x86dd),
            3 => Claim::Link(LinkType::ETHERNET),
            4 => Claim::EtherType(0x894f),
            5 => Claim::EtherType(0x8847),
            _ => return Step::Payload(rest),
        };
        Step::Next(next, rest)
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn metadata_is_skipped() {
        let mut front = fixture::ETHERNET.to_vec();
        front[12..].copy_from_slice(&[0x89, 0x4f]);
        // Length 6 words, metadata type 1, next IPv4; service path 42, index 255; 16 bytes of context.
        front.extend([0x0f, 0xc6, 0x01, 0x01, 0, 0, 42, 255]);
        front.extend([7; 16]);
        let bytes = fixture::frame(&[&front, &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType::ETHERNET, &bytes), ["ethernet", "nsh", "ipv4", "udp"]);
    }
}
