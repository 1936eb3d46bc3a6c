//! Packets that wait to be added to their flows together.

use std::ops::Range;

use dissect::{Direction, Icmp, LinkType, Packet, Timestamp};

use crate::flow::LOCAL;
use crate::key::{FlowKey, Side};
use crate::path::Unprinted;
use crate::tcp::Segment;

/// Packets that are taken a step further together: what they read is as much as a processor keeps track of at once.
const STEP: usize = 4;
/// So many packets come before a step is followed by the next, so that memory has brought what was asked for.
const LAG: usize = 16;
/// More than wait at once; a power of two.
const ROOM: usize = 64;

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

/// Packets on their way to their flows, the latest last: [`Tally::advance`](super::Tally) takes them there in steps.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    observations: [Observation<'a>; ROOM],
    /// Where their flows may be.
    guesses: [u32; ROOM],
    /// So many were written down since it was empty, …
    len: usize,
    /// … of so many the place in the index was asked for, …
    asked: usize,
    /// … of so many the flow, …
    guessed: usize,
    /// … and so many were added to it.
    added: usize,
    /// Those of which more is written down than of every packet, by bit.
    rare: u64,
}

const _: () = assert!(ROOM <= u64::BITS as usize);

/// Packets that are taken one step further, in three stages: the latest first.
pub(super) struct Stages {
    pub(super) ask: Range<usize>,
    pub(super) guess: Range<usize>,
    pub(super) add: Range<usize>,
}

impl Default for Group<'_> {
    fn default() -> Self {
        Group {
            observations: [Observation::default(); ROOM],
            guesses: [0; ROOM],
            len: 0,
            asked: 0,
            guessed: 0,
            added: 0,
            rare: 0,
        }
    }
}

impl<'a> Group<'a> {
    /// The place for the next packet's observation, of which nothing is set that not every packet has.
    #[inline]
    pub(crate) fn place(&mut self) -> &mut Observation<'a> {
        &mut self.observations[self.len % ROOM]
    }

    /// Has the observation that was written last wait.
    #[inline]
    pub(crate) fn keep(&mut self) {
        self.len += 1;
    }

    /// The same of one of which more is written down than of every packet.
    #[inline]
    pub(crate) fn keep_rare(&mut self) {
        self.rare |= 1 << (self.len % ROOM);
        self.len += 1;
    }

    /// Whether those that were written down last are to be taken further.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.len - self.asked == STEP
    }

    /// Whether none is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.added == self.len
    }

    /// Which packets are taken further next; they are from then on.
    pub(super) fn step(&mut self, is_last: bool) -> Stages {
        let lag = if is_last { 0 } else { LAG };
        let some = |from: usize, to: usize| from..to.min(from + STEP).max(from);
        let stages = Stages {
            ask: some(self.asked, self.len),
            guess: some(self.guessed, self.asked.min(self.len.saturating_sub(lag))),
            add: some(self.added, self.guessed.min(self.len.saturating_sub(2 * lag))),
        };
        (self.asked, self.guessed, self.added) = (stages.ask.end, stages.guess.end, stages.add.end);
        stages
    }

    /// Packets, and where their flows may be.
    #[inline]
    pub(super) fn some(&mut self, which: Range<usize>) -> (&[Observation<'a>], &mut [u32]) {
        // Steps never lie across the end.
        let start = which.start % ROOM;
        let places = start..start + which.len();
        let some = self.observations.get(places.clone()).unwrap_or_default();
        (some, self.guesses.get_mut(places).unwrap_or_default())
    }

    /// Forgets what was written down of some that were added.
    #[inline]
    pub(super) fn forget(&mut self, which: Range<usize>) {
        let start = which.start % ROOM;
        let these = (1_u64 << which.len()).wrapping_sub(1) << start;
        let mut rare = self.rare & these;
        self.rare &= !these;
        while rare != 0 {
            self.observations[rare.trailing_zeros() as usize % ROOM] = Observation::default();
            rare &= rare - 1;
        }
    }

    /// Begins anew, when it is empty.
    pub(super) fn restart(&mut self) {
        (self.len, self.asked, self.guessed, self.added) = (0, 0, 0, 0);
    }
}
