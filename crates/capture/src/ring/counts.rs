//! What the kernel has counted instead of putting it into the ring.

use std::hint::black_box;

use dissect::{KernelCount, LinkType, Packet, SettledCount, TcpFlags, Timestamp, Unread, Way};

use super::block;
use super::late::Entry;
use super::link::{self, Start};
use super::{Error, RingSource};

/// Packets that were counted in the kernel since the last call.
#[derive(Debug, Default)]
pub struct KernelCounts {
    /// The number of its interface, and what its packets begin with.
    entries: Vec<(Entry, u32, Start)>,
    offset: i64,
    unplaced: Vec<Unplaced>,
}

/// Packets that were counted by interface only: there was no place for more five-tuples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unplaced {
    /// Index into [`crate::Batch::interfaces`].
    pub interface: u32,
    /// How many.
    pub packets: u64,
    /// Their wire lengths.
    pub frame_bytes: u64,
}

impl KernelCounts {
    /// What was counted by five-tuple or EtherType, in the order of first packets, nearly.
    pub fn counts(&self) -> impl Iterator<Item = KernelCount<'_>> {
        self.entries.iter().map(|(entry, interface, start)| count(entry, *interface, *start, self.offset))
    }

    /// What was counted by interface only.
    pub fn unplaced(&self) -> &[Unplaced] {
        &self.unplaced
    }
}

fn count(entry: &Entry, interface: u32, start: Start, offset: i64) -> KernelCount<'_> {
    let at = |nanoseconds: i64| Timestamp(nanoseconds.saturating_add(offset));
    let (first, last) = entry.span();
    let (link_type, bytes) = match start {
        Start::Link(link_type) => (link_type, entry.sample()),
        Start::Network => (LinkType::RAW, &[][..]),
    };
    let first = Packet {
        timestamp: at(first),
        link_type,
        wire_len: entry.wire_len(),
        bytes,
        interface,
        vlan_tci: entry.vlan_tci(),
        direction: block::direction(entry.pkt_type()),
    };
    KernelCount {
        first,
        last: at(last),
        packets: entry.packets(),
        ip_bytes: entry.ip_bytes(),
        frame_bytes: entry.bytes(),
        is_flow: entry.is_ip(),
        ether_type: entry.ether_type(),
        tcp_flags: TcpFlags(entry.tcp_flags()),
        split: entry.split(),
        prints: entry.prints(),
    }
}

impl RingSource {
    /// Whether packets were counted in the kernel that were not taken yet.
    pub fn has_counted(&self) -> bool {
        self.late.as_ref().is_some_and(super::late::Late::has_counted)
    }

    /// Whether they should be taken soon, lest further five-tuples find no place.
    pub fn is_counting_much(&self) -> bool {
        self.late.as_ref().is_some_and(super::late::Late::is_nearly_full)
    }

    /// Takes what was counted in the kernel; nothing is left behind once the ring has been stopped and is empty.
    ///
    /// # Errors
    /// If interfaces cannot be asked for.
    pub fn take_counts(&mut self) -> Result<KernelCounts, Error> {
        let Some(late) = self.late.as_mut().filter(|late| late.has_counted()) else {
            return Ok(KernelCounts::default());
        };
        let taken = late.take();
        let mut counts = KernelCounts { offset: taken.offset, ..KernelCounts::default() };
        let mut totals = self.totals.get();
        for entry in taken.entries.into_iter().filter(|entry| entry.packets() > 0) {
            totals.counted += entry.packets();
            let (interface, start) = self.interface_of(entry.ifindex())?;
            counts.entries.push((entry, interface, start));
        }
        for (ifindex, packets, frame_bytes) in taken.rests {
            let Some(ifindex) = ifindex else {
                // Nobody knows on which interface it was.
                (totals.seen, totals.dropped) = (totals.seen + packets, totals.dropped + packets);
                continue;
            };
            totals.counted += packets;
            let (interface, _) = self.interface_of(ifindex)?;
            counts.unplaced.push(Unplaced { interface, packets, frame_bytes });
        }
        self.totals.set(totals);
        Ok(counts)
    }

    /// Has the kernel count packets that pass this way: those that are `unread` do not go into the ring any more. Of TCP, once
    /// all before has been read: see [`Self::count_streams`].
    ///
    /// All may go on as before: where the kernel does not count, or has no place for more flows.
    pub fn settle(&mut self, way: Way, unread: Unread) {
        if let (Some(late), Some(ifindex)) = (&mut self.late, self.known.ifindex(way.interface as usize)) {
            // What is in the ring, and in the block that is being filled.
            let since = self.given_back + self.blocks.full(self.at) as u64 + 1;
            late.settle(way, ifindex, unread, since);
        }
    }

    /// Has segments of TCP counted that come behind all that was lent; `next` says where that is: the sequence number behind
    /// the last byte of a flow, if these still need not be seen.
    pub fn count_streams(&mut self, next: impl FnMut(&Way, Unread) -> Option<u32>) {
        if let Some(late) = &mut self.late {
            late.count_streams(self.given_back, next);
        }
    }

    /// Reads what [`Self::settle`] will change of all these ways, so that the cache misses of many overlap.
    pub fn read_ahead<'w>(&self, ways: impl Iterator<Item = &'w Way>) {
        let Some(late) = &self.late else { return };
        let warm = |way: &Way| {
            let ifindex = self.known.ifindex(way.interface as usize);
            ifindex.map_or(0, |ifindex| late.warm(way, ifindex))
        };
        black_box(ways.fold(0, |read, way| read ^ warm(way)));
    }

    /// Has them go into the ring again, if they do not.
    pub fn unsettle(&mut self, way: &Way) {
        if let (Some(late), Some(ifindex)) = (&mut self.late, self.known.ifindex(way.interface as usize)) {
            late.unsettle(way, ifindex);
        }
    }

    /// The same of all flows.
    pub fn unsettle_all(&mut self) {
        if let Some(late) = &mut self.late {
            late.unsettle_all(None);
        }
    }

    /// Hands `to` what was counted of such flows since the last call; nothing is left behind once the ring has been stopped
    /// for some microseconds.
    pub fn take_settled(&mut self, mut to: impl FnMut(&SettledCount)) {
        let Some(late) = &mut self.late else { return };
        let mut totals = self.totals.get();
        late.take_settled(|count| {
            totals.counted += count.packets;
            to(count);
        });
        self.totals.set(totals);
    }

    /// The number of an interface, which may be a new one, and what its packets begin with.
    fn interface_of(&mut self, ifindex: u32) -> Result<(u32, Start), Error> {
        if let Some(known) = self.known.latest(ifindex) {
            return Ok((known.number, known.start));
        }
        let link = |source: &Self| {
            let link = source.links.get(ifindex).or_else(|| source.links.departed(ifindex));
            link.map(|link| link.hatype)
        };
        if link(self).is_none() {
            self.heed_links()?;
        }
        let hatype = link(self).unwrap_or(link::arphrd::NONE);
        let number = self.welcome(ifindex, hatype)?;
        Ok((number, link::start(hatype)))
    }
}
