//! LLC (IEEE 802.2): what the destination service access point names.
//!
//! Only unnumbered information (UI) and information frames carry anything.

use super::bytes::{after, header, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

/// OSI network layer: the payload's first byte is its NLPID.
const SAP_OSI: u8 = 0xfe;
/// Novell's raw 802.3 looks like this: an IPX checksum.
const SAP_GLOBAL: u8 = 0xff;
/// Low bits of the control byte: unnumbered, else supervisory, else information.
const UNNUMBERED: u8 = 0x03;
const SUPERVISORY: u8 = 0x01;
/// Unnumbered information, whatever the poll bit says.
const UI: u8 = 0x03;
const POLL: u8 = 0x10;

#[derive(Debug)]
pub(super) struct Llc;

impl Dissector for Llc {
    fn name(&self) -> &'static str {
        "llc"
    }

    fn claims(&self) -> &'static [Claim] {
        // LINKTYPE_ATM_RFC1483, and as BSDs number it; EtherType of jumbo LLC frames.
        &[
            Claim::Form(Form::Llc),
            Claim::Link(LinkType(100)),
            Claim::Link(LinkType(11)),
            Claim::EtherType(0x8870),
        ]
    }

    #[inline(always)]
    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<3>(self.name(), bytes));
        let [destination, source, control] = *h;
        if destination == SAP_GLOBAL && source == SAP_GLOBAL {
            return Step::Next(Claim::EtherType(0x8137), bytes);
        }
        let rest = match control & 3 {
            UNNUMBERED if control & !POLL == UI => rest,
            UNNUMBERED | SUPERVISORY => return Step::Payload(rest),
            _ => tri!(after(self.name(), rest, 1)),
        };
        if destination == SAP_OSI {
            return osi(rest);
        }
        Step::Next(Claim::LlcSap(destination), rest)
    }
}

/// NLPIDs that only introduce a packet are skipped; OSI's own are the packet's first byte.
fn osi(rest: &[u8]) -> Step<'_> {
    let nlpid = u8_at(rest, 0);
    let packet = match nlpid {
        0x80 | 0x8e | 0xcc | 0xcf => rest.get(1..).unwrap_or_default(),
        _ => rest,
    };
    Step::Next(Claim::Nlpid(nlpid), packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Stop, packet::fixture};

    fn after_llc(front: &[u8]) -> Vec<&'static str> {
        let bytes = fixture::frame(&[front, &fixture::IPV4_UDP]);
        fixture::layers(LinkType(100), &bytes)
    }

    #[test]
    fn ip_stands_behind_its_sap_its_nlpid_and_snap() {
        assert_eq!(after_llc(&[0x06, 0x06, 0x03]), ["llc", "ipv4", "udp"]);
        assert_eq!(after_llc(&[0xfe, 0xfe, 0x03, 0xcc]), ["llc", "ipv4", "udp"]);
        // PPP over AAL5 (RFC 2364, section 5).
        assert_eq!(after_llc(&[0xfe, 0xfe, 0x03, 0xcf, 0x00, 0x21]), ["llc", "ppp", "ipv4", "udp"]);
        assert_eq!(after_llc(&[0xaa, 0xaa, 0x03, 0, 0, 0, 8, 0]), ["llc", "snap", "ipv4", "udp"]);
    }

    #[test]
    fn frames_without_information_end_here() {
        assert_eq!(fixture::dissect(LinkType(100), &[0x06, 0x06, 0xaf, 0x81]).stop, Stop::Complete);
        assert_eq!(fixture::dissect(LinkType(100), &[0xf0, 0xf1, 0x01, 0x02]).stop, Stop::Complete);
        let stp = fixture::dissect(LinkType(100), &[0x42, 0x42, 0x03, 0, 0, 0, 0]).stop;
        assert_eq!(stp, Stop::Unclaimed(Claim::LlcSap(0x42)));
    }
}
