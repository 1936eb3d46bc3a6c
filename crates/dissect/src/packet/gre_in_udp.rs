//! GRE in UDP (RFC 8086).

use super::{Claim, Dissector, Step};
use crate::Dissection;

const GRE: u8 = 47;

#[derive(Debug)]
pub(super) struct GreInUdp;

impl Dissector for GreInUdp {
    fn name(&self) -> &'static str {
        "gre-in-udp"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::UdpPort(4754)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        // Version 0 is the only one that may be carried (section 3.2); the reserved bits are 0.
        match bytes.first_chunk::<4>() {
            Some(&[_, 0, ..]) => Step::Next(Claim::IpProtocol(GRE), bytes),
            _ => Step::Decline,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, found, over_udp};

    #[test]
    fn gre_follows_at_once() {
        let packet = over_udp(4754, &[&[0, 0, 8, 0][..], INNER].concat());
        assert_eq!(found(&dissect(&packet)), (vec![("gre", None)], true));
    }
}
