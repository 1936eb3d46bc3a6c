//! Who may read an opening, told by its first bytes, its length and its ports.

use std::sync::LazyLock;

use super::{AppDissector, Begins, MESSAGES, Mark, OPENINGS, Port, signature};
use crate::boxed::boxed;
use crate::port_set::PortSet;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Words of a set.
const WORDS: usize = 4;

/// The most that an application dissector may want at least.
const MOST_LEAST: usize = 63;

/// How many application dissectors there may be: a bit each.
#[cfg(test)]
const MOST: usize = WORDS * 64;

/// Every application dissector: those of the registry, then signatures.
static ALL: LazyLock<Vec<&'static dyn AppDissector>> = LazyLock::new(|| {
    let signatures =
        signature::FAMILIES.iter().copied().flatten().map(|signature| signature as &dyn AppDissector);
    OPENINGS.iter().copied().chain(signatures).collect()
});

/// A set of application dissectors, a bit each, in the order of [`ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Candidates([u64; WORDS]);

impl Candidates {
    /// Those that may read what an end says first, `said`, on `transport` between `ports`.
    #[inline]
    pub fn of(transport: u8, said: &[u8], ports: [u16; 2]) -> Self {
        let Some(&first) = said.first() else { return Candidates::default() };
        let tables = &*TABLES;
        let begin = tables.begin(transport, first);
        let go_on = said.get(1).and_then(|&second| tables.second.get(usize::from(second)));
        let asked = go_on.map_or(begin, |&go_on| begin.and(go_on));
        tables.without_missed(asked.and(tables.in_length(said.len())).and(tables.on(ports)), said)
    }

    /// Those that `first` may begin on `transport`, whatever the ports and whatever comes next.
    pub fn that_begin(transport: u8, first: u8) -> Self {
        TABLES.begin(transport, first)
    }

    /// Those that may begin in a flow of datagrams that was another one's at first.
    pub fn that_follow_others() -> Self {
        TABLES.follow
    }

    /// Those whose openings may follow each other in a flow.
    pub fn that_recur() -> Self {
        TABLES.recur
    }

    /// Whether a protocol of which openings follow each other is usually spoken on this port of TCP.
    pub fn recur_on(port: u16) -> bool {
        TABLES.recur_on.contains(&port)
    }

    /// Nobody.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0.iter().fold(0, |all, word| all | word) == 0
    }

    /// Those in both sets.
    #[inline]
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.with(other, |a, b| a & b)
    }

    /// Those in either set.
    #[inline]
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.with(other, |a, b| a | b)
    }

    /// Without those of `other`.
    #[inline]
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        self.with(other, |a, b| a & !b)
    }

    /// Each of them alone, with its dissector, in order.
    #[inline]
    pub fn each(self) -> impl Iterator<Item = (Candidates, &'static dyn AppDissector)> {
        let all = &**ALL;
        self.places().filter_map(|place| Some((Candidates::one(place), *all.get(place)?)))
    }

    /// Where they stand in [`ALL`].
    #[inline]
    fn places(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        let mut word = 0;
        std::iter::from_fn(move || {
            while *rest.get(word)? == 0 {
                word += 1;
            }
            let bits = rest.get_mut(word)?;
            let bit = bits.trailing_zeros() as usize;
            *bits &= *bits - 1;
            Some(word * 64 + bit)
        })
    }

    fn with(mut self, other: Self, both: impl Fn(u64, u64) -> u64) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word = both(*word, other));
        self
    }

    fn one(place: usize) -> Self {
        let mut one = Candidates::default();
        one.insert(place);
        one
    }

    fn insert(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn remove(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word &= !(1 << (place % 64));
        }
    }

    fn all(wanted: impl Fn(&dyn AppDissector) -> bool) -> Self {
        let mut all = Candidates::default();
        ALL.iter().enumerate().filter(|(_, d)| wanted(**d)).for_each(|(place, _)| all.insert(place));
        all
    }
}

/// The protocol that is usually spoken on `port`.
pub fn protocol_by_port(transport: u8, port: u16) -> Option<&'static str> {
    let usual = &*USUAL;
    let place = match transport {
        TCP => usual.tcp.get(usize::from(port)),
        UDP => usual.udp.get(usize::from(port)),
        _ => None,
    };
    usual.names.get(usize::from(*place?)).copied()
}

/// What is usually spoken on which ports: of several, the first in the registry.
struct Usual {
    /// By port, the place of its name; of most ports, none.
    tcp: Box<[u16; 1 << 16]>,
    udp: Box<[u16; 1 << 16]>,
    names: Vec<&'static str>,
}

static USUAL: LazyLock<Usual> = LazyLock::new(|| {
    let messages = MESSAGES.iter().map(|d| (d.name(), d.ports()));
    let named = messages.chain(ALL.iter().map(|d| (d.name(), d.ports())));
    let mut usual = Usual { tcp: boxed(u16::MAX), udp: boxed(u16::MAX), names: Vec::new() };
    for (place, (name, ports)) in named.enumerate() {
        usual.names.push(name);
        for port in ports {
            let slot = match *port {
                Port::Tcp(port) => usual.tcp.get_mut(usize::from(port)),
                Port::Udp(port) => usual.udp.get_mut(usize::from(port)),
            };
            if let Some(slot) = slot.filter(|slot| **slot == u16::MAX) {
                *slot = place as u16;
            }
        }
    }
    usual
});

/// Whom to ask, worked out once.
struct Tables {
    /// Those that a first byte may begin, over TCP and UDP.
    first: [Box<[Candidates; 256]>; 2],
    /// Those that a second byte may go on with.
    second: Box<[Candidates; 256]>,
    /// Those with a mark, and of each place that one may be at, those that a byte there does not rule out.
    marked: Candidates,
    marks: [Box<[Candidates; 256]>; Mark::PLACES],
    /// Those that so many bytes are enough for; the last one also for all that are longer.
    enough: [Candidates; MOST_LEAST + 1],
    /// Those that are asked whatever the ports.
    anywhere: Candidates,
    /// Ports on which others are asked too, sorted, and the same as a set.
    bound: Vec<(u16, Candidates)>,
    is_bound: PortSet,
    follow: Candidates,
    recur: Candidates,
    /// Ports of TCP on which those are usually spoken.
    recur_on: Vec<u16>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);

/// Makes the tables by which dissectors are chosen: else the first packet that has a payload waits for them.
pub fn prepare() {
    LazyLock::force(&TABLES);
}

impl Tables {
    fn new() -> Self {
        let mut ports: Vec<u16> = ALL.iter().flat_map(|d| d.only_on().iter().copied()).collect();
        ports.sort_unstable();
        ports.dedup();
        let recurring = ALL.iter().filter(|d| d.recurs());
        let tcp = |port: &Port| if let Port::Tcp(port) = port { Some(*port) } else { None };
        let on = |port| (port, Candidates::all(|d| d.only_on().contains(&port)));
        let begins = |transport| {
            by_byte(move |d| if d.transports().contains(&transport) { d.begins() } else { Begins::NONE })
        };
        Tables {
            first: [begins(TCP), begins(UDP)],
            second: by_byte(|d| d.continues()),
            marked: Candidates::all(|d| d.mark().is_some()),
            marks: std::array::from_fn(|place| not_ruled_out(Mark::FIRST + place)),
            enough: std::array::from_fn(|len| Candidates::all(|d| d.at_least() <= len)),
            anywhere: Candidates::all(|d| d.only_on().is_empty()),
            is_bound: ports.iter().copied().collect(),
            bound: ports.into_iter().map(on).collect(),
            follow: Candidates::all(|d| d.follows_others()),
            recur: Candidates::all(|d| d.recurs()),
            recur_on: recurring.flat_map(|d| d.ports()).filter_map(tcp).collect(),
        }
    }

    #[inline]
    fn begin(&self, transport: u8, first: u8) -> Candidates {
        let [tcp, udp] = &self.first;
        let table = match transport {
            TCP => tcp,
            UDP => udp,
            _ => return Candidates::default(),
        };
        table.get(usize::from(first)).copied().unwrap_or_default()
    }

    /// Those of `asked` whose mark is not missed in what an end `said`.
    #[inline]
    fn without_missed(&self, mut asked: Candidates, said: &[u8]) -> Candidates {
        if asked.and(self.marked).is_empty() {
            return asked;
        }
        for (table, &byte) in self.marks.iter().zip(said.get(Mark::FIRST..).unwrap_or_default()) {
            asked = asked.and(table.get(usize::from(byte)).copied().unwrap_or_default());
        }
        asked
    }

    /// Those that are asked about `len` bytes.
    #[inline]
    fn in_length(&self, len: usize) -> Candidates {
        self.enough.get(len.min(MOST_LEAST)).copied().unwrap_or_default()
    }

    /// Those that are asked between `ports`.
    #[inline]
    fn on(&self, ports: [u16; 2]) -> Candidates {
        let mut asked = self.anywhere;
        for port in ports {
            if self.is_bound.has(port) {
                asked = asked.or(self.bound_to(port));
            }
        }
        asked
    }

    fn bound_to(&self, port: u16) -> Candidates {
        let at = self.bound.binary_search_by_key(&port, |&(port, _)| port);
        at.ok().and_then(|at| self.bound.get(at)).map(|&(_, bound)| bound).unwrap_or_default()
    }
}

/// By byte, those that name it among `theirs`. Each is asked once: the tables are made anew in every run.
fn by_byte(theirs: impl Fn(&dyn AppDissector) -> Begins) -> Box<[Candidates; 256]> {
    let anything = Candidates::all(|d| theirs(d) == Begins::ANY);
    let mut table = Box::new([anything; 256]);
    for (place, dissector) in ALL.iter().enumerate() {
        let theirs = theirs(*dissector);
        if theirs == Begins::ANY {
            continue;
        }
        for (_, slot) in (0..=255).zip(table.iter_mut()).filter(|(byte, _)| theirs.may_be(*byte)) {
            slot.insert(place);
        }
    }
    table
}

/// By the byte at a place, those that may have it there.
fn not_ruled_out(place: usize) -> Box<[Candidates; 256]> {
    let mut table = Box::new([Candidates::all(|_| true); 256]);
    for (number, dissector) in ALL.iter().enumerate() {
        let Some(mark) = dissector.mark().filter(|mark| mark.at == place) else { continue };
        for (_, slot) in (0..=255).zip(table.iter_mut()).filter(|(byte, _)| !mark.is.may_be(*byte)) {
            slot.remove(number);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_what_it_begins_with_and_by_its_ports() {
        assert!(ALL.len() <= MOST, "a bit each");
        for (place, dissector) in ALL.iter().enumerate() {
            let byte = |begins: Begins| (0..=255).find(|&byte| begins.may_be(byte));
            let Some(first) = byte(dissector.begins()) else { continue };
            let second = byte(dissector.continues()).unwrap();
            let port = dissector.only_on().first().copied().unwrap_or(50_001);
            assert!(dissector.at_least() <= MOST_LEAST);
            let mut said = [0; MOST_LEAST + 1];
            (said[0], said[1]) = (first, second);
            if let Some(mark) = dissector.mark() {
                assert!((Mark::FIRST..Mark::FIRST + Mark::PLACES).contains(&mark.at));
                said[mark.at] = byte(mark.is).unwrap();
            }
            let short = &said[..dissector.at_least().saturating_sub(1)];
            for &transport in dissector.transports() {
                let one = Candidates::one(place);
                let found = Candidates::of(transport, &said, [50_000, port]);
                assert_eq!(found, Candidates::of(transport, &said, [port, 50_000]));
                assert!(Candidates::of(transport, short, [50_000, port]).and(one).is_empty());
                if let Some(mark) = dissector.mark() {
                    let mut missed = said;
                    missed[mark.at] = (0..=255).find(|&byte| !mark.is.may_be(byte)).unwrap();
                    let found = Candidates::of(transport, &missed, [50_000, port]);
                    assert!(found.and(one).is_empty(), "{}", dissector.name());
                    let found = Candidates::of(transport, &said[..mark.at], [50_000, port]);
                    assert!(!found.and(one).is_empty() || mark.at < dissector.at_least());
                }
                let elsewhere = Candidates::of(transport, &said, [50_000, 50_001]);
                assert_eq!(elsewhere.and(one).is_empty(), !dissector.only_on().is_empty());
                assert!(found.each().any(|(c, d)| c == one && d.name() == dissector.name()));
                assert!(found.without(one).each().all(|(c, _)| c != one));
            }
            for port in dissector.ports() {
                let (transport, number) = match port {
                    Port::Tcp(number) => (TCP, *number),
                    Port::Udp(number) => (UDP, *number),
                };
                assert!(protocol_by_port(transport, number).is_some(), "{port:?}");
            }
        }
        assert!(Candidates::of(132, &[0], [0, 0]).is_empty());
        assert!(Candidates::of(TCP, &[], [0, 0]).is_empty());
    }

    #[test]
    fn a_set_gives_each_of_its_members_in_order() {
        let all = Candidates::all(|_| true);
        assert_eq!(all.each().count(), ALL.len());
        for place in 0..MOST {
            let one = Candidates::one(place);
            assert_eq!(one.or(one).and(one), one);
            assert!(!one.is_empty() && one.without(one).is_empty());
        }
    }
}
