//! Packets that wait to be added to their flows together.

use dissect::{Direction, Icmp, LinkType, Packet, Timestamp};

use crate::flow::LOCAL;
use crate::key::{FlowKey, Side};
use crate::path::Unprinted;
use crate::tcp::Segment;

/// Packets that are taken together: the reads of memory that a processor keeps track of at once, and then some.
pub(super) const GROUP: usize = 32;

/// What one packet adds to its flow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Observation<'a> {
    pub(crate) key: FlowKey,
    pub(crate) at: Timestamp,
    /// What was captured of the payload of a whole TCP or UDP packet.
    pub(crate) payload: &'a [u8],
    /// The whole packet, in live captures and where `enclosed` says what it begins with.
    pub(crate) bytes: &'a [u8],
    pub(crate) segment: Segment,
    /// TCP acknowledgement number, in live captures.
    pub(crate) ack: u32,
    pub(crate) hash: u32,
    pub(crate) ip_bytes: u32,
    pub(crate) frame_bytes: u32,
    pub(crate) interface: u16,
    /// Where the flow's IP header begins in `bytes`, in live captures.
    pub(crate) ip_at: u16,
    pub(crate) side: Side,
    /// Bits of [`LOCAL`].
    pub(crate) local: u8,
    /// The protocol of a message that was read in it, if any was.
    pub(crate) spoken: Option<&'static str>,
    /// Where tunnels enclose the flow: if the packet begins it or ends a name, their headers are read from `bytes`.
    enclosed: Option<LinkType>,
    pub(crate) icmp: Icmp,
}

impl<'a> Observation<'a> {
    /// Notes which way the packet passed its interface; `side` must be known.
    #[inline]
    pub(crate) fn note_direction(&mut self, direction: Direction) {
        self.local = match direction {
            Direction::Unknown => 0,
            Direction::Outbound => LOCAL[self.side.index()],
            Direction::Inbound => LOCAL[self.side.other().index()],
        };
    }

    /// Notes that headers of `packet` enclose the flow.
    pub(crate) fn enclose(&mut self, packet: &Packet<'a>) {
        (self.enclosed, self.bytes) = (Some(packet.link_type), packet.bytes);
    }

    /// The packet, if headers enclose the flow.
    pub(crate) fn enclosing(&self) -> Option<(LinkType, &'a [u8])> {
        self.enclosed.map(|link_type| (link_type, self.bytes))
    }

    /// What the packet may leave a print of, in a live capture.
    #[inline]
    pub(crate) fn unprinted(&self) -> Unprinted<'a> {
        let stream = u64::from(self.segment.seq) << 32 | u64::from(self.ack);
        Unprinted {
            bytes: self.bytes,
            at: self.ip_at,
            version: self.key.version(),
            protocol: self.key.protocol(),
            stream: self.segment.is_some().then_some(stream),
        }
    }
}

/// Packets that wait to be added together.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    observations: [Observation<'a>; GROUP],
    len: usize,
    /// Those of which more is written down than of every packet, by bit.
    rare: u32,
}

const _: () = assert!(GROUP <= u32::BITS as usize);

impl Default for Group<'_> {
    fn default() -> Self {
        Group { observations: [Observation::default(); GROUP], len: 0, rare: 0 }
    }
}

impl<'a> Group<'a> {
    /// The place for the next packet's observation, of which nothing is set that not every packet has.
    #[inline]
    pub(super) fn place(&mut self) -> &mut Observation<'a> {
        &mut self.observations[self.len % GROUP]
    }

    /// Has the observation that was written last wait.
    #[inline]
    pub(crate) fn keep(&mut self) {
        self.len += 1;
    }

    /// The same of one of which more is written down than of every packet.
    #[inline]
    pub(crate) fn keep_rare(&mut self) {
        self.rare |= 1 << (self.len % GROUP);
        self.len += 1;
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.len == GROUP
    }

    /// Those that wait.
    pub(super) fn waiting(&self) -> &[Observation<'a>] {
        self.observations.get(..self.len).unwrap_or_default()
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.len = 0;
        while self.rare != 0 {
            self.observations[self.rare.trailing_zeros() as usize % GROUP] = Observation::default();
            self.rare &= self.rare - 1;
        }
    }
}
