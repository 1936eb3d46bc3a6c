//! Which interfaces a flow's packets passed, and how often each packet was seen.
//!
//! A live capture sees the packet that leaves a container several times: on the
//! container's interface, on a bridge, on a network card. Each interface's
//! packets are a [`Strand`] of the flow. Strands on which the same packets pass
//! are one path, of which the fullest counts; other strands are added up.
//! Whether packets are the same is told by prints of the first ones of every
//! interval: of what nobody changes on the way, neither by forwarding nor by
//! translating addresses.

mod few;
mod gone;

use dissect::packet::Registry;
use dissect::{Dissection, Ip, Packet, Tcp, Timestamp};

use self::few::Few;
use self::gone::Gone;
use crate::counters::Counters;
use crate::flow::Flow;
use crate::key::Side;
use crate::ledger::InterfaceId;

/// Packets of each direction and interval whose prints are kept.
pub(crate) const PRINTS: usize = 4;

const TCP: u8 = 6;
const UDP: u8 = 17;
const UDPLITE: u8 = 136;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Prints of the first packets of an interval, a side; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prints([[u32; PRINTS]; 2]);

impl Prints {
    /// Keeps the print of packet `place` of `side`; the first one of an interval puts those of the last one away.
    #[inline]
    pub(crate) fn keep(&mut self, side: usize, place: usize, print: u32) {
        let prints = &mut self.0[side & 1];
        if place == 0 {
            *prints = [0; PRINTS];
        }
        prints[place % PRINTS] = print;
    }

    /// Reads them ahead of their use.
    pub(crate) fn warm(&self) -> u64 {
        u64::from(self.0[0][0])
    }

    /// The prints of one side.
    pub(crate) fn of(&self, side: usize) -> impl Iterator<Item = u32> {
        self.0[side & 1].into_iter().filter(|&print| print != 0)
    }

    /// The same with the sides exchanged.
    pub(crate) fn flipped(self) -> Self {
        let [low, high] = self.0;
        Prints([high, low])
    }
}

/// A packet that may leave a print: few do, so what that takes is only read then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unprinted<'a> {
    pub(crate) bytes: &'a [u8],
    /// Where its IP header begins.
    pub(crate) at: u16,
    pub(crate) version: u8,
    pub(crate) protocol: u8,
    /// Where it stands in its stream: sequence and acknowledgement numbers.
    pub(crate) stream: Option<u64>,
}

impl<'a> Unprinted<'a> {
    fn new(bytes: &'a [u8], ip: &Ip, tcp: Option<&Tcp>) -> Self {
        let stream = tcp.map(|tcp| u64::from(tcp.seq) << 32 | u64::from(tcp.ack));
        Self { bytes, at: ip.at, version: ip.version, protocol: ip.protocol, stream }
    }

    /// What a packet keeps on its way: its number (IPv4), and where it stands in its stream or how its payload begins.
    ///
    /// Never 0. Checksums are no help: what a host sends itself often has none yet. Nor are lengths, since segments are
    /// split and put together between interfaces: the first one of the whole has the same print.
    pub(crate) fn print(&self, ip_bytes: u32) -> u32 {
        let at = usize::from(self.at);
        // What stands behind the IP packet was not sent: some interfaces fill short frames up, others do not.
        let end = self.bytes.len().min(at.saturating_add(ip_bytes as usize));
        let word = |at: usize| match self.bytes.get(at..end).unwrap_or_default() {
            whole if whole.len() >= 8 => whole.first_chunk().map_or(0, |b| u64::from_le_bytes(*b)),
            part => part.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        let (number, header) = match self.version {
            4 => ((word(at) >> 32) & 0xffff, usize::from(self.bytes.get(at).copied().unwrap_or(0) & 15) * 4),
            _ => (0, 40),
        };
        let [a, b] = match (self.stream, self.protocol) {
            (Some(stream), _) => [stream, 0],
            // Of TCP that is a later fragment, or a header that was cut short.
            (None, UDP | UDPLITE | TCP) => [word(at + header + 8), word(at + header + 16)],
            // A translated echo has another identifier, but the same number.
            (None, ICMP | ICMPV6) => [word(at + header + 6), word(at + header + 14)],
            (None, _) => [word(at + header), word(at + header + 8)],
        };
        let product = u128::from(a ^ number.rotate_left(47) ^ 0x9e37_79b9_7f4a_7c15)
            * u128::from(b ^ 0xd1b5_4a32_d192_ed03);
        (product as u32 ^ (product >> 64) as u32 ^ (product >> 96) as u32) | 1
    }
}

/// What `packet` keeps on its way, in a number that is the same wherever it passes: of its outermost IP header, and what
/// that carries. 0 for what has none.
///
/// The program that counts packets in the kernel has the same (`bpf/print.h`).
pub fn print(packet: &Packet<'_>) -> u32 {
    let d = Dissection::of(packet, Registry::global());
    let Some(ip) = d.outer.or(d.ip) else { return 0 };
    let tcp = d.tcp.as_ref().filter(|_| d.outer.is_none());
    Unprinted::new(packet.bytes, &ip, tcp).print(ip.bytes)
}

/// A flow's packets on one interface, under one of its five-tuples.
///
/// What is asked of every flow at each report comes first.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Strand {
    pub(crate) place: Place,
    /// No table counts here any more.
    pub(crate) ended: bool,
    /// What each side sent.
    pub(crate) sent: [Counters; 2],
    /// First packet here.
    pub(crate) first: Timestamp,
    /// The path that it is part of, a side: the place of the first of its strands.
    path: [u32; 2],
    /// The latest interval's.
    prints: Prints,
}

impl Strand {
    /// Adds what another one counted at the same place.
    fn merge(&mut self, other: &Strand) {
        self.first = self.first.min(other.first);
        self.ended &= other.ended;
        for side in 0..2 {
            self.sent[side] += other.sent[side];
            if other.prints.of(side).next().is_some() {
                self.prints.0[side] = other.prints.0[side];
            }
        }
    }
}

/// Where packets were seen: on which interface, and whether beyond a translation of their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) interface: InterfaceId,
    pub(crate) translated: bool,
}

/// All strands of one flow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strands {
    all: Few<Strand>,
    /// What those held that are told apart no more.
    gone: Option<Box<Gone>>,
}

/// The one with more packets, or bytes.
fn fuller(one: Counters, other: Counters) -> Counters {
    let size = |sent: &Counters| (sent.packets, sent.frame_bytes, sent.ip_bytes);
    if size(&other) > size(&one) { other } else { one }
}

impl Strands {
    /// Adds what was counted at `place`.
    pub(crate) fn add(&mut self, place: Place, part: &Flow, prints: &Prints) {
        let at = self.all.iter().position(|s| s.place == place).unwrap_or_else(|| {
            let path = [self.all.len() as u32; 2];
            let (first, prints) = (part.first, Prints::default());
            self.all.push(Strand { place, first, sent: Default::default(), ended: false, prints, path });
            self.all.len() - 1
        });
        let strand = &mut self.all[at];
        strand.ended = false;
        strand.first = strand.first.min(part.first);
        for side in [Side::Low, Side::High] {
            strand.sent[side.index()] += part.sent(side);
        }
        for side in 0..2 {
            if prints.of(side).next().is_some() {
                self.all[at].prints.0[side] = prints.0[side];
                self.join(at, side);
            }
        }
    }

    /// Makes one path of the strands on which the same packets passed as on the one at `at`.
    fn join(&mut self, at: usize, side: usize) {
        for other in 0..self.all.len() {
            let (mine, theirs) = (&self.all[at], &self.all[other]);
            let (from, to) = (theirs.path[side], mine.path[side]);
            if from != to && mine.prints.of(side).any(|print| theirs.prints.of(side).any(|p| p == print)) {
                let (from, to) = (from.max(to), from.min(to));
                self.all.iter_mut().filter(|s| s.path[side] == from).for_each(|s| s.path[side] = to);
                if let Some(gone) = &mut self.gone {
                    gone.join(side, from, to);
                }
            }
        }
    }

    /// What `side` sent, every packet counted once: of each path the fullest strand.
    pub(crate) fn sent(&self, side: usize) -> Counters {
        if let ([strand], None) = (&*self.all, &self.gone) {
            return strand.sent[side];
        }
        // A broadcast may pass any number of interfaces: each strand is looked at once.
        let mut fullest = vec![Counters::default(); self.all.len()];
        let gone = self.gone.iter().flat_map(|gone| gone.fullest[side].iter().copied());
        let strands = self.all.iter().map(|strand| (strand.path[side], strand.sent[side]));
        for (path, sent) in strands.chain(gone) {
            let fullest = &mut fullest[path as usize];
            *fullest = fuller(*fullest, sent);
        }
        let sum = self.gone.as_ref().map_or(Counters::default(), |gone| gone.sums[side]);
        fullest.into_iter().fold(sum, |sum, sent| sum + sent)
    }

    /// Reads ahead what the first strand counted.
    pub(crate) fn warm(&self) -> u64 {
        self.all.first().map_or(0, |strand| strand.sent[0].packets ^ strand.sent[1].frame_bytes)
    }

    /// The strands, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Strand> {
        self.all.iter()
    }

    /// The interfaces, in the order in which the flow's first packets passed them; one that a translation leads back to
    /// stands there twice.
    pub(crate) fn interfaces(&self) -> Vec<InterfaceId> {
        let strands = self.all.iter().map(|s| (s.first, s.place.translated, s.place.interface));
        let gone = self.gone.iter().flat_map(|gone| gone.places.iter().copied());
        let mut order: Vec<_> = strands.chain(gone).collect();
        order.sort_unstable();
        order.into_iter().map(|(.., interface)| interface).collect()
    }

    /// Whether what is told of one strand alone is told at `place`.
    pub(crate) fn begin_at(&self, place: Place) -> bool {
        self.all.first().is_none_or(|s| s.place == place)
    }

    /// Notes that no table counts at `place` any more.
    pub(crate) fn end(&mut self, place: Place) {
        self.all.iter_mut().filter(|s| s.place == place).for_each(|s| s.ended = true);
    }

    /// Whether no table counts anywhere any more.
    pub(crate) fn are_over(&self) -> bool {
        self.all.iter().all(|s| s.ended)
    }

    /// Whether anything was counted at `place`.
    pub(crate) fn has(&self, place: Place) -> bool {
        self.all.iter().any(|s| s.place == place)
    }

    /// Whether some table still counts beyond a translation.
    pub(crate) fn is_translated(&self) -> bool {
        self.all.iter().any(|s| s.place.translated && !s.ended)
    }

    /// Takes the strands that were counted as a flow of their own before the translation was known.
    pub(crate) fn adopt(&mut self, others: Strands, flipped: bool) {
        let mut places = Vec::with_capacity(others.all.len());
        for mut other in others.all.into_vec() {
            other.place.translated = true;
            if flipped {
                other.sent.reverse();
                other.prints = other.prints.flipped();
            }
            let known = self.all.iter().position(|s| s.place == other.place);
            let at = known.unwrap_or(self.all.len());
            places.push(at);
            match self.all.get_mut(at) {
                Some(strand) => strand.merge(&other),
                None => self.all.push(Strand { path: [at as u32; 2], ..other }),
            }
            (0..2).for_each(|side| self.join(at, side));
        }
        if let Some(theirs) = others.gone {
            let path = |side: usize, first: u32| self.all[places[first as usize]].path[side];
            self.gone.get_or_insert_default().adopt(*theirs, flipped, path);
        }
    }
}

#[cfg(test)]
mod tests;
