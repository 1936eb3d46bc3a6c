//! PPP frames (RFC 1661; RFC 1662 for HDLC-like framing), with compressed address, control and
//! protocol fields (RFC 1661, sections 6.5 and 6.6).
//!
//! Capture files that say PPP may hold Cisco HDLC; its address byte tells. Not handled: escaped
//! octets, compressed datagrams (RFC 1144, 1962), encryption (RFC 1968).

use super::bytes::{be16, header, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

const ADDRESS_CONTROL: [u8; 2] = [0xff, 0x03];
const CISCO_UNICAST: u8 = 0x0f;
const CISCO_MULTICAST: u8 = 0x8f;

#[derive(Debug)]
pub(super) struct Ppp;

impl Dissector for Ppp {
    fn name(&self) -> &'static str {
        "ppp"
    }

    fn claims(&self) -> &'static [Claim] {
        // LINKTYPE_PPP, _PPP_HDLC, _PPP_BSDOS; EtherType of PPP; NLPID of PPP (RFC 2364, section 5).
        &[
            Claim::Form(Form::Ppp),
            Claim::Link(LinkType(9)),
            Claim::Link(LinkType(50)),
            Claim::Link(LinkType(103)),
            Claim::EtherType(0x880b),
            Claim::Nlpid(0xcf),
        ]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        if let [CISCO_UNICAST | CISCO_MULTICAST, 0, ..] = bytes {
            return Step::Next(Claim::Link(LinkType(104)), bytes);
        }
        let bytes = bytes.strip_prefix(&ADDRESS_CONTROL).unwrap_or(bytes);
        // The last octet of a protocol number is odd, the others are even (RFC 1661, section 2).
        if u8_at(bytes, 0) & 1 == 1 {
            let (h, rest) = tri!(header::<1>(self.name(), bytes));
            return Step::Next(Claim::PppProtocol(u16::from(u8_at(h, 0))), rest);
        }
        let (h, rest) = tri!(header::<2>(self.name(), bytes));
        Step::Next(Claim::PppProtocol(be16(h, 0)), rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Stop, packet::fixture};

    #[test]
    fn every_field_may_be_compressed() {
        for front in [&[0xff, 0x03, 0x00, 0x21][..], &[0x00, 0x21], &[0xff, 0x03, 0x21], &[0x21]] {
            let bytes = fixture::frame(&[front, &fixture::IPV4_UDP]);
            assert_eq!(fixture::layers(LinkType(9), &bytes), ["ppp", "ipv4", "udp"], "{front:x?}");
        }
    }

    #[test]
    fn cisco_hdlc_is_told_by_its_address() {
        let bytes = fixture::frame(&[&[0x0f, 0, 0x86, 0xdd], &fixture::IPV6_UDP]);
        assert_eq!(fixture::layers(LinkType(50), &bytes), ["ppp", "c-hdlc", "ipv6", "udp"]);
    }

    #[test]
    fn control_protocols_are_unclaimed_by_number() {
        let d = fixture::dissect(LinkType(9), &[0xff, 0x03, 0xc0, 0x21, 1, 1, 0, 4]);
        assert_eq!(d.stop, Stop::Unclaimed(Claim::PppProtocol(0xc021)));
    }
}
