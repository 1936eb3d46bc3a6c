//! IEEE 802.11 data frames: the LLC payload (clause 9.3.2), or the first frame of an A-MSDU.
//!
//! Management and control frames carry no packets. Not handled: protected frames (nothing is
//! decrypted), fragments after the first, later frames of an A-MSDU, mesh control.

use super::bytes::{after, be16, header, le16, tri, u8_at};
use super::{Claim, Dissector, Form, Step, ethernet};
use crate::{Dissection, LinkType};

/// Frame control bits, little-endian.
mod control {
    pub(super) const TYPE: u16 = 0x000c;
    pub(super) const DATA: u16 = 0x0008;
    pub(super) const NO_DATA: u16 = 0x0040;
    pub(super) const QOS: u16 = 0x0080;
    pub(super) const BOTH_SYSTEMS: u16 = 0x0300;
    pub(super) const PROTECTED: u16 = 0x4000;
    pub(super) const ORDER: u16 = 0x8000;
}

const MIN_HEADER: usize = 24;
/// In the QoS control field: this is an A-MSDU.
const A_MSDU: u8 = 0x80;
/// Destination, source and length before each frame of an A-MSDU.
const SUBFRAME: usize = 14;

/// `padded`: the header is filled up to a multiple of 4 bytes, as some adapters do.
/// `swapped`: the bytes of frame and sequence control are exchanged, as some access points do.
#[derive(Debug)]
pub(super) struct Wlan {
    name: &'static str,
    claims: &'static [Claim],
    padded: bool,
    swapped: bool,
}

/// As the standard has it.
pub(super) static WLAN: Wlan = Wlan {
    name: "wlan",
    claims: &[Claim::Form(Form::Wlan), Claim::Link(LinkType(105))],
    padded: false,
    swapped: false,
};
/// Where radiotap says so.
pub(super) static PADDED: Wlan =
    Wlan { name: "wlan-padded", claims: &[Claim::Form(Form::WlanPadded)], padded: true, swapped: false };
/// Where a tunnel from an access point has it so.
pub(super) static SWAPPED: Wlan =
    Wlan { name: "wlan-swapped", claims: &[Claim::Form(Form::WlanSwapped)], padded: false, swapped: true };

impl Dissector for Wlan {
    fn name(&self) -> &'static str {
        self.name
    }

    fn claims(&self) -> &'static [Claim] {
        self.claims
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<2>(self.name, bytes));
        let control = if self.swapped { be16(h, 0) } else { le16(h, 0) };
        if control & control::TYPE != control::DATA {
            return Step::Payload(bytes);
        }
        let qos_at =
            MIN_HEADER + if control & control::BOTH_SYSTEMS == control::BOTH_SYSTEMS { 6 } else { 0 };
        let qos = control & control::QOS != 0;
        let mut len = qos_at;
        if qos {
            len += if control & control::ORDER == 0 { 2 } else { 6 };
        }
        if self.padded {
            len = len.next_multiple_of(4);
        }
        let rest = tri!(after(self.name, bytes, len));
        let fragment = u8_at(bytes, if self.swapped { 23 } else { 22 }) & 0x0f;
        if control & (control::NO_DATA | control::PROTECTED) != 0 || fragment > 0 {
            return Step::Payload(rest);
        }
        if qos && u8_at(bytes, qos_at) & A_MSDU != 0 {
            let (subframe, msdu) = tri!(header::<SUBFRAME>(self.name, rest));
            return payload(msdu.get(..usize::from(be16(subframe, 12))).unwrap_or(msdu));
        }
        payload(rest)
    }
}

/// LLC, or IPX without it (its checksum is all ones).
fn payload(bytes: &[u8]) -> Step<'_> {
    if bytes.starts_with(&ethernet::NOVELL_RAW) {
        return Step::Next(Claim::EtherType(0x8137), bytes);
    }
    Step::Next(Claim::Form(Form::Llc), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    const SNAP: [u8; 8] = [0xaa, 0xaa, 0x03, 0, 0, 0, 8, 0];

    fn read(control: [u8; 2], more: &[u8]) -> Vec<&'static str> {
        let front = [&control[..], &[0; 22], more].concat();
        fixture::layers(LinkType(105), &fixture::frame(&[&front, &SNAP, &fixture::IPV4_UDP]))
    }

    #[test]
    fn the_header_has_as_many_parts_as_its_control_says() {
        let ip = ["wlan", "llc", "snap", "ipv4", "udp"];
        assert_eq!(read([0x08, 0x01], &[]), ip);
        assert_eq!(read([0x08, 0x03], &[0; 6]), ip, "four addresses");
        assert_eq!(read([0x88, 0x01], &[0; 2]), ip, "QoS");
        assert_eq!(read([0x88, 0x81], &[0; 6]), ip, "QoS and HT control");
        let a_msdu = [0x80, 0, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0, 38];
        assert_eq!(read([0x88, 0x01], &a_msdu), ip, "A-MSDU");
    }

    #[test]
    fn other_frames_end_here() {
        assert_eq!(read([0x80, 0x00], &[]), ["wlan"], "beacon");
        assert_eq!(read([0x48, 0x01], &[]), ["wlan"], "null function");
        assert_eq!(read([0x08, 0x41], &[]), ["wlan"], "protected");
    }
}
