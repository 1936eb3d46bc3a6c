//! Adds packets to flows, many at a time.
//!
//! A packet is added in three steps, some others behind the one before: the
//! place in the index that its hash leads to is asked for, then the flow that
//! stands there, then that is counted. While memory brings what was asked for,
//! the next packets are dissected: on a million flows, a packet that waited for
//! it would take four times as long.

mod group;
mod settle;

use dissect::app::Depth;
use dissect::{TcpFlags, Timestamp};

use self::group::Stages;
pub(crate) use self::group::{Group, Observation};
pub use self::settle::Settle;
use self::settle::Stretches;
use crate::counters::Counters;
use crate::flow::Flow;
use crate::opening::{Openings, is_worth_hearing, may_be_worth_hearing};
use crate::path::PRINTS;
use crate::record;
use crate::store::{FlowParts, FlowStore, More};

/// Flows that the clock hand looks at to find one to evict.
const EVICTION_SAMPLE: usize = 16;

/// The flows of one table.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) flows: FlowStore,
    pub(crate) eviction: Eviction,
    pub(crate) openings: Openings,
    /// Flows that began since somebody asked, by number, if anybody asks.
    pub(crate) begun: Option<Vec<u32>>,
    /// The first interface of the capture that is read now.
    pub(crate) first_interface: u16,
    /// What the source of packets is to be told, in this order.
    pub(crate) settling: Vec<Settle>,
    stretches: Stretches,
    /// The flow that was found last where a guess was wrong.
    found: u32,
}

/// Who can have memory brought near that will be wanted; without, packets wait for it.
pub trait Fetch {
    /// Has what stands at `place` brought near. A hint: any address may be given.
    fn fetch(place: *const u8);
}

/// Nobody can.
impl Fetch for () {
    #[inline(always)]
    fn fetch(_: *const u8) {}
}

/// Keeps the number of flows within its bound.
#[derive(Debug)]
pub(crate) struct Eviction {
    max_flows: usize,
    hand: usize,
    /// Flows that had to leave, in the order in which they did.
    pub(crate) evicted: Vec<FlowParts>,
}

impl Tally {
    pub(crate) fn new(max_flows: usize, live: bool, depth: Depth) -> Self {
        Tally {
            flows: FlowStore::default(),
            openings: Openings::new(depth),
            eviction: Eviction { max_flows: max_flows.max(1), hand: 0, evicted: Vec::new() },
            begun: live.then(Vec::new),
            first_interface: 0,
            settling: Vec::new(),
            stretches: Stretches::default(),
            found: u32::MAX,
        }
    }

    /// The place for the next packet's observation, which is written there rather than copied. It waits once it is
    /// [`Group::keep`]'s.
    #[inline]
    pub(crate) fn next<'a, 'g, F: Fetch>(&mut self, group: &'g mut Group<'a>) -> &'g mut Observation<'a> {
        if group.is_due() {
            self.advance::<F>(group, false);
        }
        group.place()
    }

    /// Adds all that wait.
    pub(crate) fn flush<F: Fetch>(&mut self, group: &mut Group<'_>) {
        while !group.is_empty() {
            self.advance::<F>(group, true);
        }
        group.restart();
    }

    /// Takes those that wait one step further.
    #[inline(never)]
    fn advance<F: Fetch>(&mut self, group: &mut Group<'_>, is_last: bool) {
        let Stages { ask, guess, add } = group.step(is_last);
        for o in group.some(ask).0 {
            F::fetch(self.flows.place_of(o.hash));
        }
        let (some, guesses) = group.some(guess);
        for (o, guess) in some.iter().zip(guesses) {
            *guess = self.flows.guess(o.hash);
            self.flows.lines_of(*guess, o.hash).into_iter().for_each(F::fetch);
        }
        let (some, guesses) = group.some(add.clone());
        let live = self.begun.is_some();
        for (o, guess) in some.iter().zip(guesses) {
            let (number, is_wanted) = self.apply(o, *guess, live);
            // At once: what is wanted of the next packet depends on it.
            if is_wanted {
                self.openings.hear(&mut self.flows, number, o);
                self.may_unsettle(number);
            }
        }
        group.forget(add);
    }

    /// Adds one packet to its flow, which it may begin; gives the flow's number, and whether its payload is wanted.
    #[inline(always)]
    fn apply(&mut self, o: &Observation<'_>, mut guess: u32, live: bool) -> (u32, bool) {
        loop {
            if let Some(flow) = self.flows.guessed(guess, &o.key) {
                if flow.heed.is_elsewhere() {
                    settle::catch_up(&mut self.stretches, flow, o);
                }
                let place = flow.packets[o.side.index()];
                let is_beginning = add(flow, o);
                // Neither can be foretold: one branch for both.
                let is_wanted = (flow.heed.wants(o.side) & !o.payload.is_empty())
                    && may_be_worth_hearing(flow, o)
                    && is_worth_hearing(flow, o, &self.openings);
                // Asked first, since a capture's answer is always the same.
                if live && place <= PRINTS as u64 {
                    self.heed_place(guess, o, place as usize);
                }
                if is_beginning {
                    self.begin_earlier(guess, o);
                }
                return (guess, is_wanted);
            }
            guess = self.search(o);
        }
    }

    /// What becomes of one of the first packets of an interval, in a live capture: they leave prints; and by the one behind
    /// those, which few flows come to, it is seen whether more need be read.
    #[inline]
    fn heed_place(&mut self, number: u32, o: &Observation<'_>, place: usize) {
        if place < PRINTS {
            let print = o.unprinted().print(o.ip_bytes);
            self.flows.keep_print(number, o.side.index(), place, print);
        } else {
            self.may_settle(number, o);
        }
    }

    /// Adds one packet at once.
    #[inline(never)]
    pub(crate) fn add_alone(&mut self, o: &Observation<'_>) {
        let (number, is_wanted) = self.apply(o, self.flows.guess(o.hash), self.begun.is_some());
        if is_wanted {
            self.openings.hear(&mut self.flows, number, o);
        }
    }

    /// Reads what a packet that was put together says, whose pieces have been added.
    pub(crate) fn hear_whole(&mut self, o: &Observation<'_>) {
        if let Some(number) = self.flows.find(o.hash, &o.key) {
            self.openings.hear_whole(&mut self.flows, number, o);
        }
    }

    /// Adds one packet, which stands for all of `sum` until `last`; `prints` are of those after it.
    pub(crate) fn add_many(&mut self, o: &Observation<'_>, sum: Counters, last: Timestamp, prints: [u32; 3]) {
        let live = self.begun.is_some();
        self.apply(o, self.flows.guess(o.hash), live);
        let Some(number) = self.flows.find(o.hash, &o.key) else { return };
        let (flow, i) = (self.flows.get_mut(number), o.side.index());
        let place = flow.packets[i];
        flow.packets[i] += sum.packets - 1;
        // The first one is a part of the sum.
        flow.ip_bytes[i] += sum.ip_bytes.saturating_sub(u64::from(o.ip_bytes));
        flow.frame_bytes[i] += sum.frame_bytes.saturating_sub(u64::from(o.frame_bytes));
        flow.last = flow.last.max(last);
        let room = (PRINTS as u64).saturating_sub(place) as usize;
        for (n, &print) in prints.iter().enumerate().take(room).filter(|(_, print)| live && **print != 0) {
            self.flows.keep_print(number, i, place as usize + n, print);
        }
    }

    /// Notes that TCP segments with these flags were sent, one that was added or others.
    pub(crate) fn note_tcp_flags(&mut self, o: &Observation<'_>, at: Timestamp, flags: TcpFlags) {
        if let Some(number) = self.flows.find(o.hash, &o.key) {
            self.flows.get_mut(number).note_tcp_flags(o.side, at, flags);
        }
    }

    /// The packet's flow where the first guess was wrong.
    #[inline(never)]
    fn search(&mut self, o: &Observation<'_>) -> u32 {
        // Packets that came together with the first one of their flow were all guessed before there was that flow.
        if self.flows.guessed(self.found, &o.key).is_none() {
            self.found = self.flows.find(o.hash, &o.key).unwrap_or_else(|| self.begin(o));
        }
        self.found
    }

    /// A flow that began in another capture began with this packet, whose sender is its initiator: this one is earlier, or
    /// asks what was answered there by another clock. An answer to what was asked there begins nothing.
    #[cold]
    fn begin_earlier(&mut self, number: u32, o: &Observation<'_>) {
        let flow = self.flows.get_mut(number);
        if flow.interface >= self.first_interface {
            // Packets of one capture are taken as they come.
            return;
        }
        let before = flow.initiator;
        let (flags, other) = (o.segment.flags, o.side.other());
        let is_answer = flags.has(TcpFlags::SYN) && flags.has(TcpFlags::ACK) && flow.asked(other);
        flow.initiator = if is_answer { other } else { o.side };
        let (is_earlier, initiator) = (o.at <= flow.first, flow.initiator);
        if is_earlier {
            (flow.interface, flow.icmp) = (o.interface, o.icmp);
        }
        self.flows.absorb_more(number, before, More::default(), initiator);
        if !is_earlier {
            return;
        }
        if let Some((link_type, bytes)) = o.enclosing() {
            self.flows.set_tunnels(number, record::tunnel_headers(link_type, bytes));
        }
    }

    #[cold]
    fn begin(&mut self, o: &Observation<'_>) -> u32 {
        if let Some(gone) = self.eviction.make_room(&mut self.flows) {
            self.unsettle(std::iter::once(&gone.flow));
            self.eviction.evicted.push(gone);
        }
        let mut flow = Flow::new(o.key, o.hash, o.at, o.side);
        (flow.interface, flow.icmp) = (o.interface, o.icmp);
        let number = self.flows.insert(flow);
        if let Some((link_type, bytes)) = o.enclosing() {
            self.flows.set_tunnels(number, record::tunnel_headers(link_type, bytes));
        }
        if let Some(begun) = &mut self.begun {
            begun.push(number);
        }
        number
    }
}

/// Counts one packet of a flow; gives whether it is earlier than all before, or asks what the first one answers.
#[inline(always)]
fn add(flow: &mut Flow, o: &Observation<'_>) -> bool {
    let i = o.side.index();
    flow.packets[i] += 1;
    flow.ip_bytes[i] += u64::from(o.ip_bytes);
    flow.frame_bytes[i] += u64::from(o.frame_bytes);
    flow.local |= o.local;
    let is_answered = flow.observe_tcp(o.side, o.at, &o.segment);
    flow.pass(o.at) | is_answered
}

impl Eviction {
    /// Takes out the longest idle of the flows that the clock hand passes, if there is no room for another.
    fn make_room(&mut self, flows: &mut FlowStore) -> Option<FlowParts> {
        if flows.len() < self.max_flows {
            return None;
        }
        let mut idlest: Option<(u32, Timestamp)> = None;
        let mut looked_at = 0;
        while looked_at < EVICTION_SAMPLE.min(flows.len()) {
            if let Some((number, flow)) = flows.at_hand(self.hand) {
                looked_at += 1;
                if idlest.is_none_or(|(_, last)| flow.last < last) {
                    idlest = Some((number, flow.last));
                }
            }
            self.hand = self.hand.wrapping_add(1);
        }
        idlest.map(|(number, _)| flows.remove(number))
    }
}
