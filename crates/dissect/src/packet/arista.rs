//! Arista's time stamps behind the addresses of a frame: subtype, version, stamp, EtherType.

use super::bytes::{after, be16, header, tri};
use super::{Claim, Dissector, Step, ethernet};
use crate::Dissection;

const TIME_STAMP: u16 = 0x0001;
/// Low half of the version: stamps of 64 bits (32 of them seconds) or 48 (16 of them seconds).
const LONG: u16 = 0x10;
const SHORT: u16 = 0x20;

#[derive(Debug)]
pub(super) struct Arista;

impl Dissector for Arista {
    fn name(&self) -> &'static str {
        "arista"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::EtherType(0xd28b)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<4>(self.name(), bytes));
        let len = match (be16(h, 0), be16(h, 2) & 0x00ff) {
            (TIME_STAMP, LONG) => 8,
            (TIME_STAMP, SHORT) => 6,
            _ => return Step::Payload(rest),
        };
        let stamped = tri!(after(self.name(), rest, len));
        ethernet::type_or_length(be16(stamped, 0), tri!(after(self.name(), stamped, 2)))
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn stamps_of_both_lengths_are_skipped() {
        let mut front = fixture::ETHERNET.to_vec();
        front[12..].copy_from_slice(&[0xd2, 0x8b]);
        for (version, len) in [([0x00, 0x10], 8), ([0x01, 0x10], 8), ([0x00, 0x20], 6), ([0x01, 0x20], 6)] {
            let stamp = vec![0; len];
            let bytes = fixture::frame(&[&front, &[0, 1], &version, &stamp, &[0x08, 0], &fixture::IPV4_UDP]);
            assert_eq!(fixture::layers(LinkType::ETHERNET, &bytes), ["ethernet", "arista", "ipv4", "udp"]);
        }
    }
}
