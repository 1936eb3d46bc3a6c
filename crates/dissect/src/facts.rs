//! The words dissectors speak: packets, addresses, what a header said, why reading ended.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::packet::Claim;

/// Nanoseconds since the Unix epoch, as the source stamped the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Of a packet that its source does not stamp, as pcapng's simple packets. No stamped one is as early.
    pub const UNKNOWN: Self = Self(i64::MIN);
}

/// LINKTYPE_ value (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: a 4-byte address family in the capturing host's byte order.
    pub const NULL: Self = Self(0);
    /// IEEE 802.3, from the destination address on.
    pub const ETHERNET: Self = Self(1);
    /// An IPv4 or IPv6 header, told apart by its version.
    pub const RAW: Self = Self(101);
}

/// Which way a packet passed the interface that saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub enum Direction {
    /// The source does not say.
    #[default]
    Unknown,
    /// Towards this host.
    Inbound,
    /// From this host.
    Outbound,
}

/// One captured packet, borrowed from the ring or file buffer.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// When it was captured.
    pub timestamp: Timestamp,
    /// What `bytes` begins with.
    pub link_type: LinkType,
    /// Length on the wire, in bytes; `bytes` may be shorter (snaplen).
    pub wire_len: u32,
    /// What was captured.
    pub bytes: &'a [u8],
    /// Number of the interface, within the source.
    pub interface: u32,
    /// The VLAN tag that the kernel took out of the frame, if any.
    pub vlan_tci: Option<u16>,
    /// Which way it passed the interface.
    pub direction: Direction,
}

/// Packets of one interface and direction that have their outermost five-tuple in common, or only an EtherType: counted
/// where they passed, and not kept.
#[derive(Clone, Copy, Debug)]
pub struct KernelCount<'a> {
    /// The first of them: when it passed, how long it was, how it began; no bytes where its link header is not read.
    pub first: Packet<'a>,
    /// When the last of them passed.
    pub last: Timestamp,
    /// How many; 0 for none.
    pub packets: u64,
    /// Their IP bytes, as [`Ip::bytes`]; 0 where no IP header was read.
    pub ip_bytes: u64,
    /// Their wire lengths.
    pub frame_bytes: u64,
    /// Whether they have a five-tuple in common; of fragments, the datagram, too.
    pub is_flow: bool,
    /// The EtherType, as far as it is known.
    pub ether_type: u16,
    /// The flags of all their TCP headers.
    pub tcp_flags: TcpFlags,
    /// How many more they become where an interface splits them itself.
    pub split: u64,
    /// What the second to fourth of them keep on their way, in a number, by which they are known on other interfaces; 0 where
    /// there is none.
    pub prints: [u32; 3],
}

/// The packets of a five-tuple that pass an interface in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Number of the interface, within the source.
    pub interface: u32,
    /// As they were sent.
    pub tuple: FiveTuple,
    /// Which way they pass the interface.
    pub direction: Direction,
}

/// Which packets of a flow are not read any more, and may be counted where they pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Datagrams that begin neither another opening nor a message; segments of TCP with ACK alone, without data, and with an
    /// open window.
    Nothing,
    /// Segments of TCP with data, ACK, neither SYN, FIN, RST nor URG, and an open window, that begin where the one before
    /// ended.
    Data,
}

/// Data of a flow was seen that is not counted where it passes: it does not go on where what was counted ended, or else says
/// more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Which way it passes.
    pub way: Way,
    /// What was counted before it since the last pause; `None` if nothing was.
    pub counted: Option<Stretch>,
    /// Nothing will be counted behind it.
    pub is_over: bool,
}

/// Data that was counted where it passed: a piece of a stream without a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Sequence number of its first byte.
    pub from: u32,
    /// Sequence number of the first byte behind it.
    pub next: u32,
    /// When the last of it passed.
    pub last: Timestamp,
}

/// Packets that were counted where they passed, because nobody would have read them.
#[derive(Clone, Copy, Debug)]
pub struct SettledCount {
    /// Whose they are.
    pub way: Way,
    /// When the last of them passed.
    pub last: Timestamp,
    /// How many; may be 0 where only bytes are new.
    pub packets: u64,
    /// Their IP bytes, as [`Ip::bytes`].
    pub ip_bytes: u64,
    /// Their wire lengths.
    pub frame_bytes: u64,
    /// How many more they become where an interface splits them itself.
    pub split: u64,
    /// What those repeat of the headers, in bytes.
    pub split_bytes: u64,
    /// What the first ones keep on their way, as in [`KernelCount`].
    pub prints: [u32; 4],
}

/// One end of a flow. The port is 0 for protocols without ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Its address.
    pub addr: IpAddr,
    /// Its port.
    pub port: u16,
}

/// Five-tuple as seen on the wire: direction kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FiveTuple {
    /// Sender.
    pub src: Endpoint,
    /// Receiver.
    pub dst: Endpoint,
    /// IANA protocol number.
    pub protocol: u8,
}

/// A piece of an IP packet (RFC 791, section 3.2; RFC 8200, section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Where the piece stands in the whole payload, in bytes.
    pub offset: u16,
    /// More pieces follow.
    pub more: bool,
}

/// What one IP header, its extension headers and the ports behind them said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Source address; an IPv4 address is its 32 bits.
    pub src: u128,
    /// Destination address, likewise.
    pub dst: u128,
    /// Source port; 0 where there is none.
    pub src_port: u16,
    /// Destination port; 0 where there is none.
    pub dst_port: u16,
    /// IP bytes: IPv4 total length, IPv6 40 + payload length, or the rest of
    /// the packet on the wire where that is 0 (segmentation offload, RFC 2675).
    pub bytes: u32,
    /// Where the header begins, in bytes from the start of the packet.
    pub at: u16,
    /// Upper-layer protocol (IANA number), behind extension headers.
    pub protocol: u8,
    /// 4 or 6.
    pub version: u8,
    /// Present when this is not a whole packet.
    pub fragment: Option<Fragment>,
}

impl Ip {
    /// Source address.
    pub fn source(&self) -> IpAddr {
        address(self.version, self.src)
    }

    /// Destination address.
    pub fn destination(&self) -> IpAddr {
        address(self.version, self.dst)
    }

    /// Addresses, ports and protocol, in the direction of the packet.
    pub fn five_tuple(&self) -> FiveTuple {
        FiveTuple {
            src: Endpoint { addr: self.source(), port: self.src_port },
            dst: Endpoint { addr: self.destination(), port: self.dst_port },
            protocol: self.protocol,
        }
    }
}

fn address(version: u8, bits: u128) -> IpAddr {
    if version == 4 {
        IpAddr::V4(Ipv4Addr::from_bits(bits as u32))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(bits))
    }
}

/// TCP flag bits (RFC 9293, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment field counts.
    pub const ACK: u8 = 0x10;

    /// Whether any of `bits` is set.
    #[inline]
    pub fn has(self, bits: u8) -> bool {
        self.0 & bits != 0
    }
}

/// What one TCP header said (RFC 9293, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tcp {
    /// Sequence number of the first payload byte, or of SYN.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// Window, not scaled.
    pub window: u16,
    /// Flags.
    pub flags: TcpFlags,
    /// Payload length on the wire, in bytes, from the IP header's account.
    pub payload_len: u32,
}

/// Type and code of an ICMP or ICMPv6 message (RFC 792; RFC 4443).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
}

/// Why dissection ended. Never an error: what was understood stays usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// Everything that a dissector knows was read.
    Complete,
    /// `layer` needed `need` bytes, `have` were captured.
    Truncated {
        /// Who ran out of bytes.
        layer: &'static str,
        /// How many it needed.
        need: usize,
        /// How many there were.
        have: usize,
    },
    /// `layer` found something that its specification rules out.
    Malformed {
        /// Who found it.
        layer: &'static str,
        /// What it was.
        reason: &'static str,
    },
    /// A header named what follows, and no dissector knows it.
    Unclaimed(Claim),
    /// More layers than any real packet has ([`crate::MAX_LAYERS`]).
    TooDeep,
}
