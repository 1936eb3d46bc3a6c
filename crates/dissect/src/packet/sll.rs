//! Linux cooked captures: LINKTYPE_LINUX_SLL and LINKTYPE_LINUX_SLL2.
//!
//! The ARPHRD_ number says what the protocol field means; for most it is an EtherType or one of
//! Linux's small ETH_P_ numbers.

use super::bytes::{be16, header, tri};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

/// ARPHRD_ numbers under which the protocol field is not an EtherType.
mod arphrd {
    pub(super) const FRAME_RELAY: u16 = 770;
    pub(super) const WLAN: u16 = 801;
    pub(super) const WLAN_PRISM: u16 = 802;
    pub(super) const WLAN_RADIOTAP: u16 = 803;
    pub(super) const NETLINK: u16 = 824;
}

/// ETH_P_ numbers below the EtherTypes.
mod eth_p {
    pub(super) const NOVELL_RAW: u16 = 0x0001;
    pub(super) const ETHERNET: u16 = 0x0003;
    pub(super) const LLC: u16 = 0x0004;
    pub(super) const WAN_PPP: u16 = 0x0007;
    pub(super) const PPP_MP: u16 = 0x0008;
}

/// LINKTYPE_LINUX_SLL: packet type, ARPHRD_, address length, address (8), protocol.
#[derive(Debug)]
pub(super) struct Sll;

impl Dissector for Sll {
    fn name(&self) -> &'static str {
        "sll"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(113))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<16>(self.name(), bytes));
        Step::Next(next(be16(h, 2), be16(h, 14)), rest)
    }
}

/// LINKTYPE_LINUX_SLL2: protocol, reserved, interface (4), ARPHRD_, packet type, address length, address (8).
#[derive(Debug)]
pub(super) struct Sll2;

impl Dissector for Sll2 {
    fn name(&self) -> &'static str {
        "sll2"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(276))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<20>(self.name(), bytes));
        Step::Next(next(be16(h, 8), be16(h, 0)), rest)
    }
}

fn next(hardware: u16, protocol: u16) -> Claim {
    match (hardware, protocol) {
        (arphrd::FRAME_RELAY, _) => Claim::Link(LinkType(107)),
        (arphrd::WLAN, _) => Claim::Form(Form::Wlan),
        (arphrd::WLAN_PRISM, _) => Claim::Link(LinkType(119)),
        (arphrd::WLAN_RADIOTAP, _) => Claim::Link(LinkType(127)),
        (arphrd::NETLINK, _) => Claim::Link(LinkType(253)),
        (_, eth_p::NOVELL_RAW) => Claim::EtherType(0x8137),
        (_, eth_p::ETHERNET) => Claim::Link(LinkType::ETHERNET),
        (_, eth_p::LLC) => Claim::Form(Form::Llc),
        (_, eth_p::WAN_PPP | eth_p::PPP_MP) => Claim::Form(Form::Ppp),
        (_, ether_type) => Claim::EtherType(ether_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Stop, packet::fixture};

    const TO_US: [u8; 14] = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];

    #[test]
    fn both_headers_lead_to_ip() {
        let sll = fixture::frame(&[&TO_US, &[0x08, 0x00], &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(113), &sll), ["sll", "ipv4", "udp"]);
        let sll2 = [0x86, 0xdd, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
        let sll2 = fixture::frame(&[&sll2, &fixture::IPV6_UDP]);
        assert_eq!(fixture::layers(LinkType(276), &sll2), ["sll2", "ipv6", "udp"]);
    }

    #[test]
    fn netlink_is_not_an_ether_type() {
        assert_eq!(next(824, 0x0000), Claim::Link(LinkType(253)));
        let mut bytes = fixture::frame(&[&TO_US, &[0x00, 0x0c], &[0; 16]]);
        let stop = fixture::dissect(LinkType(113), &bytes).stop;
        assert_eq!(stop, Stop::Unclaimed(Claim::EtherType(0x000c)));
        bytes[2..4].copy_from_slice(&824u16.to_be_bytes());
        let stop = fixture::dissect(LinkType(113), &bytes).stop;
        assert_eq!(stop, Stop::Unclaimed(Claim::Link(LinkType(253))));
    }
}
