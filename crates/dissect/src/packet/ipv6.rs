//! IPv6 and its extension headers (RFC 8200, section 4; RFC 4302 for AH; RFC 6275 for mobility).
//!
//! Extension headers are skipped to the upper-layer protocol. ESP hides what follows and ends the walk;
//! so do mobility and HIP messages, which have nothing behind them (RFC 6275, section 6.1.1; RFC 7401, section 5.1).

use super::bytes::{be16, be32, be128, header, tri, u8_at};
use super::{Claim, Dissector, Step};
use crate::{Dissection, Fragment, Ip, LinkType, Stop};

const HEADER: usize = 40;
/// Extension headers whose second byte counts 8-byte units beyond the first.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
const SHIM6: u8 = 140;
const NO_NEXT_HEADER: u8 = 59;
const TCP: u8 = 6;

#[derive(Debug)]
pub(super) struct Ipv6;

impl Dissector for Ipv6 {
    fn name(&self) -> &'static str {
        "ipv6"
    }

    fn claims(&self) -> &'static [Claim] {
        // Address families: Linux, NetBSD and OpenBSD, Solaris, FreeBSD, Darwin.
        &[
            Claim::EtherType(0x86dd),
            Claim::IpProtocol(41),
            Claim::Link(LinkType(229)),
            Claim::AddressFamily(10),
            Claim::AddressFamily(24),
            Claim::AddressFamily(26),
            Claim::AddressFamily(28),
            Claim::AddressFamily(30),
            Claim::Nlpid(0x8e),
            Claim::PppProtocol(0x0057),
            Claim::PppProtocol(0x86dd),
        ]
    }

    #[inline(always)]
    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<HEADER>(self.name(), bytes));
        if u8_at(h, 0) >> 4 != 6 {
            return Step::Stop(Stop::Malformed { layer: "ipv6", reason: "version is not 6" });
        }
        let named = usize::from(be16(h, 4));
        let wire = out.wire_rest(bytes);
        let packet = if named == 0 { bytes } else { bytes.get(..HEADER + named).unwrap_or(bytes) };
        let (protocol, rest, fragment) = upper(u8_at(h, 6), packet.get(HEADER..).unwrap_or_default());
        let len = if named > 0 || !is_long(protocol, wire) { HEADER + named } else { wire };
        let mut ip = facts(h, len, out.offset_of(bytes));
        ip.protocol = protocol;
        ip.fragment = fragment;
        out.enter_ip(ip);
        match fragment {
            Some(f) if f.offset > 0 => Step::Payload(rest),
            _ => Step::Next(Claim::IpProtocol(protocol), rest),
        }
    }
}

/// Whether a payload length of 0 stands for a longer one, which the wire length tells: a jumbogram, by
/// definition beyond 65,535 bytes (RFC 2675, section 3), or TCP before the adapter segments it.
/// Else it means 0.
fn is_long(upper: u8, wire: usize) -> bool {
    wire > HEADER + usize::from(u16::MAX) || upper == TCP
}

/// What the fixed header says; `len` is the length of all, on the wire.
#[inline]
pub(super) fn facts(h: &[u8; HEADER], len: usize, at: usize) -> Ip {
    Ip {
        src: be128(h, 8),
        dst: be128(h, 24),
        src_port: 0,
        dst_port: 0,
        bytes: len as u32,
        at: at as u16,
        protocol: u8_at(h, 6),
        version: 6,
        fragment: None,
    }
}

/// Walks the extension headers: upper-layer protocol, its bytes, and the fragment header if one stood there.
///
/// A Shim6 control message has nothing behind it: it is the upper-layer protocol itself.
/// A header that is cut short ends the walk at its own number.
fn upper(mut protocol: u8, mut rest: &[u8]) -> (u8, &[u8], Option<Fragment>) {
    let mut fragment = None;
    loop {
        let len = match protocol {
            HOP_BY_HOP | ROUTING | DESTINATION | SHIM6 => (usize::from(u8_at(rest, 1)) + 1) * 8,
            AUTHENTICATION => (usize::from(u8_at(rest, 1)) + 2) * 4,
            FRAGMENT => 8,
            _ => return (protocol, rest, fragment),
        };
        let Some(after) = rest.get(len..) else { return (protocol, rest, fragment) };
        let next = u8_at(rest, 0);
        if next == NO_NEXT_HEADER && protocol == SHIM6 {
            return (protocol, rest, fragment);
        }
        if protocol == FRAGMENT {
            let piece = be16(rest, 2);
            let (offset, more) = (piece & !7, piece & 1 != 0);
            // An atomic fragment is a whole packet (RFC 6946).
            if offset > 0 || more {
                fragment = Some(Fragment { id: be32(rest, 4), offset, more });
            }
            if offset > 0 {
                return (next, after, fragment);
            }
        }
        (protocol, rest) = (next, after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Packet;
    use crate::packet::Registry;
    use crate::packet::ip_fixture::{ipv6, raw};

    #[test]
    fn extension_headers_lead_to_the_upper_protocol() {
        let mut chain = vec![ROUTING, 0, 0, 0, 0, 0, 0, 0];
        chain.extend([FRAGMENT, 0, 0, 0, 0, 0, 0, 0]);
        chain.extend([17, 0, 0, 1, 0, 0, 0, 9, 0xab]);
        let (protocol, rest, fragment) = upper(HOP_BY_HOP, &chain);
        assert_eq!((protocol, rest), (17, &[0xab][..]));
        assert_eq!(fragment, Some(Fragment { id: 9, offset: 0, more: true }));
    }

    #[test]
    fn a_payload_length_of_zero_is_the_wire_length_where_something_long_explains_it() {
        let bytes = |protocol, wire_len| {
            let mut packet =
                ipv6(protocol, &[0x1f, 0x90, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0]);
            packet[4..6].fill(0);
            let packet = Packet { wire_len, ..raw(&packet) };
            Dissection::of(&packet, Registry::global()).ip.unwrap().bytes
        };
        assert_eq!((bytes(6, 3000), bytes(17, 3000), bytes(17, 70_000)), (3000, 40, 70_000));
    }

    #[test]
    fn a_message_with_nothing_behind_it_is_the_upper_protocol() {
        const MOBILITY: u8 = 135;
        let binding_error = [NO_NEXT_HEADER, 0, 7, 0, 0, 1, 1, 0];
        assert_eq!(upper(MOBILITY, &binding_error), (MOBILITY, &binding_error[..], None));
        assert_eq!(upper(SHIM6, &binding_error), (SHIM6, &binding_error[..], None));
        assert_eq!(upper(DESTINATION, &binding_error), (NO_NEXT_HEADER, &[][..], None));
    }

    #[test]
    fn a_cut_extension_header_keeps_its_number() {
        assert_eq!(upper(ROUTING, &[17, 3, 0, 0]), (ROUTING, &[17, 3, 0, 0][..], None));
    }
}
