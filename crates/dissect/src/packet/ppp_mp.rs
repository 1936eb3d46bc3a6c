//! PPP Multilink (RFC 1990, section 3), long sequence numbers.
//!
//! The first fragment of a packet begins with its protocol number and is read on; the others are
//! payload. Not handled: reassembly, the short sequence number format (negotiated in LCP).

use super::bytes::{header, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::Dissection;

const BEGIN: u8 = 0x80;

#[derive(Debug)]
pub(super) struct PppMp;

impl Dissector for PppMp {
    fn name(&self) -> &'static str {
        "ppp-mp"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::PppProtocol(0x003d)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<4>(self.name(), bytes));
        if u8_at(h, 0) & BEGIN == 0 {
            return Step::Payload(rest);
        }
        Step::Next(Claim::Form(Form::Ppp), rest)
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn only_the_beginning_of_a_packet_is_read_on() {
        let whole = fixture::frame(&[&[0x00, 0x3d, 0xc0, 0, 0, 7, 0x00, 0x21], &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(9), &whole), ["ppp", "ppp-mp", "ppp", "ipv4", "udp"]);
        let tail = fixture::frame(&[&[0x00, 0x3d, 0x40, 0, 0, 8, 0x00, 0x21], &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(9), &tail), ["ppp", "ppp-mp"]);
    }
}
