//! One flow's counters: what every packet touches, and nothing else.

use dissect::{Icmp, Tcp, TcpFlags, Timestamp};

use crate::key::{FlowKey, Side};
use crate::tcp::TcpState;

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// IP bytes: IPv4 total length; IPv6 40 + payload length.
    pub ip_bytes: u64,
    /// Bytes on the wire, from the link header on.
    pub frame_bytes: u64,
}

impl std::ops::AddAssign for Counters {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.ip_bytes += other.ip_bytes;
        self.frame_bytes += other.frame_bytes;
    }
}

impl std::ops::Add for Counters {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

/// The end that the source of packets knows to be on its own host.
pub(crate) const LOCAL: [u8; 2] = [1, 2];

/// One flow, in three cache lines.
///
/// The first holds the key and what changes with every packet, the second the
/// rest of the counters, the third what only TCP needs. Facts that few flows
/// have stand in side tables, by number.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Flow {
    /// Who talks to whom.
    pub(crate) key: FlowKey,
    pub(crate) last: Timestamp,
    pub(crate) frame_bytes: [u64; 2],
    pub(crate) ip_bytes: [u64; 2],
    pub(crate) packets: [u64; 2],
    pub(crate) first: Timestamp,
    pub(crate) hash: u32,
    /// Number of its enclosing headers, +1; 0 for none.
    pub(crate) tunnels: u32,
    pub(crate) interface: u16,
    pub(crate) icmp: Icmp,
    pub(crate) initiator: Side,
    /// Bits of [`LOCAL`].
    pub(crate) local: u8,
    pub(crate) in_use: bool,
    tcp: TcpState,
}

impl Flow {
    /// A flow that begins at `first` with a packet from `initiator`, not counted yet.
    pub(crate) fn new(key: FlowKey, hash: u32, first: Timestamp, initiator: Side) -> Self {
        Flow {
            key,
            last: first,
            frame_bytes: [0; 2],
            ip_bytes: [0; 2],
            packets: [0; 2],
            first,
            hash,
            tunnels: 0,
            interface: 0,
            icmp: Icmp::default(),
            initiator,
            local: 0,
            in_use: true,
            tcp: TcpState::default(),
        }
    }

    /// What its TCP headers told; `None` where there was none.
    pub(crate) fn tcp(&self) -> Option<&TcpState> {
        self.tcp.began().then_some(&self.tcp)
    }

    /// Adds what one TCP header told.
    #[inline]
    pub(crate) fn observe_tcp(&mut self, side: Side, at: Timestamp, tcp: &Tcp) {
        self.tcp.observe(side, at, tcp);
    }

    /// Notes that `side` sent these flags, in segments of which no more is known.
    pub(crate) fn note_tcp_flags(&mut self, side: Side, at: Timestamp, flags: TcpFlags) {
        self.tcp.note_end(side, at, flags);
    }

    /// Reads a line of it ahead of its use.
    #[inline]
    pub(crate) fn warm(&self) -> u64 {
        self.frame_bytes[0] ^ self.first.0 as u64 ^ u64::from(self.tcp.retransmits(Side::Low))
    }

    /// What `side` sent.
    pub(crate) fn sent(&self, side: Side) -> Counters {
        let i = side.index();
        Counters { packets: self.packets[i], ip_bytes: self.ip_bytes[i], frame_bytes: self.frame_bytes[i] }
    }

    /// What both sides sent.
    pub(crate) fn total(&self) -> Counters {
        self.sent(Side::Low) + self.sent(Side::High)
    }

    /// Takes over what another part of the same flow knows, but not what it counted; of TCP only if so told.
    pub(crate) fn learn(&mut self, part: &Flow, of_tcp: bool) {
        if part.first < self.first {
            (self.first, self.initiator, self.icmp) = (part.first, part.initiator, part.icmp);
            self.interface = part.interface;
        }
        if of_tcp && part.tcp.began() {
            self.tcp = part.tcp;
        }
        self.last = self.last.max(part.last);
        self.local |= part.local;
    }

    /// Sets what each side sent, by its index.
    pub(crate) fn count(&mut self, sent: impl Fn(usize) -> Counters) {
        for i in 0..2 {
            let sent = sent(i);
            self.packets[i] = sent.packets;
            self.ip_bytes[i] = sent.ip_bytes;
            self.frame_bytes[i] = sent.frame_bytes;
        }
    }

    /// Exchanges the sides: those of another key, in which they sort the other way round.
    pub(crate) fn flip(&mut self) {
        self.initiator = self.initiator.other();
        self.local = (self.local & LOCAL[0]) << 1 | (self.local & LOCAL[1]) >> 1;
        self.frame_bytes.reverse();
        self.ip_bytes.reverse();
        self.packets.reverse();
        self.tcp.flip();
    }

    /// Whether the source of packets knew the end on `side` to be on its own host.
    pub(crate) fn knows_local(&self, side: Side) -> bool {
        self.local & LOCAL[side.index()] != 0
    }

    /// Adds what another part of the same flow counted.
    pub(crate) fn absorb(&mut self, part: &Flow) {
        self.learn(part, true);
        for i in 0..2 {
            self.packets[i] += part.packets[i];
            self.ip_bytes[i] += part.ip_bytes[i];
            self.frame_bytes[i] += part.frame_bytes[i];
        }
    }

    /// Sets the counters back: what was counted so far has been handed on.
    pub(crate) fn clear_counters(&mut self) {
        (self.packets, self.ip_bytes, self.frame_bytes) = ([0; 2], [0; 2], [0; 2]);
    }
}

const _: () = assert!(size_of::<Flow>() == 192);
