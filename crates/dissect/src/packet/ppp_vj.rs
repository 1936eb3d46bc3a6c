//! Van Jacobson TCP/IP header compression in PPP (RFC 1144, section 3.2; RFC 1332, section 4).
//!
//! An uncompressed-TCP packet is a whole one whose protocol number gave way to a slot number.
//! Not handled: compressed packets; their header is the sum of earlier packets.

use super::bytes::{after, header, tri, u8_at};
use super::{Claim, Dissector, Step, ipv4};
use crate::{Dissection, Stop};

const MIN_HEADER: usize = 20;
const TCP: u8 = 6;

#[derive(Debug)]
pub(super) struct PppVj;

impl Dissector for PppVj {
    fn name(&self) -> &'static str {
        "vj"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::PppProtocol(0x002f)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<MIN_HEADER>(self.name(), bytes));
        let header_len = usize::from(u8_at(h, 0) & 15) * 4;
        let total = usize::from(u16::from_be_bytes([u8_at(h, 2), u8_at(h, 3)]));
        if u8_at(h, 0) >> 4 != 4 || header_len < MIN_HEADER || total < header_len {
            return Step::Stop(Stop::Malformed { layer: self.name(), reason: "no IPv4 header inside" });
        }
        let mut ip = ipv4::facts(h, total, out.offset_of(bytes));
        ip.protocol = TCP;
        ip.fragment = None;
        out.enter_ip(ip);
        let packet = bytes.get(..total).unwrap_or(bytes);
        Step::Next(Claim::IpProtocol(TCP), tri!(after(self.name(), packet, header_len)))
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn the_slot_number_is_not_a_protocol() {
        let mut packet = vec![0x45, 0, 0, 40, 0, 1, 0, 0, 64, 3, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        packet.extend([0, 25, 0x04, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]);
        let bytes = fixture::frame(&[&[0xff, 0x03, 0x00, 0x2f], &packet]);
        let d = fixture::dissect(LinkType(9), &bytes);
        let ip = d.ip.expect("an IPv4 header");
        assert_eq!((ip.protocol, ip.src_port, ip.dst_port, ip.bytes), (6, 25, 1024, 40));
    }
}
