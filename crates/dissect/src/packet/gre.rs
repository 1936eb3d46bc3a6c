//! GRE: version 0 (RFC 2784, RFC 2890, with RFC 1701's source routes) and version 1 (PPTP, RFC 2637, section 4.1).
//!
//! Protocol types are EtherTypes; the few that mean something else behind GRE are in [`carried`].
//! Byte-stuffed PPP (CDMA2000's 0x8881) is not unstuffed.

use super::bytes::{after, be16, be32, header, ip_by_version, tri, u8_at};
use super::{Claim, Dissector, Form, Step, erspan};
use crate::{Dissection, Stop};

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
/// Version 1 only: an acknowledgment number is there.
const ACKNOWLEDGMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;

const PPP: u16 = 0x880b;
/// WCCP, which may put a redirect header of 4 bytes before the packet (draft-wilson-wrec-wccp-v2-01, section 4.12).
const WCCP: u16 = 0x883e;
/// Security group tag before the packet; behind Ethernet its EtherType comes last, here it comes first.
const METADATA: u16 = 0x8909;
const TRANSPARENT_ETHERNET: u16 = 0x6558;
/// Ethernet as one vendor numbered it before 0x6558.
const ETHERNET: u16 = 0x6400;
/// 802.11 frames between access point and controller: one type for each of 16 queues.
const ARUBA: std::ops::RangeInclusive<u16> = 0x8200..=0x83ff;

#[derive(Debug)]
pub(super) struct Gre;

impl Dissector for Gre {
    fn name(&self) -> &'static str {
        "gre"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::IpProtocol(47)]
    }

    #[inline(always)]
    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<4>(self.name(), bytes));
        let (flags, protocol) = (be16(h, 0), be16(h, 2));
        match flags & VERSION {
            0 => version_0(flags, protocol, bytes, out),
            1 => version_1(flags, bytes, out),
            _ => Step::Stop(Stop::Malformed { layer: "gre", reason: "version above 1" }),
        }
    }
}

#[inline(always)] // So that its step is never built.
fn version_0<'a>(flags: u16, protocol: u16, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
    let mut at = 4;
    if flags & (CHECKSUM | ROUTING) != 0 {
        at += 4;
    }
    let key = (flags & KEY != 0).then(|| be32(bytes, at));
    at += if key.is_some() { 4 } else { 0 };
    at += if flags & SEQUENCE != 0 { 4 } else { 0 };
    let mut rest = tri!(after("gre", bytes, at));
    if flags & ROUTING != 0 {
        rest = tri!(after_routes(rest));
    }
    out.enter_tunnel(key);
    if protocol == WCCP && ip_by_version(rest) != Some(Claim::EtherType(0x0800)) {
        rest = tri!(after("gre", rest, 4));
    }
    if protocol == METADATA {
        let (h, rest) = tri!(header::<8>("gre", rest));
        return Step::Next(Claim::EtherType(be16(h, 0)), rest);
    }
    Step::Next(carried(protocol, flags & SEQUENCE != 0, rest), rest)
}

/// What follows RFC 1701's source route entries: family 2, offset 1, length 1, route; the last is all zero.
fn after_routes(mut rest: &[u8]) -> Result<&[u8], Stop> {
    loop {
        let (family, len) = (be16(rest, 0), usize::from(u8_at(rest, 3)));
        rest = after("gre", rest, 4 + len)?;
        if family == 0 && len == 0 {
            return Ok(rest);
        }
    }
}

/// Payload length and call id stand where version 0 has its key.
fn version_1<'a>(flags: u16, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
    let len = usize::from(be16(bytes, 4));
    let call = be16(bytes, 6);
    let optional = [SEQUENCE, ACKNOWLEDGMENT].iter().filter(|&&flag| flags & flag != 0).count();
    let rest = tri!(after("gre", bytes, 8 + optional * 4));
    if flags & SEQUENCE == 0 || len == 0 {
        return Step::Payload(rest);
    }
    out.enter_tunnel(Some(u32::from(call)));
    Step::Next(Claim::Form(Form::Ppp), rest.get(..len).unwrap_or(rest))
}

/// What a protocol type means behind GRE.
fn carried(protocol: u16, sequenced: bool, rest: &[u8]) -> Claim {
    match protocol {
        ETHERNET => Claim::EtherType(TRANSPARENT_ETHERNET),
        // ERSPAN type I is a bare frame; type II always numbers its packets.
        erspan::TYPE_II if !sequenced => Claim::EtherType(TRANSPARENT_ETHERNET),
        PPP => Claim::Form(Form::Ppp),
        WCCP => ip_by_version(rest).unwrap_or(Claim::EtherType(WCCP)),
        _ if ARUBA.contains(&protocol) && protocol.is_multiple_of(16) => Claim::Form(Form::Wlan),
        _ => Claim::EtherType(protocol),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::ip_fixture::{INNER, dissect, ethernet, found, ipv4};

    fn packet(header: &[u8], carried: &[u8]) -> Vec<u8> {
        ipv4(47, &[header, carried].concat())
    }

    #[test]
    fn every_optional_field_is_skipped() {
        let bare = packet(&[0, 0, 8, 0], INNER);
        assert_eq!(found(&dissect(&bare)), (vec![("gre", None)], true));
        let all = packet(&[0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 42, 0, 0, 0, 1], INNER);
        assert_eq!(found(&dissect(&all)), (vec![("gre", Some(42))], true));
    }

    #[test]
    fn source_routes_end_with_a_null_entry() {
        let routed = [0x40, 0, 8, 0, 0, 0, 0, 0, 8, 0, 0, 4, 192, 0, 2, 9, 0, 0, 0, 0];
        assert_eq!(found(&dissect(&packet(&routed, INNER))), (vec![("gre", None)], true));
    }

    #[test]
    fn wccp_may_redirect() {
        assert!(found(&dissect(&packet(&[0, 0, 0x88, 0x3e], INNER))).1);
        assert!(found(&dissect(&packet(&[0, 0, 0x88, 0x3e, 0x80, 0, 0, 5], INNER))).1);
    }

    #[test]
    fn metadata_behind_gre_begins_with_the_type() {
        let header = [0x20, 0, 0x89, 0x09, 0, 0, 0, 0x28, 8, 0, 1, 1, 0, 1, 0, 0];
        assert_eq!(found(&dissect(&packet(&header, INNER))), (vec![("gre", Some(0x28))], true));
    }

    #[test]
    fn nvgre_is_ethernet_with_a_key() {
        let nvgre = packet(&[0x20, 0, 0x65, 0x58, 0, 0x12, 0x34, 0], &ethernet(0x0800, INNER));
        assert_eq!(found(&dissect(&nvgre)), (vec![("gre", Some(0x0012_3400))], true));
    }

    #[test]
    fn pptp_carries_ppp_only_with_a_sequence_number() {
        let acknowledgment = packet(&[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 9, 0, 0, 0, 1], &[]);
        let d = dissect(&acknowledgment);
        assert_eq!((d.ip.unwrap().protocol, d.stop), (47, Stop::Complete));
        let bytes = packet(&[0x30, 0x81, 0x88, 0x0b, 0, 4, 0, 9, 0, 0, 0, 2, 0, 0, 0, 1], b"\xff\x03\0\x21!");
        let (h, mut d) = (&bytes[20..], dissect(&bytes));
        let step = Gre.dissect(h, &mut d);
        assert_eq!(step, Step::Next(Claim::Form(Form::Ppp), b"\xff\x03\0\x21"));
    }

    #[test]
    fn a_cut_header_leaves_the_flow() {
        let d = ipv4(47, &[0xb0, 0, 8, 0, 0, 0]);
        assert_eq!(dissect(&d).stop, Stop::Truncated { layer: "gre", need: 16, have: 6 });
    }
}
