//! Fragments: whose they are, and the datagrams they add up to.
//!
//! A later fragment has no ports; it belongs to the flow of its first fragment,
//! if that came before (same source, destination, identification, protocol).
//! Packets whose payload somebody wants are put together, whatever the order of
//! their pieces (RFC 791, section 3.2; RFC 8200, section 4.5). Both memories are
//! bounded; the oldest entry makes room.
//!
//! Identifications come again (65,536 of them; RFC 4963): pieces that lie further
//! apart than [`PATIENCE`] are not of one packet, and another first piece begins
//! another one. Time is that of the packets.

mod pieces;

use std::collections::VecDeque;

use dissect::{Fragment, Ip, Timestamp};
use hashbrown::HashMap;

use self::pieces::Pieces;
use crate::key::{FlowKey, Side};

/// First fragments that are remembered.
const MAX_FIRST: usize = 16_384;
/// Packets that are put together at once.
const MAX_PACKETS: usize = 64;
/// For so many nanoseconds a packet's other pieces are waited for: RFC 8200, section 4.5; the least of RFC 1122, section 3.3.2.
const PATIENCE: u64 = 60_000_000_000;
/// Bytes of an IP header without options, and of an IPv6 header.
const IPV4: usize = 20;
const IPV6: usize = 40;

type Identity = (u128, u128, u32, u8);

fn identity(ip: &Ip, fragment: Fragment) -> Identity {
    (ip.src, ip.dst, fragment.id, ip.protocol)
}

/// Whether what passed at `before` and `at` is too far apart to be of one packet.
fn is_stale(before: Timestamp, at: Timestamp) -> bool {
    at.0.abs_diff(before.0) > PATIENCE
}

/// Whose the first fragments were.
#[derive(Debug, Default)]
pub(crate) struct FirstFragments {
    flows: HashMap<Identity, First>,
    order: VecDeque<Identity>,
}

/// A first fragment: when it passed, and whose it was.
type First = (Timestamp, (FlowKey, Side));

impl FirstFragments {
    /// Remembers whose the first fragment `ip` is, which passed at `at`.
    pub(crate) fn note(&mut self, ip: &Ip, fragment: Fragment, at: Timestamp, flow: (FlowKey, Side)) {
        let identity = identity(ip, fragment);
        if self.flows.insert(identity, (at, flow)).is_none() {
            self.order.push_back(identity);
            if self.order.len() > MAX_FIRST
                && let Some(oldest) = self.order.pop_front()
            {
                self.flows.remove(&oldest);
            }
        }
    }

    /// Whose the later fragment `ip` is, which passed at `at`.
    pub(crate) fn flow_of(&self, ip: &Ip, fragment: Fragment, at: Timestamp) -> Option<(FlowKey, Side)> {
        let &(since, flow) = self.flows.get(&identity(ip, fragment))?;
        (!is_stale(since, at)).then_some(flow)
    }
}

/// Packets of which some pieces are there.
#[derive(Debug, Default)]
pub(crate) struct Packets {
    packets: HashMap<Identity, Pieces>,
    order: VecDeque<Identity>,
}

impl Packets {
    /// Adds a piece of the packet that `ip` is a part of, which passed at `at`; `bytes` is its payload. Gives the packet when
    /// it is whole: an IP header without options, and all of the payload.
    ///
    /// `is_wanted` says of a first piece whether anybody would read the packet.
    pub(crate) fn assemble(
        &mut self,
        ip: &Ip,
        fragment: Fragment,
        at: Timestamp,
        bytes: &[u8],
        is_wanted: impl FnOnce() -> bool,
    ) -> Option<Vec<u8>> {
        let identity = identity(ip, fragment);
        let known = self.packets.get(&identity);
        if known.is_some_and(|pieces| pieces.is_other(at, fragment, bytes)) {
            self.forget(identity);
        }
        if !self.packets.contains_key(&identity) {
            self.make_room(identity, at);
        }
        let pieces = self.packets.get_mut(&identity)?;
        if fragment.offset == 0 && !is_wanted() {
            pieces.refuse();
        }
        if pieces.takes_no_more(bytes.len()) {
            return None;
        }
        pieces.add(fragment, bytes);
        let joined = pieces.join()?;
        self.forget(identity);
        packet(ip, &joined)
    }

    fn forget(&mut self, identity: Identity) {
        self.packets.remove(&identity);
        self.order.retain(|waiting| *waiting != identity);
    }

    fn make_room(&mut self, identity: Identity, at: Timestamp) {
        self.packets.insert(identity, Pieces::since(at));
        self.order.push_back(identity);
        while self.order.len() > MAX_PACKETS {
            if let Some(oldest) = self.order.pop_front() {
                self.packets.remove(&oldest);
            }
        }
    }
}

/// The packet between the ends of `ip` with this payload; `None` where it would be longer than a packet can be.
fn packet(ip: &Ip, payload: &[u8]) -> Option<Vec<u8>> {
    /// Of a packet that was put together nobody asks how many hops it has left.
    const HOPS: u8 = 64;
    let mut bytes = Vec::with_capacity(IPV6 + payload.len());
    if ip.version == 4 {
        let len = u16::try_from(IPV4 + payload.len()).ok()?.to_be_bytes();
        bytes.extend([0x45, 0, len[0], len[1], 0, 0, 0, 0, HOPS, ip.protocol, 0, 0]);
        bytes.extend([ip.src, ip.dst].iter().flat_map(|addr| (*addr as u32).to_be_bytes()));
    } else {
        let len = u16::try_from(payload.len()).ok()?.to_be_bytes();
        bytes.extend([0x60, 0, 0, 0, len[0], len[1], ip.protocol, HOPS]);
        bytes.extend([ip.src, ip.dst].iter().flat_map(|addr| addr.to_be_bytes()));
    }
    bytes.extend_from_slice(payload);
    Some(bytes)
}

/// The payload of the fragment that the header `ip` in `packet` heads, where another header stands in it.
pub(crate) fn payload_around<'a>(ip: &Ip, packet: &'a [u8]) -> &'a [u8] {
    /// Next header of a fragment header, and the bytes of both headers.
    const FRAGMENT: u8 = 44;
    const IPV6_FRAGMENT: usize = IPV6 + 8;
    let whole = packet.get(usize::from(ip.at)..).unwrap_or_default();
    let whole = whole.get(..ip.bytes as usize).unwrap_or(whole);
    let header = match (ip.version, whole) {
        (4, [first, ..]) => usize::from(first & 0xf) * 4,
        (6, [_, _, _, _, _, _, FRAGMENT, ..]) => IPV6_FRAGMENT,
        // Behind other extension headers nobody looks.
        _ => whole.len(),
    };
    whole.get(header..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000_000);

    fn piece(offset: u16, more: bool) -> (Ip, Fragment) {
        let fragment = Fragment { id: 7, offset, more };
        let ip = Ip {
            src: 1,
            dst: 2,
            src_port: 0,
            dst_port: 0,
            bytes: 0,
            at: 0,
            protocol: 17,
            version: 4,
            fragment: Some(fragment),
        };
        (ip, fragment)
    }

    fn datagram() -> Vec<u8> {
        let mut bytes = vec![0, 53, 0x80, 0, 0, 24, 0, 0];
        bytes.extend(1..=16);
        bytes
    }

    /// Every order of three pieces gives the same datagram.
    #[test]
    fn pieces_in_any_order() {
        let whole = datagram();
        let parts = [(0, true, &whole[..8]), (8, true, &whole[8..16]), (16, false, &whole[16..])];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut fragments = Packets::default();
            let mut got = None;
            for n in order {
                assert_eq!(got, None);
                let (offset, more, bytes) = parts[n];
                let (ip, fragment) = piece(offset, more);
                got = fragments.assemble(&ip, fragment, NOW, bytes, || true);
            }
            let got = got.expect("three pieces make a datagram");
            assert_eq!((&got[..4], &got[12..20]), (&[0x45, 0, 0, 44][..], &[0, 0, 0, 1, 0, 0, 0, 2][..]));
            assert_eq!(got[20..], whole);
        }
    }

    #[test]
    fn what_nobody_wants_is_not_kept() {
        let whole = datagram();
        let mut fragments = Packets::default();
        let (ip, fragment) = piece(0, true);
        assert_eq!(fragments.assemble(&ip, fragment, NOW, &whole[..8], || false), None);
        let (ip, fragment) = piece(8, false);
        assert_eq!(fragments.assemble(&ip, fragment, NOW, &whole[8..], || false), None);
        assert!(fragments.packets.values().all(Pieces::are_none));
    }

    #[test]
    fn packets_that_are_whole_take_no_room() {
        let whole = datagram();
        let mut fragments = Packets::default();
        let mut assemble = |id, offset: u16, more| {
            let (ip, mut fragment) = piece(offset, more);
            fragment.id = id;
            let at = usize::from(offset);
            let bytes = &whole[at..if more { at + 8 } else { whole.len() }];
            fragments.assemble(&ip, fragment, NOW, bytes, || true)
        };
        assert_eq!(assemble(1000, 0, true), None);
        for id in 0..500 {
            assert_eq!(assemble(id, 0, true), None);
            assert!(assemble(id, 8, false).is_some());
        }
        assert!(assemble(1000, 8, false).is_some(), "it is the only one that waits");
    }

    /// The pieces of `datagram` that the test names, at so many seconds; what comes out, and how often was asked.
    fn assembled(pieces: &[(i64, u16, u8, bool)]) -> (Vec<u8>, u32) {
        let (mut fragments, mut asked, mut whole) = (Packets::default(), 0, None);
        for &(at, offset, byte, is_wanted) in pieces {
            let (ip, fragment) = piece(offset, offset < 16);
            let at = Timestamp(NOW.0 + at * 1_000_000_000);
            let wanted = || {
                asked += 1;
                is_wanted
            };
            whole = fragments.assemble(&ip, fragment, at, &[byte; 8], wanted).or(whole);
            assert_eq!(fragments.order.len(), fragments.packets.len());
        }
        (whole.map(|mut whole: Vec<u8>| whole.split_off(20)).unwrap_or_default(), asked)
    }

    #[test]
    fn pieces_are_waited_for_a_minute() {
        let whole = [[1; 8], [2; 8], [3; 8]].concat();
        assert_eq!(assembled(&[(0, 0, 1, true), (59, 8, 2, true), (60, 16, 3, true)]), (whole.clone(), 1));
        assert_eq!(assembled(&[(0, 0, 1, true), (30, 8, 2, true), (61, 16, 3, true)]), (vec![], 1));
        // The pieces of one packet have not waited for those of the next; clocks may be set back.
        let next = [(0, 8, 9, true), (61, 0, 1, true), (61, 8, 2, true), (62, 16, 3, true)];
        assert_eq!(assembled(&next), (whole.clone(), 1));
        let back = [(0, 8, 9, true), (-61, 0, 1, true), (-61, 8, 2, true), (-61, 16, 3, true)];
        assert_eq!(assembled(&back), (whole, 1));
    }

    #[test]
    fn another_first_piece_begins_another_packet() {
        let whole = [[1; 8], [2; 8], [3; 8]].concat();
        let refused = [(0, 0, 9, false), (1, 0, 1, true), (1, 8, 2, true), (1, 16, 3, true)];
        assert_eq!(assembled(&refused), (whole.clone(), 2));
        let replaced = [(0, 0, 9, true), (0, 8, 9, true), (1, 0, 1, true), (1, 8, 2, true), (1, 16, 3, true)];
        assert_eq!(assembled(&replaced), (whole.clone(), 2));
        // The same one again, as where it passes two interfaces.
        let twice = [(0, 8, 2, true), (0, 0, 1, true), (0, 0, 1, true), (0, 16, 3, true)];
        assert_eq!(assembled(&twice).0, whole);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut fragments, mut firsts) = (Packets::default(), FirstFragments::default());
        for id in 0..100_000 {
            let (ip, mut fragment) = piece(8, true);
            fragment.id = id;
            fragments.assemble(&ip, fragment, NOW, &[0; 8], || true);
            firsts.note(&ip, fragment, NOW, (FlowKey::default(), Side::Low));
        }
        assert!(fragments.packets.len() <= MAX_PACKETS);
        assert!(firsts.flows.len() <= MAX_FIRST);
    }
}
