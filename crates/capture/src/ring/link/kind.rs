//! Kinds of interfaces, and what their packets begin with.

use dissect::LinkType;

/// `ARPHRD_*` numbers (`<linux/if_arp.h>`) that are spoken of elsewhere.
pub(in super::super) mod arphrd {
    /// Ethernet.
    pub(in super::super::super) const ETHER: u16 = 1;
    /// Loopback, whose packets have an Ethernet header of zeros.
    pub(in super::super::super) const LOOPBACK: u16 = 772;
    /// Those whose packets begin with their IP header: PPP (the kernel takes its header off), IP in IP, IPv6 in IP,
    /// 6in4, RAWIP, GRE over IPv4 and IPv6, none at all (tun, WireGuard).
    pub(in super::super::super) const BARE: [u16; 8] = [512, 768, 769, 776, 519, 778, 823, 0xfffe];
    /// No kind: nobody's.
    pub(in super::super::super) const NONE: u16 = 0xffff;
}

/// Where the packets of an interface of this kind are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Start {
    /// From the link header on, which is of this type.
    Link(LinkType),
    /// From the network header on: the link header is not one that we read.
    Network,
}

/// What the packets of an interface begin with, by its `ARPHRD_*` number.
pub(in super::super) fn start(hatype: u16) -> Start {
    let link = match hatype {
        arphrd::ETHER | arphrd::LOOPBACK => LinkType::ETHERNET,
        kind if arphrd::BARE.contains(&kind) => LinkType::RAW,
        // Experimental Ethernet and Metricom STRIP have Ethernet's header.
        2 | 23 => LinkType::ETHERNET,
        // Linux ARCNET.
        7 => LinkType(129),
        // Frame Relay: a DLCI's and its access device's.
        15 | 770 => LinkType(107),
        // CAN, with its frame as SocketCAN has it.
        280 => LinkType(227),
        // Cisco HDLC.
        513 => LinkType(104),
        // FDDI, Token Ring.
        774 => LinkType(10),
        800 => LinkType(6),
        // IEEE 802.11: bare, behind a Prism header, behind a radiotap header.
        801 => LinkType(105),
        802 => LinkType(119),
        803 => LinkType(127),
        // IEEE 802.15.4, without its checksum.
        804 | 805 => LinkType(230),
        // Netlink and vsock monitors.
        824 => LinkType(253),
        826 => LinkType(271),
        _ => return Start::Network,
    };
    Start::Link(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_types_follow_the_kind_of_interface() {
        let raw = Start::Link(LinkType::RAW);
        assert_eq!(start(1), Start::Link(LinkType::ETHERNET));
        assert_eq!(start(772), Start::Link(LinkType::ETHERNET));
        assert_eq!((start(0xfffe), start(776), start(512)), (raw, raw, raw));
        assert_eq!(start(803), Start::Link(LinkType(127)));
        assert_eq!(start(32), Start::Network, "InfiniBand");
    }
}
