//! ATM AAL5 link types: SunATM (traffic type, VPI, VCI before the packet) and Linux' classical IP
//! (RFC 2225), whose LLC header may be missing. LINKTYPE_ATM_RFC1483 is LLC itself.

use super::bytes::{after, header, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

/// SunATM traffic types.
const TRAFFIC: u8 = 0x0f;
const LANE: u8 = 1;
const LLC: u8 = 2;
/// LAN emulation: two bytes of client number, all ones but the low byte for control frames.
const LANE_CONTROL: [u8; 2] = [0xff, 0x00];

#[derive(Debug)]
pub(super) struct SunAtm;

impl Dissector for SunAtm {
    fn name(&self) -> &'static str {
        "sunatm"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(123))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<4>(self.name(), bytes));
        match u8_at(h, 0) & TRAFFIC {
            LANE if !rest.starts_with(&LANE_CONTROL) => {
                Step::Next(Claim::Link(LinkType::ETHERNET), tri!(after(self.name(), rest, 2)))
            }
            LLC => Step::Next(Claim::Form(Form::Llc), rest),
            _ => Step::Payload(rest),
        }
    }
}

#[derive(Debug)]
pub(super) struct Clip;

impl Dissector for Clip {
    fn name(&self) -> &'static str {
        "clip"
    }

    fn claims(&self) -> &'static [Claim] {
        // And the numbers that systems gave it before.
        &[
            Claim::Link(LinkType(106)),
            Claim::Link(LinkType(16)),
            Claim::Link(LinkType(18)),
            Claim::Link(LinkType(19)),
        ]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let form = if bytes.starts_with(&[0xaa, 0xaa, 0x03]) { Form::Llc } else { Form::Ip };
        Step::Next(Claim::Form(form), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    #[test]
    fn traffic_is_read_by_its_type() {
        let snap = [0xaa, 0xaa, 0x03, 0, 0, 0, 8, 0];
        let llc = fixture::frame(&[&[0x82, 0, 0, 100], &snap, &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(123), &llc), ["sunatm", "llc", "snap", "ipv4", "udp"]);
        let lane = fixture::frame(&[&[0x01, 0, 0, 100, 0, 7], &fixture::ETHERNET, &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(123), &lane), ["sunatm", "ethernet", "ipv4", "udp"]);
        let ilmi = fixture::frame(&[&[0x05, 0, 0, 16], &snap, &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(123), &ilmi), ["sunatm"]);
    }

    #[test]
    fn classical_ip_has_or_has_not_its_llc_header() {
        let snap = [0xaa, 0xaa, 0x03, 0, 0, 0, 8, 0];
        let llc = fixture::frame(&[&snap, &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(106), &llc), ["clip", "llc", "snap", "ipv4", "udp"]);
        assert_eq!(fixture::layers(LinkType(106), &fixture::IPV4_UDP), ["clip", "raw", "ipv4", "udp"]);
    }
}
