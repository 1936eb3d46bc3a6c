//! PPP over Ethernet (RFC 2516, section 4), sessions and discovery; LINKTYPE_PPP_ETHER is a session.

use super::bytes::{be16, header, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

const HEADER: usize = 6;
/// Code of a session's frames; every other code is discovery.
const SESSION: u8 = 0;

#[derive(Debug)]
pub(super) struct Pppoe;

impl Dissector for Pppoe {
    fn name(&self) -> &'static str {
        "pppoe"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::EtherType(0x8863), Claim::EtherType(0x8864), Claim::Link(LinkType(51))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<HEADER>(self.name(), bytes));
        let frame = rest.get(..usize::from(be16(h, 4))).unwrap_or(rest);
        if u8_at(h, 1) == SESSION { Step::Next(Claim::Form(Form::Ppp), frame) } else { Step::Payload(frame) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    #[test]
    fn a_session_carries_ppp_and_discovery_nothing() {
        let session = fixture::frame(&[&[0x11, 0, 0, 1, 0, 32, 0x00, 0x21], &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(51), &session), ["pppoe", "ppp", "ipv4", "udp"]);
        // PADI with an empty service name (RFC 2516, appendix B).
        let padi = [0x11, 0x09, 0, 0, 0, 4, 0x01, 0x01, 0, 0];
        assert_eq!(fixture::layers(LinkType(51), &padi), ["pppoe"]);
    }
}
