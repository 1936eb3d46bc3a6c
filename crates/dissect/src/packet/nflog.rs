//! Linux netfilter log (LINKTYPE_NFLOG): an address family, then type-length-values; one is the packet.
//!
//! The values' lengths are in the byte order of the capturing host.

use super::bytes::{be16, header, le16, tri};
use super::{Claim, Dissector, Step};
use crate::{Dissection, LinkType, Stop};

const HEADER: usize = 4;
const PAYLOAD: u16 = 9;

#[derive(Debug)]
pub(super) struct Nflog;

impl Dissector for Nflog {
    fn name(&self) -> &'static str {
        "nflog"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(239))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, values) = tri!(header::<HEADER>(self.name(), bytes));
        let [family, ..] = *h;
        match payload(values, le16).or_else(|| payload(values, be16)) {
            Some(packet) => Step::Next(Claim::AddressFamily(u16::from(family)), packet),
            None => Step::Stop(Stop::Malformed { layer: self.name(), reason: "no packet inside" }),
        }
    }
}

/// Walks the values to the packet; each is padded to 4 bytes, its length counts its own 4-byte head.
fn payload(mut values: &[u8], read: fn(&[u8], usize) -> u16) -> Option<&[u8]> {
    loop {
        let (len, kind) = (usize::from(read(values, 0)), read(values, 2));
        if len < 4 {
            return None;
        }
        if kind == PAYLOAD {
            return Some(values.get(4..len).unwrap_or(values.get(4..)?));
        }
        values = values.get(len.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    #[test]
    fn the_packet_is_found_in_either_byte_order() {
        let little = [2, 0, 0, 0, 5, 0, 10, 0, 0, 0, 0, 0, 34, 0, 9, 0];
        let big = [2, 0, 0, 0, 0, 5, 0, 10, 0, 0, 0, 0, 0, 34, 0, 9];
        for front in [little, big] {
            let bytes = fixture::frame(&[&front, &fixture::IPV4_UDP]);
            assert_eq!(fixture::layers(LinkType(239), &bytes), ["nflog", "ipv4", "udp"]);
        }
    }

    #[test]
    fn a_length_below_its_own_head_ends_the_walk() {
        let bytes = [2, 0, 0, 0, 3, 0, 9, 0, 1, 1, 1, 1];
        let stop = fixture::dissect(LinkType(239), &bytes).stop;
        assert!(matches!(stop, Stop::Malformed { layer: "nflog", .. }));
    }
}
