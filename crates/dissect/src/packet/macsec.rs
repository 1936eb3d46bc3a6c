//! MACsec (IEEE 802.1AE, clause 9): frames that are signed but not encrypted are read on.

use super::bytes::{after, be16, header, tri, u8_at};
use super::{Claim, Dissector, Step, ethernet};
use crate::Dissection;

/// Tag control information: a secure channel identifier (8 bytes) follows; encrypted; changed.
const SC: u8 = 0x20;
const E: u8 = 0x08;
const C: u8 = 0x04;
/// Control, short length, packet number.
const HEADER: usize = 6;
const SHORT_LENGTH: u8 = 0x3f;

#[derive(Debug)]
pub(super) struct Macsec;

impl Dissector for Macsec {
    fn name(&self) -> &'static str {
        "macsec"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::EtherType(0x88e5)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<HEADER>(self.name(), bytes));
        let control = u8_at(h, 0);
        let rest = tri!(after(self.name(), rest, if control & SC == 0 { 0 } else { 8 }));
        if control & (E | C) != 0 {
            return Step::Payload(rest);
        }
        // Less than 48 bytes of data say how long they are; the check value behind them is none of it.
        let short = usize::from(u8_at(h, 1) & SHORT_LENGTH);
        let data = if short == 0 { rest } else { rest.get(..short).unwrap_or(rest) };
        let (field, data) = tri!(header::<2>(self.name(), data));
        ethernet::type_or_length(be16(field, 0), data)
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, Stop, packet::fixture};

    #[test]
    fn only_clear_text_is_read_on() {
        let mut front = fixture::ETHERNET.to_vec();
        front[12..].copy_from_slice(&[0x88, 0xe5]);
        let tag = |control| [&[control, 32, 0, 0, 0, 1][..], &[0; 8], &[0x08, 0x00]].concat();
        let clear = fixture::frame(&[&front, &tag(0x20), &fixture::IPV4_UDP, &[0; 16]]);
        assert_eq!(fixture::layers(LinkType::ETHERNET, &clear), ["ethernet", "macsec", "ipv4", "udp"]);
        let encrypted = fixture::frame(&[&front, &tag(0x2c), &fixture::IPV4_UDP, &[0; 16]]);
        let d = fixture::dissect(LinkType::ETHERNET, &encrypted);
        assert_eq!((d.ip, d.stop), (None, Stop::Complete));
    }
}
