//! SLIP as BSD captures it (LINKTYPE_SLIP): direction, the first 15 bytes of the header as it was
//! sent (RFC 1144), then the whole packet, not compressed.

use super::bytes::{header, tri};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType, Stop};

#[derive(Debug)]
pub(super) struct Slip;

impl Dissector for Slip {
    fn name(&self) -> &'static str {
        "slip"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(8))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<16>(self.name(), bytes));
        match *h {
            // Received or sent; IP as it is, TCP not yet or already compressed (RFC 1144, section 3.2.3).
            [0 | 1, 0x40..=0x4f | 0x70..=0xff, ..] => Step::Next(Claim::Form(Form::Ip), rest),
            _ => Step::Stop(Stop::Malformed { layer: self.name(), reason: "no such direction or type" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, Stop, packet::fixture};

    #[test]
    fn the_type_is_one_of_three() {
        let mut front = [0; 16];
        for kind in [0x45, 0x70, 0x80] {
            front[1] = kind;
            let bytes = fixture::frame(&[&front, &fixture::IPV4_UDP]);
            assert_eq!(fixture::layers(LinkType(8), &bytes), ["slip", "raw", "ipv4", "udp"]);
        }
        // From tcpdump's tests, icmp6_nodeinfo_oobr.pcap: an Ethernet frame under the wrong link type.
        let wrong = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00, 0x45, 0x10, 0x60, 0x3c];
        let stop = fixture::dissect(LinkType(8), &wrong).stop;
        assert!(matches!(stop, Stop::Malformed { layer: "slip", .. }));
    }
}
