//! Flows that have settled: whoever has their packets may count alone those that say nothing.

use std::collections::VecDeque;

use dissect::packet::Registry;
use dissect::{Direction, FiveTuple, Pause, SettledCount, Stretch, TcpFlags, Unread, Way};
use hashbrown::HashMap;

use super::{Observation, Tally};
use crate::flow::{Flow, LOCAL};
use crate::key::{FlowKey, Side};
use crate::path::PRINTS;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Data that the source has counted, by flow and sender, until a packet behind it is seen.
pub(super) type Stretches = HashMap<(FlowKey, Side), Waiting>;

/// That of one sender.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    stretches: VecDeque<Stretch>,
    /// There will be no more.
    is_over: bool,
}

/// What the source of packets is to be told of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// Of what passes this way, these need not be seen any more.
    Begin(Way, Unread),
    /// All of it is to be seen again.
    End(Way),
    /// All flows' packets are.
    EndAll,
}

impl Settle {
    /// The way that need not be seen from now on.
    pub fn begun(&self) -> Option<&Way> {
        match self {
            Settle::Begin(way, _) => Some(way),
            Settle::End(_) | Settle::EndAll => None,
        }
    }
}

/// The flow is gone: what comes on its five-tuple begins another.
pub(super) fn end(flow: &Flow) -> impl Iterator<Item = Settle> {
    let sides = [Side::Low, Side::High].into_iter().filter(|side| flow.settled.is_told(*side));
    sides.flat_map(|side| end_side(flow, side))
}

/// What passes from this side is to be seen. Which way it passed is not remembered, but whether it was sent.
fn end_side(flow: &Flow, side: Side) -> impl Iterator<Item = Settle> {
    [Direction::Outbound, Direction::Inbound]
        .map(|direction| Settle::End(way(flow, side, direction)))
        .into_iter()
}

fn way(flow: &Flow, side: Side, direction: Direction) -> Way {
    let key = &flow.key;
    let (src, dst) = (key.endpoint(side), key.endpoint(side.other()));
    let tuple = FiveTuple { src, dst, protocol: key.protocol() };
    Way { interface: u32::from(flow.interface), tuple, direction }
}

/// Whether nobody reads what this side says, at whatever place in the flow.
fn is_unread(flow: &Flow, o: &Observation<'_>) -> bool {
    let [low, high] = [Side::Low, Side::High].map(|side| flow.key.port(side));
    o.spoken.is_none() && !Registry::global().is_spoken(low, high) && flow.heed.is_done_with(o.side)
}

/// What most of this side's packets are, if they say nothing any more.
fn unread(flow: &Flow, o: &Observation<'_>) -> Option<Unread> {
    let is_settled = match flow.key.protocol() {
        UDP => is_unread(flow, o),
        TCP if o.segment.len > 0 => {
            let may_go_on = flow.goes_on(o.side) && !flow.heed.is_astray() && o.enclosing().is_none();
            return (may_go_on && is_unread(flow, o)).then_some(Unread::Data);
        }
        TCP => o.segment.flags.0 == TcpFlags::ACK && flow.acknowledges(o.side),
        _ => false,
    };
    is_settled.then_some(Unread::Nothing)
}

/// Goes on behind data that the source has counted, if the packet at hand, which has not been added yet, comes behind it.
#[cold]
pub(super) fn catch_up(stretches: &mut Stretches, flow: &mut Flow, o: &Observation<'_>) {
    if o.segment.is_control() {
        // So has the source.
        flow.settled.see();
    }
    if stretches.is_empty() || !o.segment.is_placed() || !flow.settled.has(o.side, Unread::Data) {
        return;
    }
    let place = (flow.key, o.side);
    let Some(waiting) = stretches.get_mut(&place) else { return };
    while let Some(stretch) = waiting.stretches.front()
        && flow.catch_up(o.side, stretch)
    {
        waiting.stretches.pop_front();
    }
    if waiting.stretches.is_empty() && stretches.remove(&place).is_some_and(|waiting| waiting.is_over) {
        settle_up(flow, o.side);
    }
}

/// Nothing of this side's data is left to be caught up with.
fn settle_up(flow: &mut Flow, side: Side) {
    flow.settled.catch_up(side);
    flow.heed.set_elsewhere(flow.settled.has_any());
}

impl Tally {
    /// Has the flow settle in this direction, if most of what is sent there says nothing any more.
    #[cold]
    pub(super) fn may_settle(&mut self, number: u32, o: &Observation<'_>) {
        let flow = self.flows.get_mut(number);
        let Some(unread) = unread(flow, o).filter(|&unread| !flow.settled.has(o.side, unread)) else {
            return;
        };
        flow.settled.set(o.side, unread);
        flow.heed.set_elsewhere(flow.key.protocol() == TCP);
        if unread == Unread::Data {
            self.stretches.remove(&(flow.key, o.side));
        }
        let direction = match o.local {
            0 => Direction::Unknown,
            here if here == LOCAL[o.side.index()] => Direction::Outbound,
            _ => Direction::Inbound,
        };
        self.settling.push(Settle::Begin(way(flow, o.side, direction), unread));
    }

    /// What one side said may have made the other's data wanted.
    #[inline]
    pub(super) fn may_unsettle(&mut self, number: u32) {
        let heed = self.flows.get(number).heed;
        if heed.is_elsewhere() {
            self.unsettle_heard(number);
        }
    }

    #[cold]
    fn unsettle_heard(&mut self, number: u32) {
        let flow = self.flows.get_mut(number);
        for side in [Side::Low, Side::High] {
            let is_counted = flow.settled.is_told(side) && flow.settled.has(side, Unread::Data);
            if is_counted && !flow.heed.is_done_with(side) {
                flow.settled.forget(side);
                self.settling.extend(end_side(flow, side));
            }
        }
    }

    /// Flows that are gone need not be counted apart any more.
    pub(crate) fn unsettle<'a>(&mut self, gone: impl Iterator<Item = &'a Flow>) {
        for flow in gone {
            self.settling.extend(end(flow));
            for side in [Side::Low, Side::High] {
                if flow.settled.has(side, Unread::Data) {
                    self.stretches.remove(&(flow.key, side));
                }
            }
        }
    }

    /// How far a flow's data has come in this direction, if the source may count what is `unread`.
    pub(crate) fn next_of(&self, (hash, key, side): (u32, &FlowKey, Side), unread: Unread) -> Option<u32> {
        let flow = self.flows.get(self.flows.find(hash, key)?);
        flow.next(side).filter(|_| flow.settled.is_told(side) && flow.settled.has(side, unread))
    }

    /// What the source has counted of a flow's data comes before the next that is seen to go on behind it.
    pub(crate) fn pause(&mut self, (hash, key, side): (u32, &FlowKey, Side), pause: &Pause) {
        let Some(number) = self.flows.find(hash, key) else { return };
        let flow = self.flows.get_mut(number);
        if !flow.settled.has(side, Unread::Data) {
            return;
        }
        let place = (*key, side);
        if let Some(stretch) = pause.counted {
            self.stretches.entry(place).or_default().stretches.push_back(stretch);
        }
        if pause.is_over {
            match self.stretches.get_mut(&place) {
                Some(waiting) => waiting.is_over = true,
                None => settle_up(flow, side),
            }
        }
    }

    /// Adds packets of a settled flow; `o` says whose they are, and when the last one passed.
    pub(crate) fn add_settled(&mut self, o: &Observation<'_>, count: &SettledCount) {
        let number = self.search(o);
        let (flow, i) = (self.flows.get_mut(number), o.side.index());
        let place = flow.packets[i];
        flow.packets[i] += count.packets;
        flow.ip_bytes[i] += count.ip_bytes;
        flow.frame_bytes[i] += count.frame_bytes;
        flow.local |= o.local;
        flow.pass(o.at);
        let room = (PRINTS as u64).saturating_sub(place) as usize;
        for (n, &print) in count.prints.iter().enumerate().take(room).filter(|(_, print)| **print != 0) {
            self.flows.keep_print(number, i, place as usize + n, print);
        }
    }
}
