//! MPLS label stacks (RFC 3032, section 2.1). Only the payload's first bits say what it is.

use super::bytes::{header, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::Dissection;

/// In an entry's third byte: this is the last one.
const BOTTOM: u8 = 0x01;

#[derive(Debug)]
pub(super) struct Mpls;

impl Dissector for Mpls {
    fn name(&self) -> &'static str {
        "mpls"
    }

    fn claims(&self) -> &'static [Claim] {
        &[
            Claim::EtherType(0x8847),
            Claim::EtherType(0x8848),
            Claim::PppProtocol(0x0281),
            Claim::PppProtocol(0x0283),
        ]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let mut stack = bytes;
        loop {
            let (entry, rest) = tri!(header::<4>(self.name(), stack));
            if u8_at(entry, 2) & BOTTOM != 0 {
                return Step::Next(Claim::Form(Form::Pseudowire), rest);
            }
            stack = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, Stop, packet::fixture};

    #[test]
    fn the_stack_ends_at_its_bottom() {
        let mut front = fixture::ETHERNET;
        front[12..].copy_from_slice(&[0x88, 0x47]);
        let stack = [0x00, 0x01, 0x00, 0xff, 0x00, 0x02, 0x01, 0xff];
        let bytes = fixture::frame(&[&front, &stack, &fixture::IPV6_UDP]);
        let layers = fixture::layers(LinkType::ETHERNET, &bytes);
        assert_eq!(layers, ["ethernet", "mpls", "pseudowire", "ipv6", "udp"]);
        let endless = fixture::dissect(LinkType::ETHERNET, &bytes[..18]).stop;
        assert_eq!(endless, Stop::Truncated { layer: "mpls", need: 4, have: 0 });
    }
}
