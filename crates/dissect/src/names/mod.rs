//! Names of numbers: link types, EtherTypes, LLC, PPP and IP protocols.
//!
//! For counting what no dissector reads by what it is. Lower case, as the field writes them.

mod ether;
mod ip;
mod link;
mod ppp;

use self::ether::{ETHER_TYPES, LLC_SAPS, NLPIDS, SNAPS};
use self::ip::IP_PROTOCOLS;
use self::link::LINK_TYPES;
use self::ppp::PPP_PROTOCOLS;
use crate::LinkType;
use crate::packet::Claim;

/// Looks a number up in a table sorted by number.
fn find<N: Ord + Copy>(table: &[(N, &'static str)], number: N) -> Option<&'static str> {
    let at = table.binary_search_by_key(&number, |&(n, _)| n).ok()?;
    table.get(at).map(|&(_, name)| name)
}

/// IANA keyword of an IP protocol, lower case; `None` where none is assigned.
pub fn ip_protocol(number: u8) -> Option<&'static str> {
    match number {
        253 | 254 => Some("experimental"),
        255 => Some("reserved"),
        _ => IP_PROTOCOLS.get(usize::from(number)).copied(),
    }
}

/// Short name of an EtherType, or of one of Linux's numbers below them; `None` for one that is not well known.
pub fn ether_type(number: u16) -> Option<&'static str> {
    find(ETHER_TYPES, number)
}

/// Short name of a LINKTYPE_ value, without the prefix.
pub fn link_type(number: u16) -> Option<&'static str> {
    find(LINK_TYPES, number)
}

/// Short name of an LLC service access point (IEEE 802.2).
pub fn llc_sap(number: u8) -> Option<&'static str> {
    find(LLC_SAPS, number)
}

/// Short name of a network layer protocol identifier (ISO/IEC TR 9577).
pub fn nlpid(number: u8) -> Option<&'static str> {
    find(NLPIDS, number)
}

/// Short name of a PPP protocol number (IANA "PPP DLL Protocol Numbers").
pub fn ppp_protocol(number: u16) -> Option<&'static str> {
    find(PPP_PROTOCOLS, number)
}

/// Short name of a SNAP number under an organization's identifier.
pub fn snap(oui: u32, pid: u16) -> Option<&'static str> {
    find(SNAPS, (oui, pid))
}

/// How people call what `claim` names; its number where it has no name.
pub fn claim(claim: Claim) -> String {
    let (name, registry, number) = match claim {
        Claim::Link(LinkType(n)) => (link_type(n), "link type", n.to_string()),
        Claim::EtherType(n) => (ether_type(n), "ethertype", format!("{n:#06x}")),
        Claim::IpProtocol(n) => (ip_protocol(n), "ip protocol", n.to_string()),
        Claim::UdpPort(n) => (None, "udp port", n.to_string()),
        Claim::PppProtocol(n) => (ppp_protocol(n), "ppp protocol", format!("{n:#06x}")),
        Claim::LlcSap(n) => (llc_sap(n), "llc sap", format!("{n:#04x}")),
        Claim::Nlpid(n) => (nlpid(n), "nlpid", format!("{n:#04x}")),
        Claim::Snap { oui, pid } => (snap(oui, pid), "snap", format!("{oui:06x}:{pid:04x}")),
        Claim::AddressFamily(n) => (None, "address family", n.to_string()),
        Claim::Form(form) => (None, "form", format!("{form:?}")),
    };
    name.map_or_else(|| format!("{registry} {number}"), String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_so_that_every_row_is_found() {
        assert!(ETHER_TYPES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(LINK_TYPES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(LLC_SAPS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(NLPIDS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(PPP_PROTOCOLS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(SNAPS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn numbers_have_their_registered_names() {
        // IANA "Assigned Internet Protocol Numbers": one in each part of the table, and its ends.
        let protocols = [
            (0, "hopopt"),
            (1, "icmp"),
            (17, "udp"),
            (33, "dccp"),
            (41, "ipv6"),
            (47, "gre"),
            (58, "ipv6-icmp"),
            (89, "ospfigp"),
            (94, "ipip"),
            (103, "pim"),
            (112, "vrrp"),
            (115, "l2tp"),
            (124, "isis-over-ipv4"),
            (132, "sctp"),
            (136, "udplite"),
            (137, "mpls-in-ip"),
            (142, "rohc"),
            (145, "nsh"),
        ];
        for (number, name) in protocols {
            assert_eq!(ip_protocol(number), Some(name));
        }
        assert_eq!((ip_protocol(200), ip_protocol(254)), (None, Some("experimental")));
        assert_eq!((ether_type(0x88cc), ether_type(0x1234)), (Some("lldp"), None));
        assert_eq!((link_type(1), link_type(301)), (Some("ethernet"), Some("dect-nr")));
        assert_eq!((llc_sap(0x42), nlpid(0x83)), (Some("stp"), Some("isis")));
        assert_eq!(claim(Claim::EtherType(0x88cc)), "lldp");
        assert_eq!(claim(Claim::EtherType(0x1234)), "ethertype 0x1234");
        assert_eq!(claim(Claim::Snap { oui: 0x00fe_dcba, pid: 1 }), "snap fedcba:0001");
        assert_eq!((ppp_protocol(0xc021), snap(0x0c, 0x2000)), (Some("lcp"), Some("cdp")));
    }
}
