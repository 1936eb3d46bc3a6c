//! Flows that have settled: whoever has their packets may count alone those that say nothing.

use dissect::packet::Registry;
use dissect::{Direction, FiveTuple, SettledCount, TcpFlags, Way};

use super::{Observation, Tally};
use crate::flow::{Flow, LOCAL};
use crate::key::Side;
use crate::path::PRINTS;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// What the source of packets is to be told of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// Of what passes this way, these need not be seen any more: datagrams that begin neither another opening nor a message;
    /// segments of TCP with ACK alone, without data, and with an open window.
    Begin(Way),
    /// They are to be seen again.
    End(Way),
    /// All are.
    EndAll,
}

impl Settle {
    /// The way that need not be seen from now on.
    pub fn begun(&self) -> Option<&Way> {
        match self {
            Settle::Begin(way) => Some(way),
            Settle::End(_) | Settle::EndAll => None,
        }
    }
}

/// The flow is gone: what comes on its five-tuple begins another. Which way it passed is not remembered, but whether it was
/// sent.
pub(super) fn end(flow: &Flow) -> impl Iterator<Item = Settle> {
    let sides = [Side::Low, Side::High].into_iter().filter(|side| flow.settled >> side.index() & 1 != 0);
    let directions = [Direction::Outbound, Direction::Inbound];
    sides.flat_map(move |side| directions.map(|direction| Settle::End(way(flow, side, direction))))
}

fn way(flow: &Flow, side: Side, direction: Direction) -> Way {
    let key = &flow.key;
    let (src, dst) = (key.endpoint(side), key.endpoint(side.other()));
    let tuple = FiveTuple { src, dst, protocol: key.protocol() };
    Way { interface: u32::from(flow.interface), tuple, direction }
}

/// Whether nobody reads datagrams from this side, at whatever place in the flow.
fn is_unread(flow: &Flow, o: &Observation<'_>) -> bool {
    let [low, high] = [Side::Low, Side::High].map(|side| flow.key.port(side));
    o.spoken.is_none() && !Registry::global().is_spoken(low, high) && flow.heed.is_done_with(o.side)
}

impl Tally {
    /// Has the flow settle in this direction, if most of what is sent there says nothing any more.
    #[cold]
    pub(super) fn may_settle(&mut self, number: u32, o: &Observation<'_>) {
        let flow = self.flows.get_mut(number);
        let bit = 1 << o.side.index();
        let says_nothing = match flow.key.protocol() {
            UDP => is_unread(flow, o),
            TCP => o.segment.len == 0 && o.segment.flags.0 == TcpFlags::ACK && flow.acknowledges(o.side),
            _ => false,
        };
        if !says_nothing || flow.settled & bit != 0 {
            return;
        }
        flow.settled |= bit;
        let direction = match o.local {
            0 => Direction::Unknown,
            here if here == LOCAL[o.side.index()] => Direction::Outbound,
            _ => Direction::Inbound,
        };
        self.settling.push(Settle::Begin(way(flow, o.side, direction)));
    }

    /// Flows that are gone need not be counted apart any more.
    pub(crate) fn unsettle<'a>(&mut self, gone: impl Iterator<Item = &'a Flow>) {
        self.settling.extend(gone.flat_map(end));
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
