//! What the kernel says of an interface: rtnetlink's messages (RFC 3549).

use super::arphrd;

const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINKINFO: u16 = 18;
/// Within [`IFLA_LINKINFO`], where a network card's place in a bridge may stand, too.
const IFLA_INFO_KIND: u16 = 1;
const IFLA_STATS64: u16 = 23;
/// The bits of an attribute's kind that are none (`NLA_TYPE_MASK`).
const NESTED: u16 = 0xc000;
const IFF_UP: u32 = 1;
const AF_UNSPEC: u8 = 0;
/// `struct nlmsghdr`.
pub(super) const MESSAGE: usize = 16;
/// `struct ifinfomsg`.
pub(super) const INFO: usize = 16;

/// What an interface has counted since it was made (`struct rtnl_link_stats64`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounters {
    /// Its name.
    pub name: String,
    /// Its number in the system (`ifindex`).
    pub ifindex: u32,
    /// Its index into [`crate::Batch::interfaces`], once a packet of it was seen.
    pub interface: Option<u32>,
    /// Whether it is a loopback: what it sends it also receives, and only that counts here.
    pub loopback: bool,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received, as the driver counts: most count frames without their checksum, loopback begins
    /// behind the Ethernet header.
    pub rx_bytes: u64,
    /// Bytes sent, likewise.
    pub tx_bytes: u64,
    /// Bad packets received.
    pub rx_errors: u64,
    /// Packets that could not be sent.
    pub tx_errors: u64,
    /// Packets received and thrown away, for want of room among others.
    pub rx_dropped: u64,
    /// Packets thrown away instead of sent.
    pub tx_dropped: u64,
    /// Packets that the device had no room for.
    pub rx_missed: u64,
}

/// An interface as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Link {
    pub(in super::super) name: String,
    pub(in super::super) hatype: u16,
    pub(in super::super) up: bool,
    /// The longest packet that it sends, in bytes, without the link header; 0 if not known.
    mtu: u32,
    /// No software stands for a device: it has no kind (`ip -details link`).
    physical: bool,
}

impl Link {
    /// The longest IP packet that passes its wire, if it splits longer ones itself: what software does with them is seen
    /// as it is. A change of the MTU while its packets are captured is not followed.
    pub(in super::super) fn splits_at(&self) -> Option<u32> {
        (self.physical && self.hatype == arphrd::ETHER && self.mtu > 0).then_some(self.mtu)
    }
}

/// The netlink messages of a datagram.
pub(super) struct Messages<'a>(pub(super) &'a [u8]);

pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) body: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let len = u32_at(self.0, 0)? as usize;
        let message = Message { kind: u16_at(self.0, 4)?, body: self.0.get(MESSAGE..len)? };
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    }
}

/// `struct ifinfomsg` and what follows it.
#[derive(Clone, Copy)]
pub(super) struct LinkMessage<'a> {
    hatype: u16,
    pub(super) ifindex: u32,
    flags: u32,
    mtu: u32,
    has_kind: bool,
    name: &'a [u8],
    /// `struct rtnl_link_stats64`.
    counters: &'a [u8],
}

impl<'a> LinkMessage<'a> {
    /// `None` for what is not about an interface itself, but say its place in a bridge.
    pub(super) fn of(body: &'a [u8]) -> Option<Self> {
        if *body.first()? != AF_UNSPEC {
            return None;
        }
        let mut link = Self {
            hatype: u16_at(body, 2)?,
            ifindex: u32_at(body, 4)?,
            flags: u32_at(body, 8)?,
            mtu: 0,
            has_kind: false,
            name: &[],
            counters: &[],
        };
        for (kind, value) in Attributes(body.get(INFO..)?) {
            match kind {
                IFLA_IFNAME => link.name = value.split(|&b| b == 0).next().unwrap_or_default(),
                IFLA_MTU => link.mtu = u32_at(value, 0).unwrap_or_default(),
                IFLA_LINKINFO => link.has_kind = Attributes(value).any(|(kind, _)| kind == IFLA_INFO_KIND),
                IFLA_STATS64 => link.counters = value,
                _ => {}
            }
        }
        Some(link)
    }

    fn name(&self) -> String {
        String::from_utf8_lossy(self.name).into_owned()
    }

    pub(super) fn link(&self) -> Link {
        let (up, physical) = (self.flags & IFF_UP != 0, !self.has_kind);
        Link { name: self.name(), hatype: self.hatype, up, mtu: self.mtu, physical }
    }

    pub(super) fn counters(&self) -> InterfaceCounters {
        let count = |number: usize| {
            let bytes = self.counters.get(number * 8..).and_then(|b| b.first_chunk());
            bytes.map_or(0, |b| u64::from_ne_bytes(*b))
        };
        InterfaceCounters {
            name: self.name(),
            ifindex: self.ifindex,
            interface: None,
            loopback: self.hatype == arphrd::LOOPBACK,
            rx_packets: count(0),
            tx_packets: count(1),
            rx_bytes: count(2),
            tx_bytes: count(3),
            rx_errors: count(4),
            tx_errors: count(5),
            rx_dropped: count(6),
            tx_dropped: count(7),
            rx_missed: count(15),
        }
    }
}

/// Attributes (`struct rtattr`), one after the other: kind and value.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (len, kind) = (usize::from(u16_at(self.0, 0)?), u16_at(self.0, 2)?);
        let value = self.0.get(4..len)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & !NESTED, value))
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    u32_at(bytes, at).map(|word| word as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One attribute (`struct rtattr`).
    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut a = Vec::new();
        a.extend((value.len() as u16 + 4).to_ne_bytes());
        a.extend(kind.to_ne_bytes());
        a.extend(value);
        a.resize(a.len().next_multiple_of(4), 0);
        a
    }

    /// A message about interface 7, of `family`.
    fn message(kind: u16, family: u8, flags: u32, attributes: &[u8]) -> Vec<u8> {
        let mut m = Vec::new();
        m.extend((32 + attributes.len() as u32).to_ne_bytes());
        m.extend(kind.to_ne_bytes());
        m.extend([0; 10]);
        m.extend([family, 0]);
        m.extend(1_u16.to_ne_bytes());
        m.extend(7_u32.to_ne_bytes());
        m.extend(flags.to_ne_bytes());
        m.extend([0; 4]);
        m.extend(attributes);
        m
    }

    #[test]
    fn messages_are_taken_apart() {
        let stats: Vec<u8> = (100_u64..124).flat_map(u64::to_ne_bytes).collect();
        let mtu = attribute(4, &1500_u32.to_ne_bytes());
        let attributes = [attribute(3, b"eth0\0"), mtu, attribute(23, &stats)].concat();
        let bytes = [message(16, 0, 1, &attributes), message(17, 7, 0, &attribute(3, b"br\0"))].concat();
        let all: Vec<_> = Messages(&bytes).collect();
        assert_eq!((all.len(), all[0].kind, all[1].kind), (2, 16, 17));
        let link = LinkMessage::of(all[0].body).unwrap();
        assert_eq!(link.link(), Link { name: "eth0".into(), hatype: 1, up: true, mtu: 1500, physical: true });
        let counters = link.counters();
        assert_eq!(
            (counters.ifindex, counters.rx_packets, counters.tx_bytes, counters.rx_missed),
            (7, 100, 103, 115)
        );
        assert!(LinkMessage::of(all[1].body).is_none(), "leaving a bridge is not leaving");
    }

    #[test]
    fn network_cards_split_what_is_too_long_for_the_wire() {
        let splits_at = |info: &[u8]| {
            let attributes = [attribute(4, &1400_u32.to_ne_bytes()), attribute(18, info)].concat();
            let bytes = message(16, 0, 1, &attributes);
            LinkMessage::of(&bytes[16..]).unwrap().link().splits_at()
        };
        assert_eq!(splits_at(&[]), Some(1400));
        assert_eq!(splits_at(&attribute(4, b"bridge\0")), Some(1400), "a card in a bridge");
        assert_eq!(splits_at(&[attribute(1, b"veth\0"), attribute(4, b"bridge\0")].concat()), None);
        let loopback = Link { name: "lo".into(), hatype: 772, up: true, mtu: 65_536, physical: true };
        assert_eq!(loopback.splits_at(), None);
    }

    #[test]
    fn damaged_messages_end_the_reading() {
        let bytes = message(16, 0, 1, &attribute(3, b"eth0\0"));
        for end in 0..bytes.len() {
            assert!(Messages(&bytes[..end]).next().is_none());
        }
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0xff;
            Messages(&bad).filter_map(|m| LinkMessage::of(m.body)).for_each(|l| drop(l.link()));
        }
    }
}
