//! Who may read an opening, told by its first byte.

use std::sync::LazyLock;

use super::{AppDissector, Begins, MESSAGES, OPENINGS, Port, signature};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Words of a set.
const WORDS: usize = 4;

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
    /// Those that may read what begins with `first` on `transport`.
    #[inline]
    pub fn of(transport: u8, first: u8) -> Self {
        let table = match transport {
            TCP => &TABLES.tcp,
            UDP => &TABLES.udp,
            _ => return Candidates::default(),
        };
        table.get(usize::from(first)).copied().unwrap_or_default()
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
        let recurring = TABLES.recur.each().flat_map(|(_, dissector)| dissector.ports());
        recurring.into_iter().any(|&known| known == Port::Tcp(port))
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
    pub fn each(self) -> impl Iterator<Item = (Candidates, &'static dyn AppDissector)> {
        let all = &**ALL;
        let places = self.0.into_iter().enumerate().flat_map(|(word, mut rest)| {
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(word * 64 + bit)
            })
        });
        places.filter_map(|place| Some((Candidates::one(place), *all.get(place)?)))
    }

    fn with(mut self, other: Self, both: impl Fn(u64, u64) -> u64) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word = both(*word, other));
        self
    }

    fn one(place: usize) -> Self {
        let mut one = Candidates::default();
        if let Some(word) = one.0.get_mut(place / 64) {
            *word = 1 << (place % 64);
        }
        one
    }

    fn all(wanted: impl Fn(&dyn AppDissector) -> bool) -> Self {
        let places = ALL.iter().enumerate().filter(|(_, d)| wanted(**d));
        places.fold(Candidates::default(), |all, (place, _)| all.or(Candidates::one(place)))
    }
}

/// The protocol that is usually spoken on `port`.
pub fn protocol_by_port(transport: u8, port: u16) -> Option<&'static str> {
    let at =
        PORTS.binary_search_by_key(&(transport, port), |&(transport, port, _)| (transport, port)).ok()?;
    PORTS.get(at).map(|&(.., name)| name)
}

/// Transport, port and the first who is known by it, sorted.
static PORTS: LazyLock<Vec<(u8, u16, &'static str)>> = LazyLock::new(|| {
    let messages = MESSAGES.iter().flat_map(|d| d.ports().iter().map(move |&port| (port, d.name())));
    let named = ALL.iter().flat_map(|d| d.ports().iter().map(move |&port| (port, d.name())));
    let mut ports: Vec<_> = messages
        .chain(named)
        .map(|(port, name)| match port {
            Port::Tcp(port) => (TCP, port, name),
            Port::Udp(port) => (UDP, port, name),
        })
        .collect();
    // Stable: of several, the first one stays in front.
    ports.sort_by_key(|&(transport, port, _)| (transport, port));
    ports.dedup_by_key(|&mut (transport, port, _)| (transport, port));
    ports
});

/// By first byte, those that it may begin.
struct Tables {
    tcp: Box<[Candidates; 256]>,
    udp: Box<[Candidates; 256]>,
    follow: Candidates,
    recur: Candidates,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables {
    tcp: table(TCP),
    udp: table(UDP),
    follow: Candidates::all(|d| d.follows_others()),
    recur: Candidates::all(|d| d.recurs()),
});

fn table(transport: u8) -> Box<[Candidates; 256]> {
    let may_begin = |d: &dyn AppDissector, byte: u8| {
        d.transports().contains(&transport)
            && match d.begins() {
                Begins::Any => true,
                Begins::With(bytes) => bytes.contains(&byte),
            }
    };
    let mut table = Box::new([Candidates::default(); 256]);
    for (byte, slot) in (0..=255).zip(table.iter_mut()) {
        *slot = Candidates::all(|d| may_begin(d, byte));
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
            let byte = match dissector.begins() {
                Begins::Any => 0,
                Begins::With([]) => continue,
                Begins::With(bytes) => bytes[0],
            };
            for &transport in dissector.transports() {
                let found = Candidates::of(transport, byte);
                let one = Candidates::one(place);
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
        assert!(Candidates::of(132, 0).is_empty());
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
