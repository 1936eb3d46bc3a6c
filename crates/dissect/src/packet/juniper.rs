//! Juniper's link types: a header with the magic "MGC", flags and extensions, a cookie of the
//! interface card that captured, then the packet (LINKTYPE_JUNIPER_*).
//!
//! Cookies are documented only by the programs that read them; where the header does not say what
//! follows, its first bytes must. Old releases write no header at all.
//! Not handled: ES, monitored fragments, ATM cells, fibre channel.

use super::bytes::{after, be16, be32, header, le16, le32, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

/// SPI and sequence number.
const ESP: usize = 8;
const MAGIC: [u8; 3] = *b"MGC";
/// Flags: packet came in; link header was taken off; extensions follow.
const INBOUND: u8 = 0x01;
const NO_LINK_HEADER: u8 = 0x02;
const EXTENDED: u8 = 0x80;
const UI: u8 = 0x03;
/// In an ATM cookie of 8 bytes: cells between frames, set on Ethernet that went out.
const GAP_COUNT: u32 = 0x03fe;

/// What stands between the header and the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Card {
    /// So many bytes, then what the claim names.
    Fixed(usize, Claim),
    /// ATM, with a cookie of 4 or 8 bytes and any of five encapsulations.
    Atm(usize),
    /// A protocol number of Juniper's, little-endian, and a VLAN.
    Ggsn,
    /// Multilink bundles.
    MultilinkPpp,
    MultilinkFrameRelay,
    /// IP that a tunnel's Ethernet, IPv4 and ESP headers, and 16 bytes more, stand in front of.
    SecureTunnel,
    /// IP behind a cookie whose length the direction tells.
    Services,
}

#[derive(Debug)]
pub(super) struct Juniper {
    name: &'static str,
    claims: &'static [Claim],
    card: Card,
}

const ETHERNET: Claim = Claim::Link(LinkType::ETHERNET);
const FRAME_RELAY_LINK: Claim = Claim::Link(LinkType(107));
const IP: Claim = Claim::Form(Form::Ip);

const fn link(number: u16) -> Claim {
    Claim::Link(LinkType(number))
}

pub(super) static ATM1: Juniper = Juniper { name: "juniper-atm1", claims: &[link(137)], card: Card::Atm(4) };
pub(super) static ATM2: Juniper = Juniper { name: "juniper-atm2", claims: &[link(135)], card: Card::Atm(8) };
pub(super) static C_HDLC: Juniper =
    Juniper { name: "juniper-c-hdlc", claims: &[link(181)], card: Card::Fixed(0, link(104)) };
pub(super) static ETHER: Juniper =
    Juniper { name: "juniper-ethernet", claims: &[link(178), link(167)], card: Card::Fixed(0, ETHERNET) };
pub(super) static FRAME_RELAY: Juniper =
    Juniper { name: "juniper-frame-relay", claims: &[link(180)], card: Card::Fixed(0, FRAME_RELAY_LINK) };
pub(super) static GGSN: Juniper = Juniper { name: "juniper-ggsn", claims: &[link(133)], card: Card::Ggsn };
pub(super) static MFR: Juniper =
    Juniper { name: "juniper-mfr", claims: &[link(134)], card: Card::Fixed(4, FRAME_RELAY_LINK) };
pub(super) static MONITOR: Juniper =
    Juniper { name: "juniper-monitor", claims: &[link(164)], card: Card::Fixed(8, IP) };
pub(super) static MULTILINK_FRAME_RELAY: Juniper =
    Juniper { name: "juniper-mlfr", claims: &[link(131)], card: Card::MultilinkFrameRelay };
pub(super) static MULTILINK_PPP: Juniper =
    Juniper { name: "juniper-mlppp", claims: &[link(130)], card: Card::MultilinkPpp };
pub(super) static PPP: Juniper =
    Juniper { name: "juniper-ppp", claims: &[link(179)], card: Card::Fixed(0, Claim::Form(Form::Ppp)) };
pub(super) static SECURE_TUNNEL: Juniper =
    Juniper { name: "juniper-st", claims: &[link(200)], card: Card::SecureTunnel };
pub(super) static SERVICES: Juniper =
    Juniper { name: "juniper-services", claims: &[link(136)], card: Card::Services };
pub(super) static VOICE: Juniper =
    Juniper { name: "juniper-voice", claims: &[link(183)], card: Card::Fixed(18, IP) };

impl Dissector for Juniper {
    fn name(&self) -> &'static str {
        self.name
    }

    fn claims(&self) -> &'static [Claim] {
        self.claims
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<4>(self.name, bytes));
        if !h.starts_with(&MAGIC) {
            return self.card(0, bytes);
        }
        let flags = u8_at(h, 3);
        let len = if flags & EXTENDED == 0 { 4 } else { 6 + usize::from(be16(bytes, 4)) };
        let rest = tri!(after(self.name, bytes, len));
        if flags & NO_LINK_HEADER != 0 {
            let packet = tri!(after(self.name, rest, 4));
            return protocol(le32(rest, 0), packet);
        }
        self.card(flags, rest)
    }
}

impl Juniper {
    fn card<'a>(&self, flags: u8, rest: &'a [u8]) -> Step<'a> {
        let inbound = flags & INBOUND != 0;
        match self.card {
            Card::Fixed(len, next) => Step::Next(next, tri!(after(self.name, rest, len))),
            Card::Atm(cookie) => {
                let packet = tri!(after(self.name, rest, cookie));
                atm(rest, packet, inbound, cookie == 8)
            }
            Card::Ggsn => protocol(u32::from(le16(rest, 0)), tri!(after(self.name, rest, 4))),
            Card::Services => Step::Next(IP, tri!(after(self.name, rest, if inbound { 16 } else { 12 }))),
            Card::SecureTunnel => {
                let ipv4 = tri!(after(self.name, rest, 14));
                let headers = usize::from(u8_at(ipv4, 0) & 15) * 4 + ESP + 16;
                Step::Next(IP, tri!(after(self.name, ipv4, headers)))
            }
            Card::MultilinkPpp => multilink_ppp(rest, inbound),
            Card::MultilinkFrameRelay => multilink_frame_relay(rest),
        }
    }
}

/// What one of Juniper's protocol numbers names.
fn protocol(number: u32, packet: &[u8]) -> Step<'_> {
    let next = match number {
        2 | 3 => Claim::EtherType(0x0800),
        6 | 7 => Claim::EtherType(0x86dd),
        4 | 5 | 8 | 32 => Claim::EtherType(0x8847),
        200 => Claim::Form(Form::Ppp),
        201 => return nlpid(packet),
        202 | 203 => Claim::Form(Form::Llc),
        204 => ETHERNET,
        207 => FRAME_RELAY_LINK,
        208 => link(104),
        0xa248 => return Step::Next(Claim::EtherType(0x0800), packet.get(4..).unwrap_or_default()),
        _ => return Step::Payload(packet),
    };
    Step::Next(next, packet)
}

/// A network layer protocol identifier, then its packet.
fn nlpid(packet: &[u8]) -> Step<'_> {
    Step::Next(Claim::Nlpid(u8_at(packet, 0)), packet.get(1..).unwrap_or_default())
}

/// LLC, bridged Ethernet, PPP, a bare NLPID, or IP: whichever the first bytes look like.
fn atm<'a>(cookie: &[u8], packet: &'a [u8], inbound: bool, second: bool) -> Step<'a> {
    let oam = if second { u8_at(cookie, 7) & 0x70 != 0 } else { u8_at(cookie, 0) == 0x80 };
    if oam {
        return Step::Payload(packet);
    }
    match packet {
        [0xaa, 0xaa, UI, ..] | [0xfe, 0xfe, UI, ..] => Step::Next(Claim::Form(Form::Llc), packet),
        _ if second && !inbound && be32(cookie, 0) & GAP_COUNT != 0 => Step::Next(ETHERNET, packet),
        _ if second && likely_ppp(be16(packet, 0)) => Step::Next(Claim::Form(Form::Ppp), packet),
        [UI, rest @ ..] => nlpid(rest),
        [0x45..=0x4f | 0x60..=0x6f, ..] => Step::Next(IP, packet),
        _ => Step::Payload(packet),
    }
}

/// Whether a router would write this PPP protocol number.
fn likely_ppp(number: u16) -> bool {
    matches!(
        number,
        0x0021
            | 0x0023
            | 0x003d
            | 0x0057
            | 0x0281
            | 0x0283
            | 0x8021
            | 0x8023
            | 0x8057
            | 0x8281
            | 0xc021
            | 0xc023
            | 0xc223
    )
}

/// Cookie of a service card: its length, and the third-layer protocol it names.
fn service_cookie(rest: &[u8]) -> (usize, Option<u8>) {
    match u8_at(rest, 0) {
        0x54 => (4, None),
        0x40 | 0x47 => (8, Some(u8_at(rest, 5) & 0xf0)),
        _ => (0, None),
    }
}

fn third_layer(protocol: u8, packet: &[u8]) -> Step<'_> {
    match protocol {
        0x00 => Step::Next(Claim::EtherType(0x0800), packet),
        0x10 => Step::Next(Claim::EtherType(0x86dd), packet),
        0x20 => Step::Next(Claim::EtherType(0x8847), packet),
        0x30 => nlpid(packet),
        _ => Step::Payload(packet),
    }
}

fn multilink_ppp(rest: &[u8], inbound: bool) -> Step<'_> {
    let (len, named) = service_cookie(rest);
    let packet = rest.get(len..).unwrap_or_default();
    let ppp = Claim::Form(Form::Ppp);
    match named {
        Some(0) if inbound && u8_at(rest, 4) & 3 != 3 => Step::Next(ppp, packet),
        Some(protocol) => third_layer(protocol, packet),
        None if len == 4 => Step::Next(ppp, packet),
        // A child link: a whole frame, a 2-byte cookie and a protocol number, or that number alone.
        None if be16(rest, 0) == 0xff03 || likely_ppp(be16(rest, 0)) => Step::Next(ppp, rest),
        None if likely_ppp(be16(rest, 2)) => Step::Next(ppp, rest.get(2..).unwrap_or_default()),
        None => Step::Payload(rest),
    }
}

fn multilink_frame_relay(rest: &[u8]) -> Step<'_> {
    let (len, named) = service_cookie(rest);
    let packet = rest.get(len..).unwrap_or_default();
    match (named, len) {
        (Some(0), _) if u8_at(rest, 4) & 3 == 3 => match packet {
            [UI, packet @ ..] => nlpid(packet),
            _ => Step::Payload(packet),
        },
        (Some(protocol), _) => third_layer(protocol, packet),
        (None, 4) => match packet {
            [0, UI, packet @ ..] | [UI, 0, packet @ ..] | [UI, packet @ ..] => nlpid(packet),
            _ => nlpid(packet),
        },
        // A child link: a 2-byte cookie, UI, perhaps padded.
        _ => match rest {
            [_, _, 0, UI, packet @ ..] | [_, _, UI, 0, packet @ ..] | [_, _, UI, packet @ ..] => {
                nlpid(packet)
            }
            _ => Step::Payload(rest),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    /// Header with 4 bytes of extensions.
    const FRONT: [u8; 10] = [b'M', b'G', b'C', 0x80, 0, 4, 1, 2, 0, 0];

    fn read(link_type: u16, front: &[&[u8]]) -> Vec<&'static str> {
        let bytes = [&front.concat()[..], &fixture::IPV4_UDP].concat();
        fixture::layers(LinkType(link_type), &bytes).split_off(1)
    }

    #[test]
    fn extensions_are_skipped() {
        assert_eq!(read(178, &[&FRONT, &fixture::ETHERNET]), ["ethernet", "ipv4", "udp"]);
        assert_eq!(read(179, &[&FRONT, &[0xff, 0x03, 0x00, 0x21]]), ["ppp", "ipv4", "udp"]);
        assert_eq!(read(181, &[&FRONT, &[0x0f, 0, 0x08, 0x00]]), ["c-hdlc", "ipv4", "udp"]);
    }

    #[test]
    fn a_missing_link_header_leaves_a_protocol_number() {
        assert_eq!(read(178, &[b"MGC\x02", &[2, 0, 0, 0]]), ["ipv4", "udp"]);
    }

    #[test]
    fn atm_is_told_by_the_first_bytes() {
        let snap = [0xaa, 0xaa, UI, 0, 0, 0, 8, 0];
        assert_eq!(read(137, &[b"MGC\x01", &[0; 4], &snap]), ["llc", "snap", "ipv4", "udp"]);
        assert_eq!(read(135, &[b"MGC\x01", &[0; 8]]), ["raw", "ipv4", "udp"]);
        assert_eq!(read(135, &[b"MGC\x01", &[0; 8], &[0x00, 0x21]]), ["ppp", "ipv4", "udp"]);
        assert_eq!(read(135, &[b"MGC\x01", &[0; 8], &[UI, 0xcc]]), ["ipv4", "udp"]);
        let gap = [0, 0, 0, 0x02, 0, 0, 0, 0];
        assert_eq!(read(135, &[b"MGC\x00", &gap, &fixture::ETHERNET]), ["ethernet", "ipv4", "udp"]);
        assert_eq!(read(137, &[b"MGC\x01", &[0x80, 0, 0, 0]]), [""; 0], "an OAM cell");
    }

    #[test]
    fn a_secure_tunnel_s_own_headers_are_skipped() {
        let mut outer = [0; 44];
        outer[0] = 0x45;
        assert_eq!(read(200, &[b"MGC\x01", &fixture::ETHERNET, &outer]), ["raw", "ipv4", "udp"]);
    }

    #[test]
    fn bundles_are_told_by_their_cookie() {
        assert_eq!(read(130, &[b"MGC\x00", &[0x47, 0, 0, 0, 0, 0, 0, 0]]), ["ipv4", "udp"]);
        assert_eq!(read(130, &[b"MGC\x00", &[9, 9, 0x00, 0x21]]), ["ppp", "ipv4", "udp"]);
        assert_eq!(read(131, &[b"MGC\x00", &[9, 9, UI, 0xcc]]), ["ipv4", "udp"]);
    }
}
