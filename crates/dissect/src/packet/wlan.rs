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
/// Fragment number, in the sequence control field.
const FRAGMENT: u16 = 0x000f;
/// In the QoS control field: this is an A-MSDU.
const A_MSDU: u8 = 0x80;
/// Destination, source and length before each frame of an A-MSDU.
const SUBFRAME: usize = 14;

/// How a header departs from the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Oddity {
    None,
    /// It is filled up to a multiple of 4 bytes, as some adapters do.
    Padded,
    /// The bytes of its frame and sequence control may be swapped, as some access points do.
    Swapped,
}

#[derive(Debug)]
pub(super) struct Wlan {
    name: &'static str,
    claims: &'static [Claim],
    oddity: Oddity,
}

/// As the standard has it.
pub(super) static WLAN: Wlan = Wlan {
    name: "wlan",
    claims: &[Claim::Form(Form::Wlan), Claim::Link(LinkType(105))],
    oddity: Oddity::None,
};
/// Where radiotap says so.
pub(super) static PADDED: Wlan =
    Wlan { name: "wlan-padded", claims: &[Claim::Form(Form::WlanPadded)], oddity: Oddity::Padded };

/// Between an access point and its controller (CAPWAP, LWAPP).
pub(super) static SWAPPED: Wlan =
    Wlan { name: "wlan-swapped", claims: &[Claim::Form(Form::WlanSwapped)], oddity: Oddity::Swapped };

impl Dissector for Wlan {
    fn name(&self) -> &'static str {
        self.name
    }

    fn claims(&self) -> &'static [Claim] {
        self.claims
    }

    #[inline(always)]
    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<2>(self.name, bytes));
        // A data frame in one order only: a flags byte that looks like one is rare.
        let [first, second] = *h;
        let swapped = self.oddity == Oddity::Swapped && !data(first) && data(second);
        let read = |bytes: &[u8], at| if swapped { be16(bytes, at) } else { le16(bytes, at) };
        let control = read(h, 0);
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
        if self.oddity == Oddity::Padded {
            len = len.next_multiple_of(4);
        }
        let rest = tri!(after(self.name, bytes, len));
        let fragment = read(bytes, 22) & FRAGMENT;
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

/// Whether the low byte of a frame control says data, version 0.
fn data(kind: u8) -> bool {
    kind & 0x0f == 0x08
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

    const IPV4: [u8; 8] = [0xaa, 0xaa, 0x03, 0, 0, 0, 8, 0];

    fn read(control: [u8; 2], more: &[u8]) -> Vec<&'static str> {
        let front = [&control[..], &[0; 22], more].concat();
        fixture::layers(LinkType(105), &fixture::frame(&[&front, &IPV4, &fixture::IPV4_UDP]))
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
    fn the_fragment_number_is_swapped_along() {
        // From nDPI's tests, capwap.pcap, packet 329: sequence 17, fragment 0, in the unusual order.
        let mut bytes =
            vec![0x01, 0x08, 0x2c, 0x00, 0x58, 0x0a, 0x20, 0x69, 0x0e, 0x20, 0x1c, 0xab, 0xa7, 0xf2];
        bytes.extend([0x13, 0x9d, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x10, 0xaa, 0xaa, 0x03]);
        let step = SWAPPED.dissect(&bytes, &mut fixture::dissect(LinkType(105), &bytes));
        assert_eq!(step, Step::Next(Claim::Form(Form::Llc), &[0xaa, 0xaa, 0x03]));
    }

    #[test]
    fn a_swapped_frame_control_is_read_where_it_is_known() {
        let rest = [&[0; 22][..], &IPV4, &fixture::IPV4_UDP].concat();
        for control in [[0x01, 0x08], [0x08, 0x01]] {
            let bytes = fixture::frame(&[&control, &rest]);
            let packet = fixture::dissect(LinkType(105), &bytes);
            let step = SWAPPED.dissect(&bytes, &mut packet.clone());
            assert_eq!(step, Step::Next(Claim::Form(Form::Llc), &bytes[24..]));
        }
        // From nDPI's tests, capwap.pcap: a probe request, not swapped.
        let bytes = fixture::frame(&[&[0x40, 0x00], &rest]);
        let step = SWAPPED.dissect(&bytes, &mut fixture::dissect(LinkType(105), &bytes));
        assert_eq!(step, Step::Payload(&bytes[..]));
    }

    #[test]
    fn other_frames_end_here() {
        assert_eq!(read([0x80, 0x00], &[]), ["wlan"], "beacon");
        assert_eq!(read([0x48, 0x01], &[]), ["wlan"], "null function");
        assert_eq!(read([0x08, 0x41], &[]), ["wlan"], "protected");
        let mut fragment = [&[0x08, 0x01][..], &[0; 22], &[1; 30]].concat();
        fragment[22] = 1;
        assert_eq!(fixture::layers(LinkType(105), &fragment), ["wlan"], "a later fragment");
    }
}
