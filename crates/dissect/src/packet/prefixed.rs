//! Headers of a fixed length whose fields do not matter to what follows: they are skipped.
//!
//! One row each, since there is nothing else to say of them: LINKTYPE_ pages of
//! <https://www.tcpdump.org/linktypes.html>, IEEE 802.1ah clause 9 (I-TAG), Cisco FabricPath.

use super::bytes::{after, tri};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

/// `len` bytes before what `next` names.
#[derive(Debug)]
pub(super) struct Prefixed {
    name: &'static str,
    claims: &'static [Claim],
    len: usize,
    next: Claim,
}

impl Prefixed {
    const fn new(name: &'static str, claims: &'static [Claim], len: usize, next: Claim) -> Self {
        Self { name, claims, len, next }
    }
}

impl Dissector for Prefixed {
    fn name(&self) -> &'static str {
        self.name
    }

    fn claims(&self) -> &'static [Claim] {
        self.claims
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        Step::Next(self.next, tri!(after(self.name, bytes, self.len)))
    }
}

const fn link(number: u16) -> Claim {
    Claim::Link(LinkType(number))
}

const ETHERNET: Claim = Claim::Link(LinkType::ETHERNET);

/// KISS command byte before AX.25.
pub(super) static AX25_KISS: Prefixed = Prefixed::new("kiss", &[link(202)], 1, link(3));
/// Broadcom switch tag before the frame.
pub(super) static BROADCOM_PREPENDED: Prefixed = Prefixed::new("brcm-tag", &[link(282)], 4, ETHERNET);
/// Direction byte before Cisco HDLC.
pub(super) static C_HDLC_WITH_DIRECTION: Prefixed =
    Prefixed::new("c-hdlc-direction", &[link(205)], 1, link(104));
/// Preamble with the logical link identifier.
pub(super) static EPON: Prefixed = Prefixed::new("epon", &[link(259)], 8, ETHERNET);
/// Forwarding tag and TTL behind the outer addresses; a whole frame follows.
pub(super) static FABRIC_PATH: Prefixed =
    Prefixed::new("fabricpath", &[Claim::EtherType(0x8903)], 2, ETHERNET);
/// Direction byte before Frame Relay.
pub(super) static FRAME_RELAY_WITH_DIRECTION: Prefixed =
    Prefixed::new("frame-relay-direction", &[link(206)], 1, link(107));
/// Two 8-byte Fibre Channel addresses (RFC 2625, section 3).
pub(super) static IP_OVER_FC: Prefixed =
    Prefixed::new("ip-over-fc", &[link(122)], 16, Claim::Form(Form::Llc));
/// Hilscher netANALYZER header.
pub(super) static NETANALYZER: Prefixed = Prefixed::new("netanalyzer", &[link(240)], 4, ETHERNET);
/// Hilscher netANALYZER header, then preamble and start of frame.
pub(super) static NETANALYZER_TRANSPARENT: Prefixed =
    Prefixed::new("netanalyzer-transparent", &[link(241)], 12, ETHERNET);
/// I-TAG of a provider backbone bridge; the customer's frame follows.
pub(super) static PBB: Prefixed = Prefixed::new("pbb", &[Claim::EtherType(0x88e7)], 4, ETHERNET);
/// Direction in place of the PPP address byte, then control.
pub(super) static PPP_PPPD: Prefixed = Prefixed::new("pppd", &[link(166)], 2, Claim::Form(Form::Ppp));
/// Direction byte before PPP.
pub(super) static PPP_WITH_DIRECTION: Prefixed =
    Prefixed::new("ppp-direction", &[link(204)], 1, Claim::Form(Form::Ppp));
/// SLIP as BSD/OS captures it.
pub(super) static SLIP_BSDOS: Prefixed = Prefixed::new("slip-bsdos", &[link(102)], 24, Claim::Form(Form::Ip));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    #[test]
    fn what_follows_is_read_on() {
        let frame = fixture::frame(&[&fixture::ETHERNET, &fixture::IPV4_UDP]);
        for (number, len) in [(240, 4), (241, 12), (259, 8), (282, 4)] {
            let bytes = fixture::frame(&[&[0x55; 12][..len], &frame]);
            let layers = fixture::layers(LinkType(number), &bytes);
            assert_eq!(layers[1..], ["ethernet", "ipv4", "udp"], "link type {number}");
        }
        let slip = fixture::frame(&[&[0; 24], &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(102), &slip), ["slip-bsdos", "raw", "ipv4", "udp"]);
    }

    #[test]
    fn a_tag_after_the_addresses_leads_to_a_whole_frame() {
        for (ether_type, len) in [(0x88e7u16, 4), (0x8903, 2)] {
            let mut bytes = fixture::ETHERNET.to_vec();
            bytes[12..].copy_from_slice(&ether_type.to_be_bytes());
            bytes.extend([0, 0, 0x12, 0x34].iter().take(len));
            bytes.extend(fixture::frame(&[&fixture::ETHERNET, &fixture::IPV4_UDP]));
            let layers = fixture::layers(LinkType::ETHERNET, &bytes);
            assert_eq!(layers[2..], ["ethernet", "ipv4", "udp"]);
        }
    }
}
