//! What was counted outside flows: each interface's packets, and why some made no flow.

use std::collections::BTreeMap;

use dissect::packet::Claim;
use dissect::{Dissection, Packet, Stop};

use crate::ledger::InterfaceId;

/// Packets and wire bytes of things without IP bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frames {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl Frames {
    #[inline]
    pub(crate) fn of(packet: &Packet<'_>) -> Self {
        Frames { packets: 1, bytes: u64::from(packet.wire_len) }
    }
}

impl std::ops::AddAssign for Frames {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// Why a packet belongs to no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NoFlow {
    /// The last protocol that was understood, which carries no IP here.
    Protocol(&'static str),
    /// A number that no dissector claims.
    Unclaimed(Claim),
    /// A layer that its specification rules out.
    Malformed(&'static str, &'static str),
    /// A layer that was cut short.
    Truncated(&'static str),
    /// More layers than a dissection keeps.
    TooDeep,
    /// One of the kinds beyond [`MOST_KINDS`].
    Other,
}

/// Kinds of packets without a flow that are told apart on one interface: whoever sends packets may invent any number.
const MOST_KINDS: usize = 1024;

impl NoFlow {
    /// Why `d`, in which no IP header was found, ended.
    pub(crate) fn of(d: &Dissection<'_>) -> Self {
        match d.stop {
            Stop::Complete => NoFlow::Protocol(d.layers().last().map_or("unknown", |l| l.dissector.name())),
            Stop::Unclaimed(claim) => NoFlow::Unclaimed(claim),
            Stop::Malformed { layer, reason } => NoFlow::Malformed(layer, reason),
            Stop::Truncated { layer, .. } => NoFlow::Truncated(layer),
            Stop::TooDeep => NoFlow::TooDeep,
        }
    }

    /// What is wrong with the packet, or `None` where it is whole and merely not IP.
    pub(crate) fn malformed(&self) -> Option<String> {
        match self {
            NoFlow::Malformed(layer, reason) => Some(format!("{layer}: {reason}")),
            NoFlow::Truncated(layer) => Some(format!("{layer}: cut short")),
            NoFlow::TooDeep => Some("too many layers".to_owned()),
            NoFlow::Protocol(_) | NoFlow::Unclaimed(_) | NoFlow::Other => None,
        }
    }

    /// How people call it.
    pub(crate) fn name(&self) -> String {
        match self {
            NoFlow::Protocol(name) => (*name).to_owned(),
            NoFlow::Unclaimed(claim) => dissect::names::claim(*claim),
            NoFlow::Other => "other".to_owned(),
            _ => self.malformed().unwrap_or_default(),
        }
    }
}

/// One interface's account.
#[derive(Clone, Debug, Default)]
pub(crate) struct InterfaceTotals {
    pub(crate) seen: Frames,
    /// Of those, what was counted in the kernel because the ring had no room.
    pub(crate) in_kernel: Frames,
    /// Of those that were seen, what was counted in the kernel because nobody would have read it.
    pub(crate) settled: Frames,
    /// Of what was counted in the kernel, what has no flow because there was no place for one.
    pub(crate) without_flow: Frames,
    /// What the interface counts beyond that because it splits segments itself; estimated.
    pub(crate) offload: Frames,
    pub(crate) no_flow: BTreeMap<NoFlow, Frames>,
}

impl InterfaceTotals {
    fn absorb(&mut self, other: InterfaceTotals) {
        self.seen += other.seen;
        self.in_kernel += other.in_kernel;
        self.settled += other.settled;
        self.without_flow += other.without_flow;
        self.offload += other.offload;
        other.no_flow.into_iter().for_each(|(why, frames)| self.note(why, frames));
    }

    /// Adds packets without a flow.
    pub(crate) fn note(&mut self, why: NoFlow, frames: Frames) {
        let is_told = self.no_flow.len() < MOST_KINDS || self.no_flow.contains_key(&why);
        *self.no_flow.entry(if is_told { why } else { NoFlow::Other }).or_default() += frames;
    }
}

/// Everything that a table counted besides its flows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) interfaces: Vec<InterfaceTotals>,
    /// Packets that have a flow but whose dissection ended in an oddity further in, by what it was.
    pub(crate) odd: BTreeMap<NoFlow, u64>,
    /// Application messages that their specification rules out, by protocol and reason.
    pub(crate) malformed_messages: BTreeMap<(&'static str, &'static str), u64>,
    /// Flows whose first bytes had to make room for others' before anybody could read them.
    pub(crate) unread_openings: u64,
}

impl Totals {
    #[inline]
    pub(crate) fn interface(&mut self, id: InterfaceId) -> &mut InterfaceTotals {
        let at = usize::from(id.0);
        if at >= self.interfaces.len() {
            self.interfaces.resize_with(at + 1, Default::default);
        }
        &mut self.interfaces[at]
    }

    /// Gives interfaces other numbers.
    pub(crate) fn renumber(&mut self, number: impl Fn(u16) -> u16) {
        for (at, totals) in (0..).zip(std::mem::take(&mut self.interfaces)) {
            self.interface(InterfaceId(number(at))).absorb(totals);
        }
    }

    pub(crate) fn absorb(&mut self, part: Totals) {
        for (at, theirs) in part.interfaces.into_iter().enumerate() {
            self.interface(InterfaceId(at as u16)).absorb(theirs);
        }
        self.unread_openings += part.unread_openings;
        for (what, packets) in part.odd {
            *self.odd.entry(what).or_default() += packets;
        }
        for (what, messages) in part.malformed_messages {
            *self.malformed_messages.entry(what).or_default() += messages;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_without_end_are_counted_together() {
        let mut totals = InterfaceTotals::default();
        let one = Frames { packets: 1, bytes: 60 };
        for number in 0..3000 {
            totals.note(NoFlow::Unclaimed(Claim::EtherType(number)), one);
            totals.note(NoFlow::TooDeep, one);
        }
        let mut twice = totals.clone();
        twice.absorb(totals);
        assert!(twice.no_flow.len() <= MOST_KINDS + 1);
        assert_eq!(twice.no_flow.values().map(|frames| frames.packets).sum::<u64>(), 12_000);
        assert_eq!(twice.no_flow[&NoFlow::TooDeep].packets, 6000);
    }
}
