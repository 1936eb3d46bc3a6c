//! EtherIP: Ethernet frames in IP (RFC 3378).

use super::bytes::{header, tri, u8_at};
use super::{Claim, Dissector, Step};
use crate::{Dissection, Stop};

const TRANSPARENT_ETHERNET: u16 = 0x6558;

#[derive(Debug)]
pub(super) struct EtherIp;

impl Dissector for EtherIp {
    fn name(&self) -> &'static str {
        "etherip"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::IpProtocol(97)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<2>(self.name(), bytes));
        if u8_at(h, 0) >> 4 != 3 {
            return Step::Stop(Stop::Malformed { layer: "etherip", reason: "version is not 3" });
        }
        out.enter_tunnel(None);
        Step::Next(Claim::EtherType(TRANSPARENT_ETHERNET), rest)
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, ethernet, found, ipv4};

    #[test]
    fn the_frame_follows_two_bytes() {
        let packet = ipv4(97, &[vec![0x30, 0], ethernet(0x0800, INNER)].concat());
        assert_eq!(found(&dissect(&packet)), (vec![("etherip", None)], true));
    }
}
