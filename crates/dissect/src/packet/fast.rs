//! The common stack in one function: Ethernet, at most two VLAN tags, IPv4 or IPv6, TCP or UDP.
//!
//! Gives exactly what the registry would, or nothing; a property test holds the two together. Whatever is
//! rare is left to the registry: fragments, extension headers, lengths of 0, headers that were cut,
//! ports that some dissector claims.

use super::bytes::{be16, u8_at};
use super::{DissectorId, Registry, ipv4, ipv6, tcp};
use crate::{Ip, Layer, LinkType, MAX_LAYERS, Packet, Tcp, app};

const ETHERNET_HEADER: usize = 14;
const TAG: usize = 4;
const MAX_TAGS: usize = 2;
const IPV4_HEADER: usize = 20;
/// What an IPv4 header begins with: the version, and a length of at least 5 words.
const PLAIN_IPV4: std::ops::RangeInclusive<u8> = 0x45..=0x4f;
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
/// Flags and fragment offset without "reserved" and "don't fragment".
const FRAGMENT: u16 = 0x3fff;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Who reads the layers of the common stack.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readers {
    pub(crate) ethernet: DissectorId,
    pub(crate) vlan: DissectorId,
    pub(crate) ipv4: DissectorId,
    pub(crate) ipv6: DissectorId,
    pub(crate) tcp: DissectorId,
    pub(crate) udp: DissectorId,
}

/// What a plain packet says: all of it, but for the places of its layers.
///
/// Most packets are plain; reading no more than this of them is what makes the difference between a dissection that is
/// built and one that stays in registers.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a> {
    /// The IP header, with ports.
    pub ip: Ip,
    /// The TCP header; `None` for UDP.
    pub tcp: Option<Tcp>,
    /// What was captured of the TCP or UDP payload, which no packet dissector claims.
    pub payload: &'a [u8],
    tags: u8,
    /// Where the TCP or UDP header begins, in bytes from the start of the packet.
    pub(crate) upper_at: u16,
}

/// What becomes of a plain packet.
pub trait Take<'a> {
    /// What it gives.
    type Out;
    /// Takes a plain packet; `is_spoken` if some message dissector is known by one of its ports, or may recognize it. Worth
    /// inlining: it is compiled for each kind of packet, of which half is known then.
    fn take(self, plain: Plain<'a>, is_spoken: bool) -> Self::Out;
}

/// Takes every plain packet as it is.
struct AsIs;

/// The same, and whether it is spoken.
struct Both;

impl<'a> Take<'a> for Both {
    type Out = (Plain<'a>, bool);

    #[inline(always)]
    fn take(self, plain: Plain<'a>, is_spoken: bool) -> (Plain<'a>, bool) {
        (plain, is_spoken)
    }
}

impl<'a> Take<'a> for AsIs {
    type Out = Plain<'a>;

    #[inline(always)]
    fn take(self, plain: Plain<'a>, _is_spoken: bool) -> Plain<'a> {
        plain
    }
}

impl<'a> Plain<'a> {
    /// Reads a plain packet; `None` sends it the general way.
    #[inline]
    pub fn of(packet: &Packet<'a>, registry: &Registry) -> Option<Self> {
        if packet.link_type != LinkType::ETHERNET {
            return None;
        }
        Self::read_ethernet(packet.bytes, registry, AsIs)
    }

    /// Reads a plain packet of Ethernet and has it taken.
    #[inline(always)]
    pub fn read_ethernet<T: Take<'a>>(bytes: &'a [u8], registry: &Registry, taker: T) -> Option<T::Out> {
        let (ether_type, tags, rest) = behind_tags(bytes)?;
        let at = ETHERNET_HEADER + usize::from(tags) * TAG;
        match ether_type {
            0x0800 => Self::read_upper(plain_ipv4(rest, at)?, rest, tags, registry, taker),
            0x86dd => Self::read_upper(plain_ipv6(rest, at)?, rest, tags, registry, taker),
            _ => None,
        }
    }

    /// Reads plain IPv4 that begins `at` bytes into a packet, behind whatever headers; says too whether it is spoken, as
    /// [`Take::take`] has it.
    #[inline]
    pub(crate) fn behind(bytes: &'a [u8], at: usize, registry: &Registry) -> Option<(Self, bool)> {
        // Places in a packet are kept in 16 bits; this leaves room for the longest IPv4 header.
        if at + 60 > usize::from(u16::MAX) {
            return None;
        }
        Self::read_upper(plain_ipv4(bytes, at)?, bytes, 0, registry, Both)
    }

    /// Reads what follows an IP header of so many bytes.
    #[inline(always)]
    fn read_upper<T: Take<'a>>(
        (mut ip, header_len): (Ip, usize),
        rest: &'a [u8],
        tags: u8,
        registry: &Registry,
        taker: T,
    ) -> Option<T::Out> {
        let upper_at = ip.at + header_len as u16;
        let upper_len = ip.bytes as usize - header_len;
        let upper = rest.get(header_len..)?;
        let upper = upper.get(..upper_len).unwrap_or(upper);
        if ip.protocol == TCP {
            let (tcp, payload) = plain_tcp(upper, upper_len, &mut ip)?;
            let is_spoken = registry.is_spoken(ip.src_port, ip.dst_port);
            return Some(taker.take(Plain { ip, tcp: Some(tcp), payload, tags, upper_at }, is_spoken));
        }
        if ip.protocol != UDP {
            return None;
        }
        let payload = plain_udp(upper, &mut ip)?;
        let is_spoken = if registry.is_spoken(ip.src_port, ip.dst_port) {
            if registry.claims_udp_port(ip.src_port) || registry.claims_udp_port(ip.dst_port) {
                return None;
            }
            true
        } else {
            app::may_recognize(payload)
        };
        Some(taker.take(Plain { ip, tcp: None, payload, tags, upper_at }, is_spoken))
    }

    /// How many layers there are.
    pub(crate) fn depth(&self) -> u8 {
        self.tags + 3
    }

    /// The layers: Ethernet, the tags, IP, TCP or UDP.
    #[inline(always)]
    pub(crate) fn layers(&self, readers: &Readers) -> [Layer; MAX_LAYERS] {
        let layer = |dissector, offset| Layer { dissector, offset };
        let link = layer(readers.ethernet, 0);
        let tag = |n: usize| layer(readers.vlan, (ETHERNET_HEADER + n * TAG) as u16);
        let network = layer(if self.ip.version == 4 { readers.ipv4 } else { readers.ipv6 }, self.ip.at);
        let transport = layer(if self.ip.protocol == TCP { readers.tcp } else { readers.udp }, self.upper_at);
        let none = Layer::default();
        let read = match self.tags {
            0 => [link, network, transport, none, none],
            1 => [link, tag(0), network, transport, none],
            _ => [link, tag(0), tag(1), network, transport],
        };
        let mut layers = [none; MAX_LAYERS];
        for (slot, layer) in layers.iter_mut().zip(read) {
            *slot = layer;
        }
        layers
    }
}

/// Ethernet, at most two VLAN tags and an IPv4 header, none of them unusual: what most tunnels stand in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outer<'a> {
    /// The IP header, without ports.
    pub(crate) ip: Ip,
    /// What was captured of the IP payload.
    pub(crate) rest: &'a [u8],
    tags: u8,
}

impl<'a> Outer<'a> {
    /// Reads the headers that `packet` begins with.
    #[inline(always)]
    pub(crate) fn of(packet: &Packet<'a>) -> Option<Self> {
        if packet.link_type != LinkType::ETHERNET {
            return None;
        }
        let (ether_type, tags, bytes) = behind_tags(packet.bytes)?;
        if ether_type != 0x0800 {
            return None;
        }
        let (ip, header_len) = plain_ipv4(bytes, ETHERNET_HEADER + usize::from(tags) * TAG)?;
        let rest = bytes.get(..ip.bytes as usize).unwrap_or(bytes).get(header_len..)?;
        Some(Outer { ip, rest, tags })
    }

    /// How many layers there are.
    pub(crate) fn depth(&self) -> u8 {
        self.tags + 2
    }

    /// The layers: Ethernet, the tags, IPv4.
    #[inline(always)]
    pub(crate) fn layers(&self, readers: &Readers) -> [Layer; MAX_TAGS + 2] {
        let layer = |dissector, offset| Layer { dissector, offset };
        let tag = |n: usize| layer(readers.vlan, (ETHERNET_HEADER + n * TAG) as u16);
        let (link, ip, none) =
            (layer(readers.ethernet, 0), layer(readers.ipv4, self.ip.at), Layer::default());
        match self.tags {
            0 => [link, ip, none, none],
            1 => [link, tag(0), ip, none],
            _ => [link, tag(0), tag(1), ip],
        }
    }
}

/// The EtherType behind at most two VLAN tags, how many there are, and what follows.
#[inline(always)]
fn behind_tags(bytes: &[u8]) -> Option<(u16, u8, &[u8])> {
    let (header, mut rest) = bytes.split_first_chunk::<ETHERNET_HEADER>()?;
    let mut ether_type = be16(header, 12);
    let mut tags = 0;
    while matches!(ether_type, 0x8100 | 0x88a8) && usize::from(tags) < MAX_TAGS {
        let (tag, behind) = rest.split_first_chunk::<TAG>()?;
        (ether_type, rest) = (be16(tag, 2), behind);
        tags += 1;
    }
    Some((ether_type, tags, rest))
}

/// A whole IPv4 header that starts `at` bytes into the packet, and its length.
#[inline(always)]
fn plain_ipv4(bytes: &[u8], at: usize) -> Option<(Ip, usize)> {
    let (h, _) = bytes.split_first_chunk::<IPV4_HEADER>()?;
    let first = u8_at(h, 0);
    let header_len = usize::from(first & 15) * 4;
    let total = usize::from(be16(h, 2));
    let plain = PLAIN_IPV4.contains(&first) && be16(h, 6) & FRAGMENT == 0;
    (plain && total >= header_len).then(|| (ipv4::facts(h, total, at), header_len))
}

/// A whole IPv6 header that starts `at` bytes into the packet, and its length.
#[inline(always)]
fn plain_ipv6(bytes: &[u8], at: usize) -> Option<(Ip, usize)> {
    let (h, _) = bytes.split_first_chunk::<IPV6_HEADER>()?;
    let payload = usize::from(be16(h, 4));
    (u8_at(h, 0) >> 4 == 6 && payload != 0).then(|| (ipv6::facts(h, IPV6_HEADER + payload, at), IPV6_HEADER))
}

/// A whole TCP header and what was captured of its payload.
#[inline(always)]
fn plain_tcp<'a>(bytes: &'a [u8], len: usize, ip: &mut Ip) -> Option<(Tcp, &'a [u8])> {
    let (h, _) = bytes.split_first_chunk::<TCP_HEADER>()?;
    let header_len = usize::from(u8_at(h, 12) >> 4) * 4;
    if header_len < TCP_HEADER {
        return None;
    }
    let payload = bytes.get(header_len..)?;
    (ip.src_port, ip.dst_port) = (be16(h, 0), be16(h, 2));
    Some((tcp::facts(h, header_len, len), payload))
}

/// What was captured of a UDP payload.
#[inline(always)]
fn plain_udp<'a>(bytes: &'a [u8], ip: &mut Ip) -> Option<&'a [u8]> {
    let (h, rest) = bytes.split_first_chunk::<UDP_HEADER>()?;
    (ip.src_port, ip.dst_port) = (be16(h, 0), be16(h, 2));
    let payload = usize::from(be16(h, 4)).checked_sub(UDP_HEADER).and_then(|len| rest.get(..len));
    Some(payload.unwrap_or(rest))
}
