//! LWAPP: frames between access point and controller (RFC 5412, section 4). Its control messages are payload.
//!
//! Frames whose frame control an access point swapped end as what they then look like: they are not told apart here.

use super::bytes::u8_at;
use super::{Claim, Dissector, Form, Step};
use crate::Dissection;

/// Version, radio and flags, fragment id, length, RSSI, SNR.
const HEADER: usize = 6;
const CONTROL: u8 = 0x04;
const FRAGMENT: u8 = 0x02;

#[derive(Debug)]
pub(super) struct Lwapp;

impl Dissector for Lwapp {
    fn name(&self) -> &'static str {
        "lwapp"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::UdpPort(12222)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let Some(frame) = bytes.get(HEADER..) else { return Step::Decline };
        let flags = u8_at(bytes, 0);
        if flags >> 6 != 0 {
            return Step::Decline;
        }
        if flags & (CONTROL | FRAGMENT) != 0 {
            return Step::Payload(frame);
        }
        out.enter_tunnel(None);
        Step::Next(Claim::Form(Form::Wlan), frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::ip_fixture::{dissect, over_udp};

    #[test]
    fn a_frame_follows_six_bytes() {
        // From tcpdump's lwapp-data.pcap, packet 1: a probe request.
        let mut data = vec![0x08, 0x1d, 0x00, 0x18, 0xe3, 0x42, 0x00, 0x40, 0x00, 0x00];
        data.extend([0x00, 0x0b, 0x85, 0x24, 0xe8, 0x90, 0x00, 0x02, 0x8a, 0xd8, 0xde, 0x9a]);
        let packet = over_udp(12222, &data);
        let step = Lwapp.dissect(&packet[28..], &mut dissect(&packet));
        assert_eq!(step, Step::Next(Claim::Form(Form::Wlan), &data[6..]));
        let control = over_udp(12222, &[0x04, 0, 0, 1, 0, 0, 1]);
        assert_eq!(Lwapp.dissect(&control[28..], &mut dissect(&control)), Step::Payload(&[1]));
    }
}
