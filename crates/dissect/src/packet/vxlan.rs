//! VXLAN (RFC 7348, section 5), its group policy bit (draft-smith-vxlan-group-policy), and the port that
//! Linux used before 4789 was assigned.
//!
//! 8472 was never assigned to VXLAN, so there the header must be spotless and the frame must carry IP.

use super::bytes::{be32, surely_ethernet, u8_at};
use super::{Claim, Dissector, Step};
use crate::Dissection;

const HEADER: usize = 8;
/// The I flag: the network identifier is valid.
const VALID: u8 = 0x08;
const TRANSPARENT_ETHERNET: u16 = 0x6558;

#[derive(Debug)]
pub(super) struct Vxlan;

impl Dissector for Vxlan {
    fn name(&self) -> &'static str {
        "vxlan"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::UdpPort(4789)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        match bytes.get(HEADER..) {
            // Some senders forget the flag; then the frame must speak for itself.
            Some(frame) if u8_at(bytes, 0) & VALID != 0 || surely_ethernet(frame, out.ip_rest(frame)) => {
                enter(bytes, frame, out)
            }
            _ => Step::Decline,
        }
    }
}

#[derive(Debug)]
pub(super) struct LinuxVxlan;

impl Dissector for LinuxVxlan {
    fn name(&self) -> &'static str {
        "vxlan"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::UdpPort(8472)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let spotless = be32(bytes, 0) == u32::from(VALID) << 24 && u8_at(bytes, 7) == 0;
        match bytes.get(HEADER..) {
            Some(frame) if spotless && surely_ethernet(frame, out.ip_rest(frame)) => enter(bytes, frame, out),
            _ => Step::Decline,
        }
    }
}

fn enter<'a>(bytes: &'a [u8], frame: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
    out.enter_tunnel(Some(be32(bytes, 4) >> 8));
    Step::Next(Claim::EtherType(TRANSPARENT_ETHERNET), frame)
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, ethernet, found, over_udp};

    fn packet(port: u16, flags: u8) -> Vec<u8> {
        let header = [flags, 0, 0, 0, 0, 0, 42, 0];
        over_udp(port, &[&header[..], &ethernet(0x0800, INNER)].concat())
    }

    #[test]
    fn both_ports() {
        for port in [4789, 8472] {
            assert_eq!(found(&dissect(&packet(port, 8))), (vec![("vxlan", Some(42))], true));
        }
        assert!(found(&dissect(&packet(4789, 0x88))).1);
        assert!(found(&dissect(&packet(4789, 0))).1);
    }

    #[test]
    fn without_a_valid_identifier_it_is_something_else() {
        let frame = [[0; 20], [1; 20]].concat();
        let packets =
            [over_udp(4789, &frame), packet(8472, 0x88), over_udp(8472, &[8, 0, 0, 0, 0, 0, 1, 0, 1, 2])];
        for packet in packets {
            let d = dissect(&packet);
            assert!(d.app_payload().is_some() && d.tunnels().is_empty() && d.outer.is_none());
        }
    }

    #[test]
    fn a_tunnel_in_a_tunnel_is_listed_from_the_outside_in() {
        let inner = packet(4789, 8);
        let header = [8, 0, 0, 0, 0, 0, 7, 0];
        let packet = over_udp(4789, &[&header[..], &ethernet(0x0800, &inner)].concat());
        assert_eq!(found(&dissect(&packet)), (vec![("vxlan", Some(7)), ("vxlan", Some(42))], true));
    }
}
