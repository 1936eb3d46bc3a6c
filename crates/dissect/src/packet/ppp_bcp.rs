//! Bridged frames in PPP (BCP, RFC 3518, section 4.2): IEEE 802.3 only.

use super::bytes::{after, header, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

/// A 4-byte LAN number follows.
const LAN_ID: u8 = 0x40;
/// MAC types: a spanning tree packet begins with LLC; IEEE 802.3.
const SPANNING_TREE: u8 = 0;
const IEEE_802_3: u8 = 1;

#[derive(Debug)]
pub(super) struct PppBcp;

impl Dissector for PppBcp {
    fn name(&self) -> &'static str {
        "bcp"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::PppProtocol(0x0031)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<2>(self.name(), bytes));
        let len = if u8_at(h, 0) & LAN_ID == 0 { 2 } else { 6 };
        let rest = tri!(after(self.name(), bytes, len));
        match u8_at(h, 1) {
            SPANNING_TREE => Step::Next(Claim::Form(Form::Llc), rest),
            IEEE_802_3 => Step::Next(Claim::Link(LinkType::ETHERNET), rest),
            _ => Step::Payload(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn a_lan_number_is_skipped() {
        for front in [&[0x00, 0x31, 0x00, 1][..], &[0x00, 0x31, 0x40, 1, 0, 0, 0, 9]] {
            let bytes = fixture::frame(&[front, &fixture::ETHERNET, &fixture::IPV4_UDP]);
            assert_eq!(fixture::layers(LinkType(9), &bytes), ["ppp", "bcp", "ethernet", "ipv4", "udp"]);
        }
    }
}
