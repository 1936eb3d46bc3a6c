//! Token Ring (IEEE 802.5): access control, frame control, two addresses, source route, LLC.

use super::bytes::{after, header, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

const HEADER: usize = 14;
/// Frame control: the two bits that say LLC.
const FRAME_TYPE: u8 = 0xc0;
const LLC: u8 = 0x40;
/// The source address' first bit says that a route follows; its first byte's low bits how long it is.
const SOURCE: usize = 8;
const ROUTED: u8 = 0x80;
const ROUTE_LEN: u8 = 0x1f;

#[derive(Debug)]
pub(super) struct TokenRing;

impl Dissector for TokenRing {
    fn name(&self) -> &'static str {
        "token-ring"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(6))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, mut rest) = tri!(header::<HEADER>(self.name(), bytes));
        if u8_at(h, SOURCE) & ROUTED != 0 {
            rest = tri!(after(self.name(), rest, usize::from(u8_at(rest, 0) & ROUTE_LEN)));
        }
        match u8_at(h, 1) & FRAME_TYPE {
            LLC => Step::Next(Claim::Form(Form::Llc), rest),
            _ => Step::Payload(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn a_source_route_is_skipped() {
        let snap = [0xaa, 0xaa, 0x03, 0, 0, 0, 8, 0];
        let layers = ["token-ring", "llc", "snap", "ipv4", "udp"];
        let mut front = vec![0x10, 0x40, 0, 0, 0, 0, 0, 1, 0x00, 0, 0, 0, 0, 2];
        let plain = fixture::frame(&[&front, &snap, &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(6), &plain), layers);
        front[8] |= 0x80;
        front.extend([0x06, 0x30, 0x00, 0x11, 0x00, 0x20]);
        let routed = fixture::frame(&[&front, &snap, &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(6), &routed), layers);
    }
}
