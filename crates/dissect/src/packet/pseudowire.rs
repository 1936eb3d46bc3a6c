//! What a label stack carries, told by its first four bits (RFC 4385, section 3; RFC 4928).
//!
//! 4 and 6 are IP, 1 is an associated channel, 0 an Ethernet pseudowire's control word, or an
//! Ethernet frame without one: the type field that makes sense decides (RFC 4448, section 4.6).

use super::bytes::{be16, header, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType, names};

const CONTROL_WORD: usize = 4;
/// Channel types that carry packets (RFC 4385, section 6): PPP's numbers of IPv4 and IPv6.
const CHANNEL_IPV4: u16 = 0x0021;
const CHANNEL_IPV6: u16 = 0x0057;

#[derive(Debug)]
pub(super) struct Pseudowire;

impl Dissector for Pseudowire {
    fn name(&self) -> &'static str {
        "pseudowire"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Form(Form::Pseudowire)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<CONTROL_WORD>(self.name(), bytes));
        let ethernet = Claim::Link(LinkType::ETHERNET);
        match u8_at(h, 0) >> 4 {
            4 => Step::Next(Claim::EtherType(0x0800), bytes),
            6 => Step::Next(Claim::EtherType(0x86dd), bytes),
            1 => match be16(h, 2) {
                CHANNEL_IPV4 => Step::Next(Claim::EtherType(0x0800), rest),
                CHANNEL_IPV6 => Step::Next(Claim::EtherType(0x86dd), rest),
                _ => Step::Payload(rest),
            },
            0 if likely_frame(rest) => Step::Next(ethernet, rest),
            _ if likely_frame(bytes) => Step::Next(ethernet, bytes),
            _ => Step::Payload(bytes),
        }
    }
}

/// Whether the type/length field that an Ethernet header would have here makes sense.
fn likely_frame(bytes: &[u8]) -> bool {
    let field = be16(bytes, 12);
    let known_length = (3..=1500).contains(&field) && usize::from(field) + 14 <= bytes.len();
    let known_type = field >= 0x0600 && names::ether_type(field).is_some();
    bytes.len() >= 14 && (known_type || known_length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    fn read(payload: &[&[u8]]) -> Vec<&'static str> {
        let mut front = fixture::ETHERNET.to_vec();
        front[12..].copy_from_slice(&[0x88, 0x47]);
        front.extend([0x00, 0x01, 0x01, 0xff]);
        front.extend(payload.concat());
        fixture::layers(LinkType::ETHERNET, &front).split_off(3)
    }

    #[test]
    fn an_ethernet_pseudowire_has_or_has_not_a_control_word() {
        let mut low = fixture::ETHERNET;
        low[0] = 0;
        let ip = ["ethernet", "ipv4", "udp"];
        assert_eq!(read(&[&[0, 0, 0, 1], &fixture::ETHERNET, &fixture::IPV4_UDP]), ip);
        assert_eq!(read(&[&low, &fixture::IPV4_UDP]), ip);
        let mut high = fixture::ETHERNET;
        high[0] = 0xb2;
        assert_eq!(read(&[&high, &fixture::IPV4_UDP]), ip);
    }

    #[test]
    fn an_associated_channel_may_carry_ip() {
        assert_eq!(read(&[&[0x10, 0, 0x00, 0x21], &fixture::IPV4_UDP]), ["ipv4", "udp"]);
        assert_eq!(read(&[&[0x10, 0, 0x00, 0x07], &fixture::IPV4_UDP]), [""; 0]);
    }
}
