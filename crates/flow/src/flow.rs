//! One flow: what packets change of it, in the order of how many do.

mod heed;
mod settled;

use dissect::{Icmp, Stretch, TcpFlags, Timestamp};

use self::heed::Heed;
use self::settled::Settled;
use crate::counters::Counters;
use crate::key::{FlowKey, Side};
use crate::tcp::{Course, Segment, TcpEvents, TcpFacts, TcpState};

/// The earliest and the latest time of packets, unless none of them had one.
pub(crate) fn span(first: Timestamp, last: Timestamp) -> Option<(Timestamp, Timestamp)> {
    (first <= last).then_some((first, last))
}

/// The end that the source of packets knows to be on its own host.
pub(crate) const LOCAL: [u8; 2] = [1, 2];

/// Cache lines of a flow.
pub(crate) const LINES: usize = 3;

/// One flow, in three cache lines.
///
/// The first two hold the key and what changes with every packet. The third holds what changes seldom, and is not read for
/// most packets: on a million flows, each line that is costs a wait for memory. Facts that few flows have stand in side
/// tables, by number.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Flow {
    /// Who talks to whom; of a flow that is gone, nobody ([`FlowKey::NOBODY`]).
    pub(crate) key: FlowKey,
    pub(crate) last: Timestamp,
    pub(crate) frame_bytes: [u64; 2],
    pub(crate) ip_bytes: [u64; 2],
    pub(crate) packets: [u64; 2],
    tcp: TcpState,
    pub(crate) heed: Heed,
    pub(crate) initiator: Side,
    /// Bits of [`LOCAL`].
    pub(crate) local: u8,
    pub(crate) first: Timestamp,
    tcp_events: TcpEvents,
    pub(crate) hash: u32,
    /// Number of what else is known of it ([`crate::store::More`]), +1; 0 for nothing.
    pub(crate) more: u32,
    pub(crate) interface: u16,
    pub(crate) icmp: Icmp,
    /// What the source was told to count itself.
    pub(crate) settled: Settled,
}

const _: () = assert!(size_of::<Flow>() == 192 && std::mem::offset_of!(Flow, first) == 128);

impl Flow {
    /// A flow that begins at `first` with a packet from `initiator`, not counted yet. Without a time, it begins later and ends
    /// earlier than any other, so that whatever has one decides.
    pub(crate) fn new(key: FlowKey, hash: u32, first: Timestamp, initiator: Side) -> Self {
        Flow {
            key,
            last: first,
            frame_bytes: [0; 2],
            ip_bytes: [0; 2],
            packets: [0; 2],
            first: if first == Timestamp::UNKNOWN { Timestamp(i64::MAX) } else { first },
            hash,
            more: 0,
            interface: 0,
            icmp: Icmp::default(),
            settled: Settled::default(),
            initiator,
            local: 0,
            heed: Heed::of(key.protocol()),
            tcp: TcpState::default(),
            tcp_events: TcpEvents::default(),
        }
    }

    /// What its TCP headers told; `None` where there was none.
    pub(crate) fn tcp(&self) -> Option<TcpFacts> {
        self.tcp.seen.began().then_some(TcpFacts { state: self.tcp, events: self.tcp_events })
    }

    /// Whether it is one, and not the place of one that is gone.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.key != FlowKey::NOBODY
    }

    /// Notes when a packet passed; gives whether it is earlier than all before. One without a time moves none.
    #[inline(always)]
    pub(crate) fn pass(&mut self, at: Timestamp) -> bool {
        if at < self.last {
            let is_earliest = at < self.first && at != Timestamp::UNKNOWN;
            if is_earliest {
                self.first = at;
            }
            is_earliest
        } else {
            self.last = at;
            false
        }
    }

    /// Time has begun, at `at`: a flow that began before it has none for its first packet.
    pub(crate) fn begin_untimed(&mut self, at: Timestamp) {
        if span(self.first, self.last).is_none() {
            (self.first, self.last) = (at, self.last.max(at));
        }
    }

    /// Whether bytes that `side` sent before others have not come yet.
    pub(crate) fn misses_earlier(&self, side: Side) -> bool {
        self.tcp.seen.misses_earlier(side)
    }

    /// Whether a TCP handshake was seen, or a part of one.
    pub(crate) fn began_here(&self) -> bool {
        self.tcp.seen.saw_syn()
    }

    /// Adds what one segment told; gives whether it is the SYN that the flow's first one answers. Where it begins another
    /// connection of the same five-tuple, that has an opening of its own.
    #[inline]
    pub(crate) fn observe_tcp(&mut self, side: Side, at: Timestamp, segment: &Segment) -> bool {
        match self.tcp.observe(&mut self.tcp_events, side, at, segment) {
            Course::On => return false,
            Course::Anew => self.heed.begin_again(),
            Course::Astray => self.heed.stray(),
            Course::Answered => return true,
        }
        false
    }

    /// Whether segments of TCP from `side` that carry nothing say nothing new any more.
    pub(crate) fn acknowledges(&self, side: Side) -> bool {
        self.tcp.seen.acknowledges(side)
    }

    /// Whether data of TCP from `side` says nothing new any more, but where the next begins.
    pub(crate) fn goes_on(&self, side: Side) -> bool {
        self.tcp.seen.goes_on(side)
    }

    /// The sequence number that the next data of `side` is to have, if there was any.
    pub(crate) fn next(&self, side: Side) -> Option<u32> {
        self.tcp.next(side)
    }

    /// Goes on behind data that was counted where it passed, once all before has been seen; gives whether it has.
    pub(crate) fn catch_up(&mut self, side: Side, stretch: &Stretch) -> bool {
        // Another connection has begun since.
        let Some(next) = self.next(side) else { return true };
        let ahead = stretch.from.wrapping_sub(next).cast_signed();
        if ahead == 0 {
            self.tcp.skip(side, stretch);
        }
        // What lies behind was another connection's.
        ahead <= 0
    }

    /// Whether `side` sent a SYN.
    pub(crate) fn asked(&self, side: Side) -> bool {
        self.tcp.seen.asked(side)
    }

    /// Notes that `side` sent these flags, in segments of which no more is known.
    pub(crate) fn note_tcp_flags(&mut self, side: Side, at: Timestamp, flags: TcpFlags) {
        self.tcp.note_end(&mut self.tcp_events, side, at, flags);
    }

    /// Where each of its cache lines begins.
    #[inline]
    pub(crate) fn lines(&self) -> [*const u8; LINES] {
        [(&raw const self.key).cast(), (&raw const self.ip_bytes[1]).cast(), (&raw const self.first).cast()]
    }

    /// Reads what most packets need of it ahead of its use.
    #[inline]
    pub(crate) fn warm(&self) -> u64 {
        self.frame_bytes[0] ^ self.packets[1]
    }

    /// Reads all of it ahead of its use.
    #[inline]
    pub(crate) fn warm_whole(&self) -> u64 {
        self.warm() ^ u64::from(self.hash)
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
        let is_earlier = part.first < self.first;
        // Interfaces may have clocks of their own: by these, the answer may come before what it answers.
        let asker = || {
            let (early, late) = if is_earlier { (part, &*self) } else { (&*self, part) };
            early.tcp.asker(&early.tcp_events, &late.tcp)
        };
        let asker = if part.interface == self.interface { None } else { asker() };
        if is_earlier {
            (self.first, self.initiator, self.icmp) = (part.first, part.initiator, part.icmp);
            self.interface = part.interface;
        }
        self.initiator = asker.unwrap_or(self.initiator);
        if of_tcp && part.tcp.seen.began() {
            (self.tcp, self.tcp_events) = (part.tcp, part.tcp_events);
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
        let mut tcp = TcpFacts { state: self.tcp, events: self.tcp_events };
        tcp.flip();
        (self.tcp, self.tcp_events) = (tcp.state, tcp.events);
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
