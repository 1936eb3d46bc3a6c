//! Fragments: whose they are, and the datagrams they add up to.
//!
//! A later fragment has no ports; it belongs to the flow of its first fragment,
//! if that came before (same source, destination, identification, protocol).
//! UDP datagrams that an application dissector wants are put together, whatever
//! the order of their pieces (RFC 791, section 3.2; RFC 8200, section 4.5).
//! Both memories are bounded; the oldest entry makes room.

use std::collections::VecDeque;

use dissect::{Fragment, Ip};
use hashbrown::HashMap;

use crate::key::{FlowKey, Side};

/// First fragments that are remembered.
const MAX_FIRST: usize = 16_384;
/// Datagrams that are put together at once.
const MAX_DATAGRAMS: usize = 64;
/// Pieces of one datagram; more is an attack.
const MAX_PIECES: usize = 128;
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;

type Identity = (u128, u128, u32, u8);

fn identity(ip: &Ip, fragment: Fragment) -> Identity {
    (ip.src, ip.dst, fragment.id, ip.protocol)
}

/// Pieces of one datagram.
#[derive(Debug, Default)]
struct Pieces {
    /// (offset, bytes), as they came.
    parts: Vec<(u16, Vec<u8>)>,
    /// Known once the last piece has come.
    whole: Option<usize>,
    /// Bytes in `parts`.
    held: usize,
    /// Its first piece was seen, and nobody reads such datagrams.
    refused: bool,
}

impl Pieces {
    /// The datagram, once nothing is missing; of overlapping pieces the earlier one counts.
    fn join(&self) -> Option<Vec<u8>> {
        let whole = self.whole.filter(|&whole| self.held >= whole)?;
        if let Some(bytes) = self.in_order(whole) {
            return Some(bytes);
        }
        let (mut bytes, mut present) = (vec![0; whole], vec![false; whole]);
        for (offset, part) in &self.parts {
            for (at, byte) in part.iter().enumerate() {
                let at = usize::from(*offset) + at;
                if at < whole && !present[at] {
                    (bytes[at], present[at]) = (*byte, true);
                }
            }
        }
        present.into_iter().all(|p| p).then_some(bytes)
    }
}

impl Pieces {
    /// The datagram, where each piece begins at the end of the one before: as pieces mostly come.
    fn in_order(&self, whole: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(whole);
        for (offset, part) in &self.parts {
            if usize::from(*offset) != bytes.len() {
                return None;
            }
            bytes.extend_from_slice(part);
        }
        (bytes.len() == whole).then_some(bytes)
    }
}

/// A UDP datagram that was put together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    pub(crate) payload: Vec<u8>,
}

/// Whose the first fragments were.
#[derive(Debug, Default)]
pub(crate) struct FirstFragments {
    flows: HashMap<Identity, (FlowKey, Side)>,
    order: VecDeque<Identity>,
}

impl FirstFragments {
    /// Remembers whose the first fragment `ip` is.
    pub(crate) fn note(&mut self, ip: &Ip, fragment: Fragment, flow: (FlowKey, Side)) {
        let identity = identity(ip, fragment);
        if self.flows.insert(identity, flow).is_none() {
            self.order.push_back(identity);
            if self.order.len() > MAX_FIRST
                && let Some(oldest) = self.order.pop_front()
            {
                self.flows.remove(&oldest);
            }
        }
    }

    /// Whose the later fragment `ip` is.
    pub(crate) fn flow_of(&self, ip: &Ip, fragment: Fragment) -> Option<(FlowKey, Side)> {
        self.flows.get(&identity(ip, fragment)).copied()
    }
}

/// Datagrams of which some pieces are there.
#[derive(Debug, Default)]
pub(crate) struct Datagrams {
    datagrams: HashMap<Identity, Pieces>,
    order: VecDeque<Identity>,
}

impl Datagrams {
    /// Adds a piece of a UDP datagram; `bytes` is the IP payload. Gives the datagram when it is whole.
    ///
    /// `wanted` says of a first fragment's ports whether anybody would read the datagram.
    pub(crate) fn assemble(
        &mut self,
        ip: &Ip,
        fragment: Fragment,
        bytes: &[u8],
        wanted: impl Fn(u16, u16) -> bool,
    ) -> Option<Datagram> {
        if ip.protocol != UDP {
            return None;
        }
        let identity = identity(ip, fragment);
        if !self.datagrams.contains_key(&identity) {
            self.make_room(identity);
        }
        let pieces = self.datagrams.get_mut(&identity)?;
        if fragment.offset == 0 && !wanted(be16(bytes, 0), be16(bytes, 2)) {
            *pieces = Pieces { refused: true, ..Pieces::default() };
        }
        if pieces.refused || pieces.parts.len() == MAX_PIECES {
            return None;
        }
        pieces.parts.push((fragment.offset, bytes.to_vec()));
        pieces.held += bytes.len();
        if !fragment.more {
            pieces.whole = Some(usize::from(fragment.offset) + bytes.len());
        }
        let joined = pieces.join()?;
        self.datagrams.remove(&identity);
        let (src_port, dst_port) = (be16(&joined, 0), be16(&joined, 2));
        (wanted(src_port, dst_port) && joined.len() >= UDP_HEADER).then(|| Datagram {
            src_port,
            dst_port,
            payload: joined[UDP_HEADER..].to_vec(),
        })
    }

    fn make_room(&mut self, identity: Identity) {
        self.datagrams.insert(identity, Pieces::default());
        self.order.push_back(identity);
        while self.order.len() > MAX_DATAGRAMS {
            if let Some(oldest) = self.order.pop_front() {
                self.datagrams.remove(&oldest);
            }
        }
    }
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(offset: u16, more: bool) -> (Ip, Fragment) {
        let fragment = Fragment { id: 7, offset, more };
        let ip = Ip {
            src: 1,
            dst: 2,
            src_port: 0,
            dst_port: 0,
            bytes: 0,
            at: 0,
            protocol: UDP,
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
            let mut fragments = Datagrams::default();
            let mut got = None;
            for n in order {
                assert_eq!(got, None);
                let (offset, more, bytes) = parts[n];
                let (ip, fragment) = piece(offset, more);
                got = fragments.assemble(&ip, fragment, bytes, |src, _| src == 53);
            }
            let got = got.expect("three pieces make a datagram");
            assert_eq!((got.src_port, got.dst_port, got.payload), (53, 0x8000, (1..=16).collect()));
        }
    }

    #[test]
    fn what_nobody_wants_is_not_kept() {
        let whole = datagram();
        let mut fragments = Datagrams::default();
        let (ip, fragment) = piece(0, true);
        assert_eq!(fragments.assemble(&ip, fragment, &whole[..8], |_, _| false), None);
        let (ip, fragment) = piece(8, false);
        assert_eq!(fragments.assemble(&ip, fragment, &whole[8..], |_, _| false), None);
        assert!(fragments.datagrams.values().all(|p| p.parts.is_empty()));
    }

    #[test]
    fn memory_is_bounded() {
        let (mut fragments, mut firsts) = (Datagrams::default(), FirstFragments::default());
        for id in 0..100_000 {
            let (ip, mut fragment) = piece(8, true);
            fragment.id = id;
            fragments.assemble(&ip, fragment, &[0; 8], |_, _| true);
            firsts.note(&ip, fragment, (FlowKey::default(), Side::Low));
        }
        assert!(fragments.datagrams.len() <= MAX_DATAGRAMS);
        assert!(firsts.flows.len() <= MAX_FIRST);
    }
}
