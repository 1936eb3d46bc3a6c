//! MPLS label stacks in IP (RFC 4023, section 3) and in UDP (RFC 7510).
//!
//! Over UDP only what carries IP, at once or in Ethernet, is followed: a port and a bit say too little.

use super::bytes::{plausibly_ip, surely_ethernet, u8_at};
use super::{Claim, Dissector, Step};
use crate::Dissection;

const MPLS: u16 = 0x8847;
/// Before a pseudowire's frame, optional (RFC 4448, section 4.6).
const CONTROL_WORD: usize = 4;

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
        let Some(carried) = below_stack(bytes) else { return Step::Decline };
        let frame =
            |skip| carried.get(skip..).is_some_and(|frame| surely_ethernet(frame, out.ip_rest(frame)));
        if !plausibly_ip(carried, out.ip_rest(carried)) && !frame(0) && !frame(CONTROL_WORD) {
            return Step::Decline;
        }
        out.enter_tunnel(None);
        Step::Next(Claim::EtherType(MPLS), bytes)
    }
}

/// What follows the entry that has the bottom-of-stack bit (RFC 3032, section 2.1).
fn below_stack(bytes: &[u8]) -> Option<&[u8]> {
    let bottom = bytes.chunks_exact(4).position(|entry| u8_at(entry, 2) & 1 != 0)?;
    bytes.get((bottom + 1) * 4..)
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, ethernet, found, ipv4, over_udp};

    /// One label, bottom of stack.
    const STACK: [u8; 4] = [0, 1, 0x01, 64];

    #[test]
    fn the_label_stack_follows_at_once() {
        let packet = ipv4(137, &[&STACK, &INNER[..]].concat());
        assert_eq!(found(&dissect(&packet)), (vec![("mpls-in-ip", None)], true));
        let packet = over_udp(6635, &[&[0, 2, 0, 64], &STACK, &INNER[..]].concat());
        assert_eq!(found(&dissect(&packet)), (vec![("mpls-in-udp", None)], true));
        let frame = ethernet(0x0800, INNER);
        let packet = over_udp(6635, &[&STACK[..], &[0; 4], &frame].concat());
        assert_eq!(found(&dissect(&packet)), (vec![("mpls-in-udp", None)], true));
    }

    #[test]
    fn another_use_of_the_port_is_declined() {
        let packet = over_udp(6635, &[0x45; 40]);
        assert_eq!(dissect(&packet).app_payload().map(<[u8]>::len), Some(40));
    }
}
