//! The order of rows.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use dissect::Timestamp;

use crate::flow::Flow;
use crate::group::Group;
use crate::key::FlowKey;
use crate::key::Side;

/// What rows are sorted by; the greatest comes first, but for `First`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SortKey {
    /// IP bytes, both ways.
    #[default]
    Bytes,
    /// IP bytes by the flow's own duration; live, over the last interval, and then IP bytes.
    Rate,
    /// Packets, both ways.
    Packets,
    /// Round-trip time of the handshake.
    Rtt,
    /// Segments sent again.
    Retrans,
    /// Earliest first packet.
    First,
    /// Latest last packet.
    Last,
}

/// A flow's place: smaller comes first. Ties go to the earlier flow, then to the lower key, so that order never depends
/// on the hash.
pub(crate) type Place = (Reverse<u128>, Timestamp, FlowKey);

impl SortKey {
    /// Where `flow` stands; live, at so many bytes a second.
    pub(crate) fn place(self, flow: &Flow, rate: Option<f64>) -> Place {
        let total = flow.total();
        let score = match (self, rate) {
            (SortKey::Bytes, _) => u128::from(total.ip_bytes),
            (SortKey::Rate, Some(rate)) => u128::from(rate as u64) << 64 | u128::from(total.ip_bytes),
            (SortKey::Rate, None) => {
                let nanos = flow.last.0.saturating_sub(flow.first.0).max(1_000_000) as u128;
                u128::from(total.ip_bytes) * 1_000_000_000 / nanos
            }
            (SortKey::Packets, _) => u128::from(total.packets),
            (SortKey::Rtt, _) => flow.tcp().and_then(|tcp| tcp.rtt()).map_or(0, |rtt| rtt.as_nanos()),
            (SortKey::Retrans, _) => flow
                .tcp()
                .map_or(0, |t| u128::from(t.retransmits(Side::Low)) + u128::from(t.retransmits(Side::High))),
            (SortKey::First, _) => 0,
            (SortKey::Last, _) => (i128::from(flow.last.0) - i128::from(i64::MIN)) as u128,
        };
        (Reverse(score), flow.first, flow.key)
    }

    /// Whether groups of flows can be sorted by it.
    pub fn is_of_groups(self) -> bool {
        matches!(self, SortKey::Bytes | SortKey::Packets | SortKey::First | SortKey::Last)
    }

    /// Whether `one` comes before `other`; by bytes, if groups have no such figure. Ties go to the one with more bytes, then
    /// packets, then the lower key.
    pub(crate) fn order_groups(self, one: &Group, other: &Group) -> Ordering {
        let (mine, theirs) = (one.total(), other.total());
        let by_key = match self {
            SortKey::Packets => theirs.packets.cmp(&mine.packets),
            SortKey::First => one.first.cmp(&other.first),
            SortKey::Last => other.last.cmp(&one.last),
            SortKey::Bytes | SortKey::Rate | SortKey::Rtt | SortKey::Retrans => Ordering::Equal,
        };
        let by_size = || (theirs.ip_bytes, theirs.packets).cmp(&(mine.ip_bytes, mine.packets));
        by_key.then_with(by_size).then_with(|| one.key.cmp(&other.key))
    }
}

/// Keeps the `limit` items with the smallest places.
#[derive(Debug)]
pub(crate) struct Top<T> {
    limit: usize,
    heap: BinaryHeap<Placed<T>>,
}

#[derive(Debug)]
struct Placed<T> {
    place: Place,
    item: T,
}

impl<T> PartialEq for Placed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl<T> Eq for Placed<T> {}

impl<T> PartialOrd for Placed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Placed<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.cmp(&other.place)
    }
}

impl<T> Top<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, heap: BinaryHeap::new() }
    }

    /// Whether an item of this place would be kept.
    pub(crate) fn takes(&self, place: &Place) -> bool {
        self.limit > 0
            && (self.heap.len() < self.limit || self.heap.peek().is_some_and(|worst| *place < worst.place))
    }

    /// The items with their places, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Place, &T)> {
        self.heap.iter().map(|placed| (&placed.place, &placed.item))
    }

    pub(crate) fn offer(&mut self, place: Place, item: T) {
        if self.heap.len() < self.limit {
            self.heap.push(Placed { place, item });
        } else if let Some(mut worst) = self.heap.peek_mut()
            && place < worst.place
        {
            *worst = Placed { place, item };
        }
    }

    /// The items, first place first.
    pub(crate) fn into_sorted(self) -> impl Iterator<Item = T> {
        self.heap.into_sorted_vec().into_iter().map(|placed| placed.item)
    }
}
