//! SNAP (IEEE 802, clause 9.5): an organization's code and its protocol number.
//!
//! OUI 00-00-00 and 00-00-F8 number EtherTypes; 00-80-C2 numbers bridged frames (RFC 2684, section
//! 5.2; RFC 2427, section 4.2). Not handled: bridged token bus, IEEE 802.6, fragments.

use super::bytes::{after, be16, header, tri};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

const ENCAPSULATED_ETHERNET: u32 = 0x00_0000;
const BRIDGE_TUNNEL: u32 = 0x00_00f8;
const APPLETALK: u32 = 0x08_0007;
const BRIDGED: u32 = 0x00_80c2;
/// Padding behind OUI 00-80-C2 that aligns a bridged frame in AAL5 (RFC 2684, section 5.2).
const AAL5_PAD: usize = 2;

/// `bridge_pad` bytes stand before a bridged Ethernet frame.
#[derive(Debug)]
pub(super) struct Snap {
    name: &'static str,
    claims: &'static [Claim],
    bridge_pad: usize,
}

/// Behind LLC.
pub(super) static LLC: Snap = Snap { name: "snap", claims: &[Claim::LlcSap(0xaa)], bridge_pad: AAL5_PAD };
/// Behind Frame Relay's NLPID.
pub(super) static FRAME_RELAY: Snap = Snap { name: "snap-fr", claims: &[Claim::Nlpid(0x80)], bridge_pad: 0 };

impl Dissector for Snap {
    fn name(&self) -> &'static str {
        self.name
    }

    fn claims(&self) -> &'static [Claim] {
        self.claims
    }

    #[inline(always)]
    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<5>(self.name, bytes));
        let [a, b, c, ..] = *h;
        let (oui, pid) = (u32::from_be_bytes([0, a, b, c]), be16(h, 3));
        match (oui, pid) {
            (ENCAPSULATED_ETHERNET | BRIDGE_TUNNEL, _) | (APPLETALK, 0x809b) => {
                Step::Next(Claim::EtherType(pid), rest)
            }
            (BRIDGED, 0x0001 | 0x0007) => {
                Step::Next(Claim::Link(LinkType::ETHERNET), tri!(after(self.name, rest, self.bridge_pad)))
            }
            (BRIDGED, 0x0004 | 0x000a) => {
                // Frame control is aligned by as many bytes again.
                Step::Next(Claim::Link(LinkType(10)), tri!(after(self.name, rest, self.bridge_pad / 2)))
            }
            (BRIDGED, 0x000e) => Step::Next(Claim::LlcSap(0x42), rest),
            (BRIDGED, 0x000c) => Step::Next(Claim::Form(Form::Llc), rest),
            _ => Step::Next(Claim::Snap { oui, pid }, rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Stop, packet::fixture};

    #[test]
    fn a_bridged_frame_is_padded_in_atm_only() {
        let frame = fixture::frame(&[&fixture::ETHERNET, &fixture::IPV4_UDP]);
        let atm = fixture::frame(&[&[0xaa, 0xaa, 0x03, 0x00, 0x80, 0xc2, 0, 7, 0, 0], &frame]);
        assert_eq!(fixture::layers(LinkType(100), &atm), ["llc", "snap", "ethernet", "ipv4", "udp"]);
        let relay = [0x18, 0x41, 0x03, 0x00, 0x80, 0x00, 0x80, 0xc2, 0, 7];
        let relay = fixture::frame(&[&relay, &frame]);
        let layers = ["frame-relay", "snap-fr", "ethernet", "ipv4", "udp"];
        assert_eq!(fixture::layers(LinkType(107), &relay), layers);
    }

    #[test]
    fn another_organization_is_named() {
        // Cisco Discovery Protocol: OUI 00-00-0C, number 0x2000.
        let cdp = [0xaa, 0xaa, 0x03, 0x00, 0x00, 0x0c, 0x20, 0x00, 2, 180];
        let stop = fixture::dissect(LinkType(100), &cdp).stop;
        assert_eq!(stop, Stop::Unclaimed(Claim::Snap { oui: 0x0c, pid: 0x2000 }));
    }
}
