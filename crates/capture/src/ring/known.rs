//! The interfaces that packets were seen of.

use std::collections::{BTreeMap, VecDeque};

use super::block::Slot;
use super::link::{DEPARTED, Start};
use crate::Record;

/// Interfaces that are told apart over a run; of further ones, those whose packets begin alike are one.
const APART: usize = 65_000;
/// Interfaces that are found without a search, each at its number modulo this.
const NEAR: usize = 64;

/// An interface that a packet was seen of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) ifindex: u32,
    pub(super) hatype: u16,
    pub(super) start: Start,
    /// Index into the interfaces.
    pub(super) number: u32,
}

impl Known {
    #[inline]
    pub(super) fn is_of(&self, slot: &Slot) -> bool {
        self.ifindex == slot.ifindex && self.hatype == slot.hatype
    }

    #[inline]
    pub(super) fn record(&self, slot: &Slot) -> Record {
        let skipped = match self.start {
            Start::Link(_) => 0,
            Start::Network => slot.network.min(slot.captured),
        };
        Record {
            timestamp: slot.timestamp,
            start: slot.start + skipped,
            captured: slot.captured - skipped,
            wire_len: slot.wire_len,
            interface: self.number,
            vlan_tci: slot.vlan_tci,
            direction: slot.direction,
        }
    }
}

/// Where an interface stands that was met, in the list of interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// At this place, which is a new one.
    New(u32),
    /// At this new place, together with those that will be met.
    Others(u32),
    /// At this place, where others stand.
    Known(u32),
}

/// All of them. Those that are gone are known for as long as packets of theirs may still be unread.
#[derive(Debug, Default)]
pub(super) struct KnownLinks {
    /// By number in the system and kind; of either an interface may get another one.
    all: BTreeMap<(u32, u16), Known>,
    /// Some of them again.
    near: Vec<Option<Known>>,
    /// Numbers of those that are gone, longest first.
    gone: VecDeque<u32>,
    /// The number in the system of each interface that was ever met; 0 for those that are not told apart.
    numbers: Vec<u32>,
    /// Those that are not told apart.
    others: Vec<Known>,
}

impl KnownLinks {
    /// The one that a packet passed.
    #[inline]
    pub(super) fn of(&mut self, slot: &Slot) -> Option<Known> {
        match self.near.get(slot.ifindex as usize % NEAR) {
            Some(Some(known)) if known.is_of(slot) => Some(*known),
            _ => self.search(slot.ifindex, slot.hatype),
        }
    }

    fn search(&mut self, ifindex: u32, hatype: u16) -> Option<Known> {
        let known = *self.all.get(&(ifindex, hatype))?;
        self.near.resize(NEAR, None);
        if let Some(place) = self.near.get_mut(ifindex as usize % NEAR) {
            *place = Some(known);
        }
        Some(known)
    }

    /// Those of this number, whatever kind it was when they were met.
    pub(super) fn numbered(&self, ifindex: u32) -> impl Iterator<Item = &Known> {
        self.all.range((ifindex, 0)..=(ifindex, u16::MAX)).map(|(_, known)| known)
    }

    /// The one of this number that was met last.
    pub(super) fn latest(&self, ifindex: u32) -> Option<&Known> {
        self.numbered(ifindex).max_by_key(|known| known.number)
    }

    /// The number in the system of what stands at `number` in the list of interfaces.
    pub(super) fn ifindex(&self, number: usize) -> Option<u32> {
        self.numbers.get(number).copied()
    }

    /// Knows one more.
    pub(super) fn meet(&mut self, ifindex: u32, hatype: u16, start: Start) -> Met {
        let apart = self.numbers.len() < APART;
        let shared = self.others.iter().find(|other| !apart && other.start == start);
        let number = shared.map_or(self.numbers.len() as u32, |other| other.number);
        let known = Known { ifindex, hatype, start, number };
        let met = match (shared, apart) {
            (Some(_), _) => Met::Known(number),
            (None, true) => Met::New(number),
            (None, false) => Met::Others(number),
        };
        match met {
            Met::New(_) => self.numbers.push(ifindex),
            Met::Others(_) => {
                self.numbers.push(0);
                self.others.push(known);
            }
            Met::Known(_) => {}
        }
        self.all.insert((ifindex, hatype), known);
        met
    }

    /// Remembers that the one of this number is gone, and forgets who is gone for long.
    pub(super) fn depart(&mut self, ifindex: u32) {
        if self.numbered(ifindex).next().is_none() {
            return;
        }
        self.gone.push_back(ifindex);
        if self.gone.len() > DEPARTED
            && let Some(oldest) = self.gone.pop_front()
        {
            self.forget(oldest);
        }
    }

    /// The number is another interface's now.
    pub(super) fn replace(&mut self, ifindex: u32) {
        self.gone.retain(|&gone| gone != ifindex);
        self.forget(ifindex);
    }

    fn forget(&mut self, ifindex: u32) {
        let kinds: Vec<u16> = self.numbered(ifindex).map(|known| known.hatype).collect();
        for hatype in kinds {
            self.all.remove(&(ifindex, hatype));
        }
        self.near.clear();
    }
}

#[cfg(test)]
mod tests {
    use dissect::{Direction, LinkType, Timestamp};

    use super::*;

    const ETHERNET: Start = Start::Link(LinkType::ETHERNET);

    fn found(links: &mut KnownLinks, ifindex: u32) -> Option<u32> {
        let slot = Slot {
            timestamp: Timestamp(0),
            start: 0,
            captured: 0,
            wire_len: 0,
            network: 0,
            vlan_tci: None,
            ifindex,
            hatype: 1,
            direction: Direction::Unknown,
        };
        // The first time where it stands, then where it is near.
        let [first, second] = [(); 2].map(|()| links.of(&slot).map(|known| known.number));
        assert_eq!(first, second);
        first
    }

    #[test]
    fn who_is_gone_is_known_for_a_while() {
        let mut links = KnownLinks::default();
        links.meet(1, 1, ETHERNET);
        for number in 1..10_000 {
            let ifindex = number + 100;
            assert_eq!(links.meet(ifindex, 1, ETHERNET), Met::New(number));
            assert_eq!(found(&mut links, ifindex), Some(number));
            links.depart(ifindex);
            assert_eq!(found(&mut links, ifindex), Some(number), "its packets may be unread");
        }
        assert_eq!(links.all.len(), DEPARTED + 1);
        assert_eq!((found(&mut links, 1), found(&mut links, 101)), (Some(0), None));
        assert_eq!((links.ifindex(1), links.ifindex(9999)), (Some(101), Some(10_099)), "that is still told");
        assert_eq!(links.ifindex(10_000), None);
    }

    #[test]
    fn a_number_may_become_another_interfaces() {
        let mut links = KnownLinks::default();
        links.meet(7, 1, ETHERNET);
        assert_eq!(found(&mut links, 7), Some(0));
        links.depart(7);
        links.replace(7);
        assert_eq!(found(&mut links, 7), None);
        links.meet(7, 1, ETHERNET);
        links.meet(7, 801, Start::Network);
        assert_eq!(found(&mut links, 7), Some(1), "as it was before it became another kind");
        assert_eq!(links.latest(7).map(|known| known.number), Some(2));
        for other in 100..100 + DEPARTED as u32 {
            links.meet(other, 1, ETHERNET);
            links.depart(other);
        }
        assert_eq!(found(&mut links, 7), Some(1), "it has not gone again");
    }

    #[test]
    fn beyond_many_they_are_told_apart_by_their_kind_alone() {
        let mut links = KnownLinks::default();
        let most = APART as u32;
        for ifindex in 0..most {
            assert_eq!(links.meet(ifindex + 1, 1, ETHERNET), Met::New(ifindex));
            links.depart(ifindex + 1);
        }
        assert_eq!(links.meet(most + 1, 1, ETHERNET), Met::Others(most));
        assert_eq!(links.meet(most + 2, 801, Start::Network), Met::Others(most + 1));
        assert_eq!(links.meet(most + 3, 1, ETHERNET), Met::Known(most));
        assert_eq!((found(&mut links, most + 3), links.ifindex(APART)), (Some(most), Some(0)));
        assert_eq!(links.numbers.len(), APART + 2);
    }
}
