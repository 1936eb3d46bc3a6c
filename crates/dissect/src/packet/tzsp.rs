//! TZSP: mirrored frames over UDP (Network Chemistry's TaZmen Sniffer Protocol, version 1).

use super::bytes::{be16, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::Dissection;

/// Version, type, encapsulated protocol.
const HEADER: usize = 4;
const VERSION: u8 = 1;
/// Types that carry a frame: received, and to be sent.
const RECEIVED: u8 = 0;
const TRANSMIT: u8 = 1;
const ETHERNET: u16 = 1;
const WLAN: u16 = 18;
/// The two tags without a length byte.
const TAG_PADDING: u8 = 0;
const TAG_END: u8 = 1;
const TRANSPARENT_ETHERNET: u16 = 0x6558;

#[derive(Debug)]
pub(super) struct Tzsp;

impl Dissector for Tzsp {
    fn name(&self) -> &'static str {
        "tzsp"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::UdpPort(37008), Claim::Link(crate::LinkType(128))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        if u8_at(bytes, 0) != VERSION || !matches!(u8_at(bytes, 1), RECEIVED | TRANSMIT) {
            return Step::Decline;
        }
        let claim = match be16(bytes, 2) {
            ETHERNET => Claim::EtherType(TRANSPARENT_ETHERNET),
            WLAN => Claim::Form(Form::Wlan),
            _ => return Step::Decline,
        };
        let Some(frame) = bytes.get(HEADER..).and_then(after_tags) else { return Step::Decline };
        out.enter_tunnel(None);
        Step::Next(claim, frame)
    }
}

fn after_tags(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = match *rest.first()? {
            TAG_END => return rest.get(1..),
            TAG_PADDING => rest.get(1..)?,
            _ => rest.get(2 + usize::from(*rest.get(1)?)..)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, ethernet, found, over_udp};

    #[test]
    fn the_frame_follows_the_end_tag() {
        let header = [1, 0, 0, 1, 0, 0x0a, 1, 0xc4, 1];
        let packet = over_udp(37008, &[&header[..], &ethernet(0x0800, INNER)].concat());
        assert_eq!(found(&dissect(&packet)), (vec![("tzsp", None)], true));
    }

    #[test]
    fn tags_without_an_end_are_declined() {
        let packet = over_udp(37008, &[1, 0, 0, 1, 0x0a, 200]);
        assert_eq!(dissect(&packet).app_payload().map(<[u8]>::len), Some(6));
    }
}
