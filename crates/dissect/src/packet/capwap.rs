//! CAPWAP data channel (RFC 5415, section 4.3; RFC 5416 for 802.11).
//!
//! DTLS-protected packets, keep-alives and fragments are payload. The control channel is not read.

use super::bytes::{be16, be32, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::Dissection;

/// Fields of the first 32 bits: header length in 4-byte units, binding, and the flags.
const HEADER_LENGTH: u32 = 0x00f8_0000;
const BINDING: u32 = 0x0000_3e00;
const BINDING_WLAN: u32 = 0x0000_0200;
const NATIVE: u32 = 0x0000_0100;
const FRAGMENT: u32 = 0x0000_0080;
const LAST_FRAGMENT: u32 = 0x0000_0040;
const KEEP_ALIVE: u32 = 0x0000_0008;
const TRANSPARENT_ETHERNET: u16 = 0x6558;

#[derive(Debug)]
pub(super) struct Capwap;

impl Dissector for Capwap {
    fn name(&self) -> &'static str {
        "capwap"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::UdpPort(5247)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let first = be32(bytes, 0);
        // The preamble: version 0, and a CAPWAP header in the clear.
        if u8_at(bytes, 0) != 0 || bytes.len() < 8 {
            return Step::Decline;
        }
        let header_len = ((first & HEADER_LENGTH) >> 19) as usize * 4;
        let Some(frame) = bytes.get(header_len.max(8)..) else { return Step::Decline };
        // A last fragment at offset 0 is a whole frame.
        let piece = first & FRAGMENT != 0 && (first & LAST_FRAGMENT == 0 || be16(bytes, 6) >> 3 != 0);
        if piece || first & KEEP_ALIVE != 0 {
            return Step::Payload(frame);
        }
        let claim = match (first & NATIVE != 0, first & BINDING) {
            (false, _) => Claim::EtherType(TRANSPARENT_ETHERNET),
            (true, BINDING_WLAN) => Claim::Form(Form::WlanSwapped),
            _ => return Step::Payload(frame),
        };
        out.enter_tunnel(None);
        Step::Next(claim, frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::ip_fixture::{INNER, dissect, ethernet, found, over_udp};

    #[test]
    fn an_802_3_frame() {
        let header = [0, 0x10, 0x02, 0, 0, 0, 0, 0];
        let packet = over_udp(5247, &[&header[..], &ethernet(0x0800, INNER)].concat());
        assert_eq!(found(&dissect(&packet)), (vec![("capwap", None)], true));
    }

    #[test]
    fn a_native_frame_behind_wireless_information() {
        let bytes = [0, 0x20, 0x03, 0x20, 0, 0, 0, 0, 4, 0xd6, 0x1c, 0, 0x78, 0, 0, 0, 0x40, 0];
        let packet = over_udp(5247, &bytes);
        let step = Capwap.dissect(&packet[28..], &mut dissect(&packet));
        assert_eq!(step, Step::Next(Claim::Form(Form::WlanSwapped), &[0x40, 0]));
    }

    #[test]
    fn protected_and_keep_alive_packets_carry_no_frame() {
        for header in [[1, 0, 0, 0, 0x17, 0xfe, 0xff, 0, 1], [0, 0x10, 0x02, 0x08, 0, 0, 0, 0, 0]] {
            let packet = over_udp(5247, &header);
            assert_eq!(dissect(&packet).ip.unwrap().dst_port, 5247);
        }
    }
}
