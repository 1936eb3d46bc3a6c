//! Frame Relay (ITU-T Q.922 addresses) with multiprotocol encapsulation (RFC 2427) or Cisco's,
//! which puts an EtherType right behind the address.
//!
//! Data link connection 0 is signalling (Q.933, LMI) and carries no packets.

use super::bytes::{after, be16, header, tri, u8_at};
use super::{Claim, Dissector, Step};
use crate::{Dissection, LinkType, Stop};

/// Ends the address field.
const EXTENDED_ADDRESS: u8 = 0x01;
const MAX_ADDRESS: usize = 4;
/// Unnumbered information, then perhaps a pad byte, then an NLPID.
const UI: u8 = 0x03;

#[derive(Debug)]
pub(super) struct FrameRelay;

impl Dissector for FrameRelay {
    fn name(&self) -> &'static str {
        "frame-relay"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(107)), Claim::EtherType(0x6559)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let Some(len) = address_len(bytes) else {
            return Step::Stop(Stop::Malformed { layer: self.name(), reason: "address without an end" });
        };
        let rest = tri!(after(self.name(), bytes, len));
        let (h, _) = tri!(header::<2>(self.name(), rest));
        match *h {
            [UI, 0] => nlpid(tri!(after(self.name(), rest, 2))),
            [UI, _] => nlpid(tri!(after(self.name(), rest, 1))),
            _ if signalling(bytes) => Step::Payload(rest),
            _ => Step::Next(Claim::EtherType(be16(h, 0)), tri!(after(self.name(), rest, 2))),
        }
    }
}

/// 2 to 4 bytes, the last of which has the extended address bit.
fn address_len(bytes: &[u8]) -> Option<usize> {
    let at = bytes.iter().take(MAX_ADDRESS).position(|byte| byte & EXTENDED_ADDRESS != 0)?;
    (at > 0).then_some(at + 1)
}

fn signalling(bytes: &[u8]) -> bool {
    u8_at(bytes, 0) & 0xfc == 0 && u8_at(bytes, 1) & 0xf0 == 0
}

/// OSI's NLPIDs are the packet's first byte, the others stand before it (RFC 2427, section 3).
fn nlpid(rest: &[u8]) -> Step<'_> {
    let number = u8_at(rest, 0);
    let own = matches!(number, 0x81..=0x83);
    Step::Next(Claim::Nlpid(number), if own { rest } else { rest.get(1..).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    #[test]
    fn both_encapsulations_lead_to_ip() {
        for front in
            [&[0x18, 0x41, 0x03, 0xcc][..], &[0x18, 0x41, 0x08, 0x00], &[0x18, 0x40, 0x01, 0x03, 0xcc]]
        {
            let bytes = fixture::frame(&[front, &fixture::IPV4_UDP]);
            assert_eq!(fixture::layers(LinkType(107), &bytes), ["frame-relay", "ipv4", "udp"], "{front:x?}");
        }
    }

    #[test]
    fn connection_0_is_signalling() {
        // LMI status enquiry (Q.933, annex A): connection 0, UI, Q.933's NLPID.
        let lmi = [0x00, 0x01, 0x03, 0x08, 0x00, 0x75, 0x51, 0x01, 0x00];
        assert_eq!(fixture::dissect(LinkType(107), &lmi).stop, Stop::Unclaimed(Claim::Nlpid(0x08)));
        assert_eq!(fixture::dissect(LinkType(107), &[0x00, 0x01, 0x53, 0x08]).stop, Stop::Complete);
    }
}
