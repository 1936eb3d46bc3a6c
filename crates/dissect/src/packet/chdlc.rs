//! Cisco HDLC (LINKTYPE_C_HDLC): address, control, EtherType.
//!
//! SLARP stands under RARP's EtherType and is not RARP; OSI packets have a pad byte first.

use super::bytes::{after, be16, header, tri, u8_at};
use super::{Claim, Dissector, Step};
use crate::{Dissection, LinkType};

const SLARP: u16 = 0x8035;
const OSI: u16 = 0xfefe;

#[derive(Debug)]
pub(super) struct CHdlc;

impl Dissector for CHdlc {
    fn name(&self) -> &'static str {
        "c-hdlc"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(104))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<4>(self.name(), bytes));
        match be16(h, 2) {
            SLARP => Step::Payload(rest),
            OSI => {
                let osi = tri!(after(self.name(), rest, 1));
                Step::Next(Claim::Nlpid(u8_at(osi, 0)), osi)
            }
            ether_type => Step::Next(Claim::EtherType(ether_type), rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Stop, packet::fixture};

    #[test]
    fn slarp_is_not_rarp_and_osi_is_padded() {
        let ip = fixture::frame(&[&[0x0f, 0, 0x08, 0x00], &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(104), &ip), ["c-hdlc", "ipv4", "udp"]);
        let slarp = [0x8f, 0, 0x80, 0x35, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
        assert_eq!(fixture::dissect(LinkType(104), &slarp).stop, Stop::Complete);
        // From tcpdump's tests, ISIS_p2p_adjacency.pcap: the start of its first packet, a hello.
        let isis = [0x8f, 0x00, 0xfe, 0xfe, 0x74, 0x83, 0x14, 0x01, 0x00, 0x11, 0x01, 0x00];
        assert_eq!(fixture::dissect(LinkType(104), &isis).stop, Stop::Unclaimed(Claim::Nlpid(0x83)));
    }
}
