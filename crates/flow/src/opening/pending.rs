//! One flow whose opening is not read to its end.

use dissect::TcpFlags;
use dissect::app::{App, Candidates, Depth, Opening, Said};

use super::prefix::Prefix;
use super::read;
use crate::key::Side;
use crate::tally::Observation;

/// Readings without regard to how much there is more; beyond, half as much again is waited for, so that a flow of tiny
/// segments costs no more than others.
const EAGER: u32 = 24;
/// Datagrams of an end that are kept.
const MAX_DATAGRAMS: usize = 32;
const TCP: u8 = 6;

/// One flow whose opening is not read to its end.
#[derive(Debug, Default)]
pub(super) struct Pending {
    said: [Prefix; 2],
    /// Those that have not refused.
    candidates: Candidates,
    /// Those that were asked.
    asked: Candidates,
    /// One of them is sure that the flow is its own.
    is_sure: bool,
    /// Bytes of each end that it has read, by side.
    known: [usize; 2],
    /// What came first was not an end's first segment, and there is no telling which one is.
    waits: bool,
    readings: u32,
    next_reading: usize,
}

impl Pending {
    /// A flow of which `o` is the first payload that is kept. Those of `asked` have read it; `left` of them want more.
    pub(super) fn new(o: &Observation<'_>, left: Candidates, asked: Candidates, is_sure: bool) -> Self {
        let mut pending = Pending { candidates: left, asked, is_sure, ..Pending::default() };
        pending.take(o);
        pending.note_known();
        pending
    }

    /// A flow of which `o` seems to come too early.
    pub(super) fn waiting(o: &Observation<'_>) -> Self {
        let mut pending = Pending { waits: true, ..Pending::default() };
        pending.take(o);
        pending
    }

    /// Adds a payload; gives whether there is something to be read.
    pub(super) fn add(&mut self, o: &Observation<'_>, ports: [u16; 2]) -> bool {
        let first = self.said[o.side.index()].first();
        if !self.take(o) {
            return self.is_over();
        }
        let said = &self.said[o.side.index()];
        let begins = said.first() != first;
        if begins {
            self.begin(Candidates::of(o.key.protocol(), &said.bytes, ports));
        }
        let held: usize = self.said.iter().map(|said| said.bytes.len()).sum();
        self.readings += 1;
        if !begins && self.readings > EAGER && held < self.next_reading && !self.is_over() {
            return false;
        }
        self.next_reading = held + held / 2;
        true
    }

    /// An end's first byte is known now: these may read what it begins.
    fn begin(&mut self, may_read: Candidates) {
        if !self.is_sure {
            self.candidates = self.candidates.or(may_read.without(self.asked));
        }
        self.asked = self.asked.or(may_read);
    }

    fn take(&mut self, o: &Observation<'_>) -> bool {
        let said = &mut self.said[o.side.index()];
        if !o.segment.is_some() {
            let taken = said.add_datagram(o.payload);
            said.is_full |= said.ends.len() >= MAX_DATAGRAMS;
            return taken;
        }
        let syn = u32::from(o.segment.flags.has(TcpFlags::SYN));
        said.add_segment(o.segment.seq.wrapping_add(syn), o.payload, o.segment.len)
    }

    /// Reads what there is; gives what is known now, if anything is, and whether that is all.
    ///
    /// What an end said that was read before is not told in detail again: it is known of the flow already.
    pub(super) fn read(
        &mut self,
        depth: Depth,
        transport: u8,
        ports: [u16; 2],
        initiator: Side,
    ) -> Option<(App, bool)> {
        let said = |side: Side| {
            let Prefix { bytes, ends, .. } = &self.said[side.index()];
            let is_known = !bytes.is_empty() && self.known[side.index()] == bytes.len();
            let depth = if is_known { Depth::Names } else { depth };
            let said = if transport == TCP { Said::stream(bytes) } else { Said::datagrams_of(bytes, ends) };
            said.to(depth)
        };
        let (initiator, responder) = (said(initiator), said(initiator.other()));
        let opening = Opening { transport, ports, initiator, responder, depth, is_last: self.is_full() };
        let (verdict, left) = read(self.candidates, &opening);
        self.candidates = left;
        self.is_sure |= verdict.is_some();
        self.note_known();
        verdict
    }

    /// Whoever is sure has read all that is there.
    fn note_known(&mut self) {
        if self.is_sure {
            self.known = self.said.each_ref().map(|said| said.bytes.len());
        }
    }

    /// The one that is sure; nobody, if none is.
    pub(super) fn sure(&self) -> Candidates {
        if self.is_sure { self.candidates } else { Candidates::default() }
    }

    fn is_full(&self) -> bool {
        self.said.iter().any(|said| said.is_full)
    }

    /// Nobody wants more, or no more is kept.
    pub(super) fn is_over(&self) -> bool {
        self.is_full() || !self.waits && self.candidates.is_empty()
    }
}
