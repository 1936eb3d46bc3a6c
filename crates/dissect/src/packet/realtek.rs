//! Realtek's EtherType: switch tags of 4 and 8 bytes, with a whole type field behind them.
//!
//! The remote control and loop detection protocols under the same number carry no packets.

use super::bytes::{after, be16, header, tri};
use super::{Claim, Dissector, Step, ethernet};
use crate::Dissection;

/// RTL8365MB and later: six bytes of tag behind the EtherType.
const EIGHT_BYTES: u8 = 0x04;
/// RTL8366RB (and RTL8306): two bytes of tag behind the EtherType; high half of the first.
const FOUR_BYTES: [u8; 2] = [0x09, 0x0a];

#[derive(Debug)]
pub(super) struct Realtek;

impl Dissector for Realtek {
    fn name(&self) -> &'static str {
        "realtek"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::EtherType(0x8899)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (&[protocol], _) = tri!(header::<1>(self.name(), bytes));
        let len = match protocol {
            EIGHT_BYTES => 6,
            _ if FOUR_BYTES.contains(&(protocol >> 4)) => 2,
            _ => return Step::Payload(bytes),
        };
        let rest = tri!(after(self.name(), bytes, len));
        ethernet::type_or_length(be16(rest, 0), tri!(after(self.name(), rest, 2)))
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn tags_are_skipped_and_protocols_end_here() {
        let mut front = fixture::ETHERNET.to_vec();
        front[12..].copy_from_slice(&[0x88, 0x99]);
        for tag in [&[0x04, 0, 0, 0x20, 0, 1, 0x08, 0x00][..], &[0xa2, 0x01, 0x08, 0x00]] {
            let bytes = fixture::frame(&[&front, tag, &fixture::IPV4_UDP]);
            assert_eq!(fixture::layers(LinkType::ETHERNET, &bytes), ["ethernet", "realtek", "ipv4", "udp"]);
        }
        let rrcp = fixture::frame(&[&front, &[0x01, 0x00, 0x23, 0x79]]);
        assert_eq!(fixture::layers(LinkType::ETHERNET, &rrcp), ["ethernet", "realtek"]);
    }
}
