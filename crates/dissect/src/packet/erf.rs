//! Endace's extensible record format (LINKTYPE_ERF): time stamp, type, flags, lengths, extension headers.
//!
//! Read on: Ethernet, HDLC, AAL5 and IP records. Not handled: ATM cells, counters, Infiniband.

use super::bytes::{after, header, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

const HEADER: usize = 16;
const TYPE: usize = 8;
/// In the type, and in each extension header's first byte: an extension header follows.
const MORE: u8 = 0x80;
const EXTENSION: usize = 8;

#[derive(Debug)]
pub(super) struct Erf;

impl Dissector for Erf {
    fn name(&self) -> &'static str {
        "erf"
    }

    fn claims(&self) -> &'static [Claim] {
        // LINKTYPE_ERF, and the two that came before it: _ERF_ETH, _ERF_POS.
        &[Claim::Link(LinkType(197)), Claim::Link(LinkType(175)), Claim::Link(LinkType(176))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, mut rest) = tri!(header::<HEADER>(self.name(), bytes));
        let mut more = u8_at(h, TYPE) & MORE != 0;
        while more {
            let (extension, behind) = tri!(header::<EXTENSION>(self.name(), rest));
            more = u8_at(extension, 0) & MORE != 0;
            rest = behind;
        }
        let (next, skip) = match u8_at(h, TYPE) & !MORE {
            // Ethernet, with an offset and a pad byte first.
            2 | 11 | 16 | 20 => (Claim::Link(LinkType::ETHERNET), 2),
            // Packet over SONET: PPP or Cisco HDLC.
            1 | 10 | 15 | 19 => (Claim::Form(Form::Ppp), 0),
            // The same on a channel, whose header comes first.
            5 | 17 => (Claim::Form(Form::Ppp), 4),
            // AAL5 behind its ATM header; on a channel, behind that one's header too.
            4 => (Claim::Form(Form::Llc), 4),
            9 => (Claim::Form(Form::Llc), 8),
            22 | 23 => (Claim::Form(Form::Ip), 0),
            _ => return Step::Payload(rest),
        };
        Step::Next(next, tri!(after(self.name(), rest, skip)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    #[test]
    fn extension_headers_are_skipped() {
        let mut front = vec![0; 16];
        front[8] = 0x82;
        front.extend([0x83, 0, 0, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0, 0, 0]);
        front.extend([0, 0]);
        let bytes = fixture::frame(&[&front, &fixture::ETHERNET, &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(197), &bytes), ["erf", "ethernet", "ipv4", "udp"]);
    }
}
