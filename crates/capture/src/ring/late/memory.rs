//! What is shared with the programs: the types and numbers of `bpf/shared.h`, as words of 64 bits.

use dissect::LinkType;

use super::super::link::Start;

/// Interfaces that are known at once, each at its number modulo this.
pub(super) const LINKS: usize = 4096;
/// Interfaces whose packets without a place are told apart, and all others.
pub(super) const RESTS: usize = 256 + 1;
/// Words of a `struct rest`.
pub(super) const REST: usize = 3;

/// Words of `struct state`.
pub(super) const STATE: usize = 32;
/// Where the packets in the ring end, in charged bytes since the beginning.
pub(super) const POSITION: usize = 0;
/// When time was last charged, in ticks.
pub(super) const TICK: usize = 1;
/// Up to which position the ring has room.
pub(super) const LIMIT: usize = 8;
/// Which generation of counts is used: its last bit.
pub(super) const GENERATION: usize = 9;
pub(super) const SEED: usize = 10;
pub(super) const ENTRIES: usize = 11;
pub(super) const MASK: usize = 12;
/// Flows that are settled, and how often their counts were taken.
pub(super) const SETTLED_FLOWS: usize = 13;
pub(super) const EPOCH: usize = 14;
/// Of how many of them data is counted.
pub(super) const STREAMS: usize = 15;
/// Packets that were counted instead of kept, since the beginning.
pub(super) const PACKETS: usize = 16;
/// Pauses of streams that were told of, since the beginning.
pub(super) const PAUSES: usize = 18;
/// The first bytes, by bit, of payloads that somebody may read also in a settled flow: four words.
pub(super) const READ: usize = 24;

/// Words of a `struct generation`.
pub(super) const USE: usize = 8;
/// Programs that use it now.
pub(super) const USERS: usize = 0;
/// Entries that were begun, and those for which there was no place.
pub(super) const USED: usize = 1;

/// Words of a `struct entry`.
pub(super) const ENTRY: usize = 32;

/// `struct link.kind`.
const ETHERNET: u64 = 1;
const BARE: u64 = 2;

/// What the programs are to know of an interface, as one word.
pub(super) fn link(ifindex: u32, hatype: u16, taken: bool, start: Start) -> u64 {
    let kind = match start {
        Start::Link(LinkType::ETHERNET) => ETHERNET,
        Start::Link(LinkType::RAW) => BARE,
        _ => 0,
    };
    let bytes = [&ifindex.to_ne_bytes()[..], &hatype.to_ne_bytes()[..], &[u8::from(taken), kind as u8]];
    word(&bytes.concat())
}

/// Whether such a word says that packets are taken.
pub(super) fn is_taken(link: u64) -> bool {
    link.to_ne_bytes()[6] != 0
}

fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}
