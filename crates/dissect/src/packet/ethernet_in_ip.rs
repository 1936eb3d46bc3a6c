//! Ethernet right behind an IP header (RFC 8986, section 4.12: protocol 143).

use super::{Claim, Dissector, Step};
use crate::Dissection;

const TRANSPARENT_ETHERNET: u16 = 0x6558;

#[derive(Debug)]
pub(super) struct EthernetInIp;

impl Dissector for EthernetInIp {
    fn name(&self) -> &'static str {
        "ethernet-in-ip"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::IpProtocol(143)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        out.enter_tunnel(None);
        Step::Next(Claim::EtherType(TRANSPARENT_ETHERNET), bytes)
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, ethernet, found, ipv6};

    #[test]
    fn the_frame_follows_at_once() {
        let packet = ipv6(143, &ethernet(0x0800, INNER));
        assert_eq!(found(&dissect(&packet)), (vec![("ethernet-in-ip", None)], true));
    }
}
