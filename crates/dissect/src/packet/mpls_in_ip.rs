//! MPLS label stacks in IP (RFC 4023, section 3) and in UDP (RFC 7510).

use super::{Claim, Dissector, Step};
use crate::Dissection;

const MPLS: u16 = 0x8847;

#[derive(Debug)]
pub(super) struct MplsInIp;

impl Dissector for MplsInIp {
    fn name(&self) -> &'static str {
        "mpls-in-ip"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::IpProtocol(137)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        out.enter_tunnel(None);
        Step::Next(Claim::EtherType(MPLS), bytes)
    }
}

#[derive(Debug)]
pub(super) struct MplsInUdp;

impl Dissector for MplsInUdp {
    fn name(&self) -> &'static str {
        "mpls-in-udp"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::UdpPort(6635)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        out.enter_tunnel(None);
        Step::Next(Claim::EtherType(MPLS), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::ip_fixture::{dissect, ipv4, over_udp};

    /// One label, bottom of stack.
    const STACK: [u8; 4] = [0, 1, 0x01, 64];

    #[test]
    fn the_label_stack_follows_at_once() {
        let next = Step::Next(Claim::EtherType(MPLS), &STACK[..]);
        let (ip, udp) = (ipv4(137, &STACK), over_udp(6635, &STACK));
        assert_eq!(MplsInIp.dissect(&STACK, &mut dissect(&ip)), next);
        assert_eq!(MplsInUdp.dissect(&STACK, &mut dissect(&udp)), next);
    }
}
