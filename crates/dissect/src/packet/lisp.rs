//! LISP: the data plane (RFC 9300, section 5), and control messages that travel in a packet of their own
//! (RFC 9301, section 5.8). Other control messages are payload, and so are those with LISP-SEC.

use super::bytes::{be32, ip_by_version, plausibly_ip, u8_at};
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
        if !plausibly_ip(rest, out.ip_rest(rest)) {
            return Step::Decline;
        }
        out.enter_tunnel((u8_at(bytes, 0) & INSTANCE != 0).then(|| be32(bytes, 4) >> 8));
        Step::Next(claim, rest)
    }
}

/// Encapsulated control message: type 8, without the S bit; the last three flags do not matter.
const ENCAPSULATED: u8 = 0x80;
const FLAGS: u8 = 0x07;
const CONTROL_HEADER: usize = 4;

#[derive(Debug)]
pub(super) struct LispControl;

impl Dissector for LispControl {
    fn name(&self) -> &'static str {
        "lisp-control"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::UdpPort(4342)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let Some(rest) = bytes.get(CONTROL_HEADER..) else { return Step::Decline };
        match ip_by_version(rest) {
            Some(claim) if u8_at(bytes, 0) & !FLAGS == ENCAPSULATED => {
                out.enter_tunnel(None);
                Step::Next(claim, rest)
            }
            _ => Step::Decline,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, found, over_udp};

    #[test]
    fn only_an_encapsulated_control_message_carries_a_packet() {
        let encapsulated = over_udp(4342, &[&[0x80, 0, 0, 0][..], INNER].concat());
        assert_eq!(found(&dissect(&encapsulated)), (vec![("lisp-control", None)], true));
        let register = over_udp(4342, &[&[0x30, 0, 0, 1][..], INNER].concat());
        assert_eq!(dissect(&register).ip.unwrap().dst_port, 4342);
    }

    #[test]
    fn the_packet_follows_eight_bytes() {
        let packet = over_udp(4341, &[&[0x88, 0, 0, 1, 0, 0, 42, 1][..], INNER].concat());
        assert_eq!(found(&dissect(&packet)), (vec![("lisp", Some(42))], true));
    }
}
