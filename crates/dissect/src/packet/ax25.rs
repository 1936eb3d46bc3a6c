//! AX.25 (amateur radio, version 2.2, section 3): up to ten addresses, control, protocol identifier.

use super::bytes::{after, header, tri};
use super::{Claim, Dissector, Step};
use crate::{Dissection, LinkType, Stop};

const ADDRESS: usize = 7;
const MAX_ADDRESSES: usize = 10;
/// In an address' last byte: no other follows.
const LAST: u8 = 0x01;
/// Unnumbered information, whatever the poll bit says; information frames have an even control byte.
const UI: u8 = 0x03;
const POLL: u8 = 0x10;

#[derive(Debug)]
pub(super) struct Ax25;

impl Dissector for Ax25 {
    fn name(&self) -> &'static str {
        "ax25"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(3))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let mut addresses = bytes.chunks_exact(ADDRESS).take(MAX_ADDRESSES);
        let Some(last) = addresses.position(|a| a.last().is_some_and(|byte| byte & LAST != 0)) else {
            return Step::Stop(Stop::Malformed { layer: self.name(), reason: "no last address" });
        };
        let rest = tri!(after(self.name(), bytes, (last + 1) * ADDRESS));
        let (h, rest) = tri!(header::<2>(self.name(), rest));
        let [control, protocol] = *h;
        if control & !POLL != UI && control & 1 != 0 {
            return Step::Payload(rest);
        }
        match protocol {
            0xcc => Step::Next(Claim::EtherType(0x0800), rest),
            0xcd => Step::Next(Claim::EtherType(0x0806), rest),
            _ => Step::Payload(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn addresses_end_at_the_one_that_says_so() {
        let addresses = *b"\x82\x82\x82\x82\x82\x82\x60\x84\x84\x84\x84\x84\x84\x61";
        let bytes = fixture::frame(&[&addresses, &[0x03, 0xcc], &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(3), &bytes), ["ax25", "ipv4", "udp"]);
        let kiss = fixture::frame(&[&[0], &bytes]);
        assert_eq!(fixture::layers(LinkType(202), &kiss), ["kiss", "ax25", "ipv4", "udp"]);
        let supervisory = fixture::frame(&[&addresses, &[0x01, 0xcc], &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(3), &supervisory), ["ax25"]);
    }
}
