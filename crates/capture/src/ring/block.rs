//! One block of a TPACKET_V3 ring: packets, each behind its header (`<linux/if_packet.h>`).

use dissect::{Direction, Timestamp};

use super::filter::PACKET_OUTGOING;

/// `num_pkts`.
const COUNT_AT: usize = 12;
/// `offset_to_first_pkt`.
const FIRST_AT: usize = 16;
/// What a block begins with before its packets.
pub(super) const HEADER_OF_BLOCK: u64 = 48;
/// Where `struct sockaddr_ll` stands behind `struct tpacket3_hdr`.
const ADDRESS_AT: usize = 48;
/// The header and the address.
const HEADER: usize = 68;

const TP_STATUS_VLAN_VALID: u32 = 1 << 4;
const PACKET_MULTICAST: u8 = 2;

/// One packet of a block, as the kernel describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// When it passed.
    pub(super) timestamp: Timestamp,
    /// First byte of the link header, in the block.
    pub(super) start: u32,
    /// Bytes there.
    pub(super) captured: u32,
    /// Bytes that passed, without a tag that was taken out.
    pub(super) wire_len: u32,
    /// Bytes from the start to what the kernel takes for the network header.
    pub(super) network: u32,
    /// The tag that was taken out.
    pub(super) vlan_tci: Option<u16>,
    /// Number of the interface.
    pub(super) ifindex: u32,
    /// `ARPHRD_*` of the interface.
    pub(super) hatype: u16,
    /// Which way it passed.
    pub(super) direction: Direction,
}

/// Those packets of a block that were not looked at yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    /// Where the first one's header stands.
    at: usize,
    /// How many there are.
    left: u32,
}

impl Rest {
    pub(super) fn is_empty(self) -> bool {
        self.left == 0
    }
}

/// The packets of a block, in the order in which they came.
///
/// What the kernel writes is sound; still nothing outside the block is read, whatever stands in it.
#[derive(Debug)]
pub(super) struct Slots<'a> {
    block: &'a [u8],
    rest: Rest,
}

impl<'a> Slots<'a> {
    pub(super) fn of(block: &'a [u8]) -> Self {
        let word = |at| u32_at(block, at).unwrap_or_default();
        Self::from(block, Rest { at: word(FIRST_AT) as usize, left: word(COUNT_AT) })
    }

    /// Goes on where another one, of the same block, had so many left.
    pub(super) fn from(block: &'a [u8], rest: Rest) -> Self {
        Self { block, rest }
    }

    /// What is still to be looked at.
    pub(super) fn rest(&self) -> Rest {
        self.rest
    }
}

impl Iterator for Slots<'_> {
    type Item = Slot;

    #[inline]
    fn next(&mut self) -> Option<Slot> {
        let Rest { at, left } = self.rest;
        // Behind what does not lie in the block is nothing.
        self.rest.left = 0;
        let left = left.checked_sub(1)?;
        let header: &[u8; HEADER] = self.block.get(at..)?.first_chunk()?;
        let (slot, next) = read(header, at);
        let end = slot.start as usize + slot.captured as usize;
        if end > self.block.len() {
            return None;
        }
        self.rest = Rest { at: at + next, left: if next == 0 { 0 } else { left } };
        Some(slot)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.rest.left as usize))
    }
}

/// Which way a packet passed that is addressed so (`PACKET_HOST`, …).
#[inline]
pub(super) fn direction(pkt_type: u8) -> Direction {
    match pkt_type {
        kind if u32::from(kind) == PACKET_OUTGOING => Direction::Outbound,
        0..=PACKET_MULTICAST => Direction::Inbound,
        _ => Direction::Unknown,
    }
}

/// The slot whose header stands at `at`, and how far it is to the next.
#[inline]
fn read(header: &[u8; HEADER], at: usize) -> (Slot, usize) {
    let word = |at: usize| u32_at(header, at).unwrap_or_default();
    let half = |at: usize| (word(at & !3) >> (at as u32 % 4 * 8)) as u16;
    let (mac, net) = (u32::from(half(24)), u32::from(half(26)));
    let direction = direction(header[ADDRESS_AT + 10]);
    let slot = Slot {
        timestamp: Timestamp(i64::from(word(4)) * 1_000_000_000 + i64::from(word(8))),
        start: at as u32 + mac,
        captured: word(12),
        wire_len: word(16),
        network: net.saturating_sub(mac),
        vlan_tci: (word(20) & TP_STATUS_VLAN_VALID != 0).then(|| word(32) as u16),
        ifindex: word(ADDRESS_AT + 4),
        hatype: half(ADDRESS_AT + 8),
        direction,
    };
    (slot, word(0) as usize)
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slot as the kernel writes it, and its packet behind it.
    fn slot(next: u32, len: u32, pkttype: u8, bytes: &[u8]) -> Vec<u8> {
        let mut s = Vec::new();
        let words = [next, 1_700_000_000, 123_456_789, bytes.len() as u32, len, TP_STATUS_VLAN_VALID | 1];
        s.extend(words.iter().flat_map(|w| w.to_ne_bytes()));
        s.extend(82_u16.to_ne_bytes());
        s.extend(96_u16.to_ne_bytes());
        s.extend([0_u32, 0x6064, 0x8100, 0, 0].iter().flat_map(|w| w.to_ne_bytes()));
        s.extend(17_u16.to_ne_bytes());
        s.extend(0x0800_u16.to_be_bytes());
        s.extend(7_u32.to_ne_bytes());
        s.extend(772_u16.to_ne_bytes());
        s.extend([pkttype, 6, 0, 0, 0, 0, 0, 0, 0, 0]);
        s.resize(82, 0);
        s.extend(bytes);
        s.resize(if next == 0 { s.len() } else { next as usize }, 0);
        s
    }

    fn block(count: u32, slots: &[Vec<u8>]) -> Vec<u8> {
        let mut b = Vec::new();
        b.extend([1, 0, 1, count, 48, 0].iter().flat_map(|w: &u32| w.to_ne_bytes()));
        b.resize(48, 0);
        b.extend(slots.concat());
        b
    }

    #[test]
    fn slots_are_read_in_order() {
        let b = block(2, &[slot(112, 9069, 4, &[1; 20]), slot(0, 3, 0, &[2; 3])]);
        let slots: Vec<_> = Slots::of(&b).collect();
        assert_eq!(slots.len(), 2);
        let first = Slot {
            timestamp: Timestamp(1_700_000_000_123_456_789),
            start: 48 + 82,
            captured: 20,
            wire_len: 9069,
            network: 14,
            vlan_tci: Some(0x6064),
            ifindex: 7,
            hatype: 772,
            direction: Direction::Outbound,
        };
        assert_eq!(slots[0], first);
        assert_eq!((slots[1].start, slots[1].captured, slots[1].direction), (242, 3, Direction::Inbound));
        assert_eq!(&b[242..245], [2; 3]);
    }

    #[test]
    fn where_one_has_stopped_another_goes_on() {
        let b = block(3, &[slot(112, 20, 4, &[1; 20]), slot(112, 20, 4, &[2; 20]), slot(0, 3, 0, &[3; 3])]);
        let all: Vec<_> = Slots::of(&b).collect();
        for taken in 0..=all.len() {
            let mut first = Slots::of(&b);
            assert_eq!(first.by_ref().take(taken).count(), taken);
            assert_eq!(first.rest().is_empty(), taken == all.len());
            assert_eq!(Slots::from(&b, first.rest()).collect::<Vec<_>>(), all[taken..]);
        }
    }

    #[test]
    fn nothing_outside_the_block_is_read() {
        let b = block(9, &[slot(112, 20, 0, &[1; 20]), slot(96, 3, 0, &[2; 3])]);
        for end in 0..b.len() {
            for s in Slots::of(&b[..end]) {
                assert!(s.start as usize + s.captured as usize <= end);
            }
        }
    }
}
