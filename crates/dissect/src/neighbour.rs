//! What hosts say of their own link-layer addresses: ARP (RFC 826) and neighbour discovery (RFC 4861, section 4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Dissection, Icmp};

/// A 48-bit link-layer address.
pub type Mac = [u8; 6];

/// Bytes of an ARP header before its addresses, and what it says of those of Ethernet and IPv4: kinds and lengths.
const ARP: usize = 8;
const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];
/// Messages of neighbour discovery.
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Their options: the sender's own address, and the address of who was asked for, of 8 bytes each.
const SOURCE: u8 = 1;
const TARGET: u8 = 2;

impl Dissection<'_> {
    /// Who the sender of a packet says that it is on its link. `None` of packets that say nothing of the kind, and of those
    /// in tunnels.
    #[inline]
    pub fn neighbour(&self) -> Option<(IpAddr, Mac)> {
        if self.ip.is_some() && self.icmp.is_none() { None } else { self.told_neighbour() }
    }

    fn told_neighbour(&self) -> Option<(IpAddr, Mac)> {
        let (addr, mac) = match (&self.ip, self.icmp) {
            (None, _) => self.arp()?,
            (Some(ip), Some(Icmp { kind: ROUTER_SOLICITATION..=NEIGHBOUR_ADVERTISEMENT, code: 0 }))
                if ip.version == 6 && self.outer.is_none() =>
            {
                self.discovery(ip.source())?
            }
            _ => return None,
        };
        // Neither is anybody's who only asks whether an address is taken.
        let is_own = !addr.is_unspecified() && !addr.is_multicast() && mac[0] & 1 == 0 && mac != [0; 6];
        is_own.then_some((addr, mac))
    }

    fn arp(&self) -> Option<(IpAddr, Mac)> {
        let layer = self.layers().last().filter(|layer| layer.dissector.name() == "arp")?;
        let header = self.from(layer.offset);
        let (kinds, rest) = header.split_at_checked(ARP)?;
        let sender = rest.first_chunk::<10>().filter(|_| kinds.starts_with(&ETHERNET_IPV4))?;
        let [mac @ .., a, b, c, d] = *sender;
        Some((Ipv4Addr::new(a, b, c, d).into(), mac))
    }

    fn discovery(&self, source: IpAddr) -> Option<(IpAddr, Mac)> {
        let kind = self.icmp?.kind;
        // Behind type, code and checksum: flags, then the address that it is about, where it is about one.
        let (target, options) = match kind {
            NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT => {
                let (target, options) = self.payload.get(4..)?.split_first_chunk::<16>()?;
                (Some(Ipv6Addr::from(*target)), options)
            }
            ROUTER_ADVERTISEMENT => (None, self.payload.get(12..)?),
            _ => (None, self.payload.get(4..)?),
        };
        let (addr, wanted) = match (kind, target) {
            (NEIGHBOUR_ADVERTISEMENT, Some(target)) => (target.into(), TARGET),
            _ => (source, SOURCE),
        };
        Some((addr, option(options, wanted)?))
    }
}

/// The address in the option `wanted`.
fn option(mut options: &[u8], wanted: u8) -> Option<Mac> {
    while let [kind, len, ..] = *options {
        let (option, rest) = options.split_at_checked(usize::from(len) * 8).filter(|_| len > 0)?;
        if kind == wanted && len == 1 {
            return option.last_chunk().copied();
        }
        options = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::packet::Registry;
    use crate::{Direction, Dissection, LinkType, Packet, Timestamp};

    fn of(link_type: LinkType, bytes: &[u8]) -> Option<(String, [u8; 6])> {
        let packet = Packet {
            timestamp: Timestamp(0),
            link_type,
            wire_len: bytes.len() as u32,
            bytes,
            interface: 0,
            vlan_tci: None,
            direction: Direction::Unknown,
        };
        let neighbour = Dissection::of(&packet, Registry::global()).neighbour();
        neighbour.map(|(addr, mac)| (addr.to_string(), mac))
    }

    #[test]
    fn arp_tells_its_sender() {
        let arp = |sender: [u8; 4], mac: [u8; 6]| {
            let head = [&[0xff; 6][..], &[2; 6], &[8, 6], &[0, 1, 8, 0, 6, 4, 0, 1]].concat();
            [&head[..], &mac, &sender, &[0; 6], &[192, 0, 2, 9]].concat()
        };
        let request = arp([192, 0, 2, 1], [0, 0, 0x5e, 0, 0x53, 1]);
        let told = Some(("192.0.2.1".to_owned(), [0, 0, 0x5e, 0, 0x53, 1]));
        assert_eq!(of(LinkType::ETHERNET, &request), told);
        assert_eq!(
            of(LinkType::ETHERNET, &arp([0; 4], [0, 0, 0x5e, 0, 0x53, 1])),
            None,
            "a probe (RFC 5227)"
        );
        assert_eq!(of(LinkType::ETHERNET, &arp([192, 0, 2, 1], [1, 0, 0x5e, 0, 0, 1])), None);
        for len in 14..request.len() - 10 {
            assert_eq!(of(LinkType::ETHERNET, &request[..len]), None, "{len}");
        }
    }

    #[test]
    fn neighbours_tell_themselves() {
        let ipv6 = |body: &[u8]| {
            let mut bytes = vec![0x60, 0, 0, 0, 0, body.len() as u8, 58, 255];
            bytes.extend([&[0xfe, 0x80][..], &[0; 13], &[7]].concat());
            bytes.extend([&[0xff, 2][..], &[0; 13], &[1]].concat());
            [&bytes[..], body].concat()
        };
        let target = [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[9]].concat();
        let mac = [0, 0, 0x5e, 0, 0x53, 2];
        let of_kind = |kind: u8, option: u8| {
            let body =
                [&[kind, 0, 0, 0, 0, 0, 0, 0][..], &target, &[14, 1, 0, 0, 0, 0, 0, 0], &[option, 1], &mac];
            of(LinkType::RAW, &ipv6(&body.concat()))
        };
        assert_eq!(of_kind(136, 2), Some(("2001:db8::9".to_owned(), mac)));
        assert_eq!(of_kind(135, 1), Some(("fe80::7".to_owned(), mac)));
        assert_eq!(of_kind(135, 2), None, "of the one that is asked, nothing is known");
        let advertisement = [&[134, 0, 0, 0][..], &[0; 12], &[1, 1], &mac].concat();
        assert_eq!(of(LinkType::RAW, &ipv6(&advertisement)), Some(("fe80::7".to_owned(), mac)));
        let empty = [&[133, 0, 0, 0][..], &[0; 4], &[1, 0], &mac].concat();
        assert_eq!(of(LinkType::RAW, &ipv6(&empty)), None, "an option of no length");
    }
}
