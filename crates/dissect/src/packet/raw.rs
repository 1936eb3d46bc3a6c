//! Bare IP: LINKTYPE_RAW, its older numbers, and [`Form::Ip`]. The version tells IPv4 from IPv6.
//!
//! Linux PPP interfaces leave a PPP address and control field in front of some packets (`ff 03`).

use super::bytes::u8_at;
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType, Stop};

const PPP_ADDRESS_CONTROL: [u8; 2] = [0xff, 0x03];

#[derive(Debug)]
pub(super) struct Raw;

impl Dissector for Raw {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn claims(&self) -> &'static [Claim] {
        // 12 and 14: DLT_RAW as BSDs number it.
        &[
            Claim::Form(Form::Ip),
            Claim::Link(LinkType::RAW),
            Claim::Link(LinkType(12)),
            Claim::Link(LinkType(14)),
        ]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        if bytes.is_empty() {
            return Step::Stop(Stop::Truncated { layer: self.name(), need: 1, have: 0 });
        }
        match u8_at(bytes, 0) >> 4 {
            4 => Step::Next(Claim::EtherType(0x0800), bytes),
            6 => Step::Next(Claim::EtherType(0x86dd), bytes),
            _ if bytes.starts_with(&PPP_ADDRESS_CONTROL) => Step::Next(Claim::Form(Form::Ppp), bytes),
            _ => Step::Stop(Stop::Malformed { layer: self.name(), reason: "version is neither 4 nor 6" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, Stop, packet::fixture};

    #[test]
    fn the_version_tells_the_protocol() {
        assert_eq!(fixture::layers(LinkType::RAW, &fixture::IPV4_UDP), ["raw", "ipv4", "udp"]);
        assert_eq!(fixture::layers(LinkType::RAW, &fixture::IPV6_UDP), ["raw", "ipv6", "udp"]);
        let d = fixture::dissect(LinkType::RAW, &[0x54, 0, 0, 20]);
        assert!(matches!(d.stop, Stop::Malformed { layer: "raw", .. }));
    }
}
