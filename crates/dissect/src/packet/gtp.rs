//! GTP user plane, version 1 (3GPP TS 29.281, section 5) and version 0 (3GPP TS 09.60, section 6).
//!
//! Only G-PDUs carry packets, whatever the port; control messages, version 2 and GTP' are payload.
//! A G-PDU that is not IP (PPP, Ethernet, unstructured) is payload: only its session's set-up says what it is.

use super::bytes::{be16, be32, ip_by_version, u8_at};
use super::{Claim, Dissector, Step};
use crate::Dissection;

/// Message type of a user packet.
const G_PDU: u8 = 255;
const VERSION_SHIFT: u32 = 5;
/// Set for GTP, clear for GTP' (charging).
const PROTOCOL_TYPE: u8 = 0x10;
/// Any of extension header, sequence number, N-PDU number: all three fields are there.
const OPTIONAL: u8 = 0x07;
const EXTENSION: u8 = 0x04;
/// Version 1: flags, type, length, TEID; what the length counts from.
const V1_HEADER: usize = 8;
/// Version 0: flags, type, length, sequence, flow label, LLC frame number, TID.
const V0_HEADER: usize = 20;

#[derive(Debug)]
pub(super) struct Gtp;

impl Dissector for Gtp {
    fn name(&self) -> &'static str {
        "gtp"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::UdpPort(2152), Claim::UdpPort(2123), Claim::UdpPort(3386)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let flags = u8_at(bytes, 0);
        if flags & PROTOCOL_TYPE == 0 || u8_at(bytes, 1) != G_PDU {
            return Step::Decline;
        }
        let len = usize::from(be16(bytes, 2));
        let (header, id, carried) = match flags >> VERSION_SHIFT {
            0 => (V0_HEADER, u32::from(be16(bytes, 6)), bytes.get(V0_HEADER..)),
            1 => (V1_HEADER, be32(bytes, 4), after_optional(flags, bytes)),
            _ => return Step::Decline,
        };
        let Some(carried) = carried else { return Step::Decline };
        let Some(claim) = ip_by_version(carried) else { return Step::Decline };
        out.enter_tunnel(Some(id));
        let skipped = bytes.len() - carried.len();
        let end = (header + len).saturating_sub(skipped);
        Step::Next(claim, carried.get(..end).unwrap_or(carried))
    }
}

/// The user packet behind version 1's optional fields and extension headers.
fn after_optional(flags: u8, bytes: &[u8]) -> Option<&[u8]> {
    if flags & OPTIONAL == 0 {
        return bytes.get(V1_HEADER..);
    }
    let mut next = if flags & EXTENSION == 0 { 0 } else { u8_at(bytes, 11) };
    let mut rest = bytes.get(V1_HEADER + 4..)?;
    // Length in 4-byte units, contents, type of the next one (section 5.2.1).
    while next != 0 {
        let len = usize::from(*rest.first()?) * 4;
        next = *rest.get(len.checked_sub(1)?)?;
        rest = rest.get(len..)?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, found, over_udp};

    fn packet(header: &[u8]) -> Vec<u8> {
        let mut message = header.to_vec();
        let len = (header.len() - 8 + INNER.len()) as u16;
        message[2..4].copy_from_slice(&len.to_be_bytes());
        message.extend(INNER);
        over_udp(2152, &message)
    }

    #[test]
    fn optional_fields_and_extension_headers_are_skipped() {
        let plain = packet(&[0x30, 255, 0, 0, 0, 0, 0, 7]);
        assert_eq!(found(&dissect(&plain)), (vec![("gtp", Some(7))], true));
        let sequenced = packet(&[0x32, 255, 0, 0, 0, 0, 0, 7, 0, 1, 0, 0]);
        assert_eq!(found(&dissect(&sequenced)), (vec![("gtp", Some(7))], true));
        let extended = packet(&[0x34, 255, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0x85, 1, 0, 9, 0xc0, 1, 0, 0, 0]);
        assert_eq!(found(&dissect(&extended)), (vec![("gtp", Some(7))], true));
    }

    #[test]
    fn an_extension_header_without_length_ends_it() {
        let endless = packet(&[0x34, 255, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0x85, 0, 0, 0, 0]);
        assert_eq!(found(&dissect(&endless)), (vec![], false));
    }

    #[test]
    fn only_g_pdus_carry_packets() {
        let echo = packet(&[0x32, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
        let charging = packet(&[0x20, 255, 0, 0, 0, 0, 0, 0]);
        let version_2 = packet(&[0x50, 255, 0, 0, 0, 0, 0, 0]);
        for packet in [echo, charging, version_2] {
            let d = dissect(&packet);
            assert_eq!((found(&d).0, d.ip.unwrap().dst_port), (vec![], 2152));
        }
    }
}
