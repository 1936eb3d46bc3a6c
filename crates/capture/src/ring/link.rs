//! Which interfaces there are, what becomes of them, and what they have counted: rtnetlink (RFC 3549).
//!
//! Not handled: interfaces of other network namespaces; bridge ports as such.

use std::collections::BTreeMap;
use std::io;

use dissect::LinkType;

use super::sys::Socket;

/// `ARPHRD_*` numbers (`<linux/if_arp.h>`) that are spoken of elsewhere.
pub(super) mod arphrd {
    /// Ethernet.
    pub(in super::super) const ETHER: u16 = 1;
    /// Loopback, whose packets have an Ethernet header of zeros.
    pub(in super::super) const LOOPBACK: u16 = 772;
    /// Those whose packets begin with their IP header: PPP (the kernel takes its header off), IP in IP, IPv6 in IP,
    /// 6in4, RAWIP, GRE over IPv4 and IPv6, none at all (tun, WireGuard).
    pub(in super::super) const BARE: [u16; 8] = [512, 768, 769, 776, 519, 778, 823, 0xfffe];
    /// No kind: nobody's.
    pub(in super::super) const NONE: u16 = 0xffff;
}

/// Where the packets of an interface of this kind are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// From the link header on, which is of this type.
    Link(LinkType),
    /// From the network header on: the link header is not one that we read.
    Network,
}

/// What the packets of an interface begin with, by its `ARPHRD_*` number.
pub(super) fn start(hatype: u16) -> Start {
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

/// What happened to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkChange {
    /// Its name, now or last.
    pub name: String,
    /// Its number in the system (`ifindex`).
    pub ifindex: u32,
    /// What happened.
    pub kind: LinkChangeKind,
}

/// Kinds of [`LinkChange`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It was called so before.
    Renamed {
        /// The former name.
        from: String,
    },
    /// It was switched on.
    Up,
    /// It was switched off.
    Down,
}

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
pub(super) struct Link {
    pub(super) name: String,
    pub(super) hatype: u16,
    pub(super) up: bool,
    /// The longest packet that it sends, in bytes, without the link header; 0 if not known.
    mtu: u32,
    /// No software stands for a device: it has no kind (`ip -details link`).
    physical: bool,
}

impl Link {
    /// The longest IP packet that passes its wire, if it splits longer ones itself: what software does with them is seen
    /// as it is. A change of the MTU while its packets are captured is not followed.
    pub(super) fn splits_at(&self) -> Option<u32> {
        (self.physical && self.hatype == arphrd::ETHER && self.mtu > 0).then_some(self.mtu)
    }
}

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const NLM_F_DUMP_REQUEST: u16 = 0x301;
const RTMGRP_LINK: u32 = 1;
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
const MESSAGE: usize = 16;
/// `struct ifinfomsg`.
const INFO: usize = 16;
/// More than the kernel puts into one datagram of a dump (32 KiB).
const DATAGRAM: usize = 64 << 10;
/// What may wait unread, in bytes; more than a thousand interfaces at once make.
const QUEUE: i32 = 4 << 20;
/// How many interfaces are remembered that are gone.
const DEPARTED: usize = 256;
/// How long the kernel may take to answer: it answers before `send` returns, but for what does not fit the queue.
const TRIES: usize = 3;

/// The interfaces of a network namespace, kept up to date.
#[derive(Debug)]
pub(super) struct Links {
    /// Tells of changes.
    pub(super) news: Socket,
    /// Answers questions.
    questions: Socket,
    by_index: BTreeMap<u32, Link>,
    /// Those that are gone, while packets of theirs may still be unread.
    departed: BTreeMap<u32, Link>,
    changes: Vec<LinkChange>,
    buffer: Box<[u8]>,
}

impl Links {
    /// Opens the sockets; in the namespace that is to be watched.
    pub(super) fn sockets() -> io::Result<(Socket, Socket)> {
        let (news, questions) = (Socket::route()?, Socket::route()?);
        // Without the privilege the queue stays as it is, and what is lost of it is asked for again.
        let _ = news.set_queue(QUEUE);
        news.bind_netlink(RTMGRP_LINK)?;
        questions.bind_netlink(0)?;
        Ok((news, questions))
    }

    /// Takes stock. What stands at first is no change.
    pub(super) fn watch((news, questions): (Socket, Socket)) -> io::Result<Self> {
        let buffer = vec![0; DATAGRAM].into_boxed_slice();
        let (by_index, departed) = (BTreeMap::new(), BTreeMap::new());
        let mut links = Self { news, questions, by_index, departed, changes: Vec::new(), buffer };
        links.take_stock()?;
        links.changes.clear();
        Ok(links)
    }

    /// Every interface, by number.
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, &Link)> {
        self.by_index.iter().map(|(&number, link)| (number, link))
    }

    /// One interface.
    pub(super) fn get(&self, ifindex: u32) -> Option<&Link> {
        self.by_index.get(&ifindex)
    }

    /// One that is gone.
    pub(super) fn departed(&self, ifindex: u32) -> Option<&Link> {
        self.departed.get(&ifindex)
    }

    /// What has changed since the last call.
    pub(super) fn take_changes(&mut self) -> Vec<LinkChange> {
        std::mem::take(&mut self.changes)
    }

    /// Reads what is new, without waiting.
    pub(super) fn update(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut lost = false;
        let result = loop {
            match self.read_news(&mut buffer) {
                // The queue was full. What still waits in it is older than what was lost.
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => lost = true,
                other => break other,
            }
        };
        self.buffer = buffer;
        result?;
        if lost { self.take_stock() } else { Ok(()) }
    }

    fn read_news(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        while let Some(len) = self.news.receive(buffer)? {
            for message in Messages(buffer.get(..len).unwrap_or_default()) {
                match (message.kind, LinkMessage::of(message.body)) {
                    (RTM_NEWLINK, Some(link)) => self.apply(link.ifindex, link.link()),
                    (RTM_DELLINK, Some(link)) => self.remove(link.ifindex),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Asks for all interfaces and notes what is different from what was known.
    fn take_stock(&mut self) -> io::Result<()> {
        let mut now = BTreeMap::new();
        self.ask(|link| {
            now.insert(link.ifindex, link.link());
        })?;
        let gone: Vec<u32> = self.by_index.keys().filter(|k| !now.contains_key(k)).copied().collect();
        for number in gone {
            self.remove(number);
        }
        for (number, link) in now {
            self.apply(number, link);
        }
        Ok(())
    }

    fn apply(&mut self, ifindex: u32, link: Link) {
        let mut note = |kind| self.changes.push(LinkChange { name: link.name.clone(), ifindex, kind });
        match self.by_index.get(&ifindex) {
            None => {
                note(LinkChangeKind::Added);
                if link.up {
                    note(LinkChangeKind::Up);
                }
            }
            Some(old) => {
                if old.name != link.name {
                    note(LinkChangeKind::Renamed { from: old.name.clone() });
                }
                if old.up != link.up {
                    note(if link.up { LinkChangeKind::Up } else { LinkChangeKind::Down });
                }
            }
        }
        self.by_index.insert(ifindex, link);
    }

    fn remove(&mut self, ifindex: u32) {
        if let Some(link) = self.by_index.remove(&ifindex) {
            let name = link.name.clone();
            self.changes.push(LinkChange { name, ifindex, kind: LinkChangeKind::Removed });
            if self.departed.len() == DEPARTED {
                self.departed.pop_first();
            }
            self.departed.insert(ifindex, link);
        }
    }

    /// What every interface has counted by now.
    pub(super) fn counters(&mut self) -> io::Result<Vec<InterfaceCounters>> {
        let mut all = Vec::new();
        self.ask(|link| all.push(link.counters()))?;
        Ok(all)
    }

    /// Asks for all interfaces (RTM_GETLINK).
    fn ask(&mut self, mut each: impl FnMut(LinkMessage<'_>)) -> io::Result<()> {
        let mut request = Vec::with_capacity(MESSAGE + INFO);
        request.extend(((MESSAGE + INFO) as u32).to_ne_bytes());
        request.extend(RTM_GETLINK.to_ne_bytes());
        request.extend(NLM_F_DUMP_REQUEST.to_ne_bytes());
        request.resize(MESSAGE + INFO, 0);
        // What is left of a question that was not answered to the end.
        while self.questions.receive(&mut self.buffer)?.is_some() {}
        self.questions.send(&request)?;
        let mut tries = 0;
        loop {
            let Some(len) = self.questions.receive(&mut self.buffer)? else {
                tries += 1;
                if tries == TRIES {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                std::thread::yield_now();
                continue;
            };
            for message in Messages(self.buffer.get(..len).unwrap_or_default()) {
                match message.kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => {
                        let code = i32_at(message.body, 0).unwrap_or_default();
                        return Err(io::Error::from_raw_os_error(-code));
                    }
                    RTM_NEWLINK => LinkMessage::of(message.body).into_iter().for_each(&mut each),
                    _ => {}
                }
            }
        }
    }
}

/// The netlink messages of a datagram.
struct Messages<'a>(&'a [u8]);

struct Message<'a> {
    kind: u16,
    body: &'a [u8],
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
struct LinkMessage<'a> {
    hatype: u16,
    ifindex: u32,
    flags: u32,
    mtu: u32,
    has_kind: bool,
    name: &'a [u8],
    /// `struct rtnl_link_stats64`.
    counters: &'a [u8],
}

impl<'a> LinkMessage<'a> {
    /// `None` for what is not about an interface itself, but say its place in a bridge.
    fn of(body: &'a [u8]) -> Option<Self> {
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

    fn link(&self) -> Link {
        let (up, physical) = (self.flags & IFF_UP != 0, !self.has_kind);
        Link { name: self.name(), hatype: self.hatype, up, mtu: self.mtu, physical }
    }

    fn counters(&self) -> InterfaceCounters {
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

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
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
