//! LISP data plane (RFC 9300, section 5). The control plane (port 4342) is not read.

use super::bytes::{be32, ip_by_version, u8_at};
use super::{Claim, Dissector, Step};
use crate::Dissection;

const HEADER: usize = 8;
/// The I flag: the upper 24 of the last 32 bits are an instance id.
const INSTANCE: u8 = 0x08;

#[derive(Debug)]
pub(super) struct Lisp;

impl Dissector for Lisp {
    fn name(&self) -> &'static str {
        "lisp"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::UdpPort(4341)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let Some(rest) = bytes.get(HEADER..) else { return Step::Decline };
        let Some(claim) = ip_by_version(rest) else { return Step::Decline };
        out.enter_tunnel((u8_at(bytes, 0) & INSTANCE != 0).then(|| be32(bytes, 4) >> 8));
        Step::Next(claim, rest)
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, found, over_udp};

    #[test]
    fn the_packet_follows_eight_bytes() {
        let packet = over_udp(4341, &[&[0x88, 0, 0, 1, 0, 0, 42, 1][..], INNER].concat());
        assert_eq!(found(&dissect(&packet)), (vec![("lisp", Some(42))], true));
    }
}
