//! Headers of a fixed length that hold an EtherType and nothing else that matters here.
//!
//! One row each: switch tags that replace or follow an EtherType (IEEE 802.1BR E-TAG, IEEE 802.1CB
//! R-TAG, IEC 62439-3 HSR, Cisco VN-Tag and CMD, Broadcom, Marvell DSA) and link types
//! (IP over IEEE 1394, RFC 2734; IP over InfiniBand, RFC 4391, behind a pseudo GRH).

use super::bytes::{after, be16, tri};
use super::{Claim, Dissector, Step, ethernet};
use crate::{Dissection, LinkType};

/// `len` bytes with a type/length field at `type_at`.
#[derive(Debug)]
pub(super) struct Typed {
    name: &'static str,
    claims: &'static [Claim],
    len: usize,
    type_at: usize,
}

impl Typed {
    const fn new(name: &'static str, claims: &'static [Claim], len: usize, type_at: usize) -> Self {
        Self { name, claims, len, type_at }
    }
}

impl Dissector for Typed {
    fn name(&self) -> &'static str {
        self.name
    }

    fn claims(&self) -> &'static [Claim] {
        self.claims
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let rest = tri!(after(self.name, bytes, self.len));
        ethernet::type_or_length(be16(bytes, self.type_at), rest)
    }
}

const fn link(number: u16) -> Claim {
    Claim::Link(LinkType(number))
}

/// Two 8-byte addresses.
pub(super) static APPLE_1394: Typed = Typed::new("ieee1394", &[link(138)], 18, 16);
/// Broadcom's tag stands between the addresses and the type.
pub(super) static BROADCOM: Typed = Typed::new("brcm-tag", &[link(281)], 18, 16);
/// Cisco MetaData: version, length, and one option with a security group.
pub(super) static CMD: Typed = Typed::new("cmd", &[Claim::EtherType(0x8909)], 8, 6);
/// Marvell's tag stands between the addresses and the type.
pub(super) static DSA: Typed = Typed::new("dsa", &[link(284)], 18, 16);
/// The same behind an EtherType of its own.
pub(super) static EDSA: Typed = Typed::new("edsa", &[link(285)], 22, 20);
/// Port extender tag.
pub(super) static E_TAG: Typed = Typed::new("e-tag", &[Claim::EtherType(0x893f)], 8, 6);
/// Size and sequence number of a redundant frame.
pub(super) static HSR: Typed = Typed::new("hsr", &[Claim::EtherType(0x892f)], 6, 4);
/// A pseudo GRH of 40 bytes before the encapsulation header.
pub(super) static IPOIB: Typed = Typed::new("ipoib", &[link(242)], 44, 40);
/// Sequence number of a replicated frame.
pub(super) static R_TAG: Typed = Typed::new("r-tag", &[Claim::EtherType(0xf1c1)], 6, 4);
/// Virtual interface numbers.
pub(super) static VN_TAG: Typed = Typed::new("vn-tag", &[Claim::EtherType(0x8926)], 6, 4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    #[test]
    fn the_type_is_found_behind_the_tag() {
        for tag in [&E_TAG, &HSR, &R_TAG, &VN_TAG, &CMD] {
            let [Claim::EtherType(ether_type)] = tag.claims else { panic!("{} is no tag", tag.name) };
            let mut bytes = fixture::ETHERNET.to_vec();
            bytes[12..].copy_from_slice(&ether_type.to_be_bytes());
            bytes.extend(vec![0; tag.type_at]);
            bytes.extend([0x86, 0xdd]);
            bytes.extend(fixture::IPV6_UDP);
            let layers = fixture::layers(LinkType::ETHERNET, &bytes);
            assert_eq!(layers, ["ethernet", tag.name, "ipv6", "udp"]);
        }
    }

    #[test]
    fn a_marvell_tag_is_skipped() {
        // From tcpdump's tests, dsa.pcap: addresses and tag of its first frame, our packet behind them.
        let front = [
            0xd6, 0xc5, 0x28, 0x21, 0x3e, 0xaf, 0x00, 0x50, 0xb6, 0x29, 0x10, 0x70, 0xc0, 0x0a, 0x00, 0x00,
            0x08, 0x00,
        ];
        let bytes = fixture::frame(&[&front, &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(284), &bytes), ["dsa", "ipv4", "udp"]);
    }
}
