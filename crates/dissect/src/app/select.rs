//! Who may read an opening, told by its first byte.

use std::sync::LazyLock;

use super::{AppDissector, Begins, OPENINGS, Port};

const TCP: u8 = 6;
const UDP: u8 = 17;

const _: () = assert!(OPENINGS.len() <= 64, "a bit each");

/// A set of application dissectors, a bit each, in the order of their registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Candidates(u64);

impl Candidates {
    /// Those that may read what begins with `first` on `transport`.
    #[inline]
    pub fn of(transport: u8, first: u8) -> Self {
        let table = match transport {
            TCP => &TABLES.tcp,
            UDP => &TABLES.udp,
            _ => return Candidates(0),
        };
        Candidates(table.get(usize::from(first)).copied().unwrap_or(0))
    }

    /// Those that may begin in a flow of datagrams that was another one's at first.
    pub fn that_follow_others() -> Self {
        Candidates(TABLES.follow)
    }

    /// Those that may read a later packet of a flow that was told already.
    #[inline]
    pub fn that_come_later() -> Self {
        Candidates(TABLES.follow | TABLES.recur)
    }

    /// Those of the name, whose openings may follow each other.
    pub fn that_recur(name: &str) -> Self {
        Candidates(bits(|d| d.recurs() && d.name() == name))
    }

    /// Nobody.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Candidates(self.0 & other.0)
    }

    /// Those in either set.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Candidates(self.0 | other.0)
    }

    /// Without those of `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Candidates(self.0 & !other.0)
    }

    /// Each of them alone, with its dissector, in the order of the registry.
    pub fn each(self) -> impl Iterator<Item = (Candidates, &'static dyn AppDissector)> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let place = rest.trailing_zeros() as usize;
            let one = rest & rest.wrapping_neg();
            rest ^= one;
            OPENINGS.get(place).map(|&dissector| (Candidates(one), dissector))
        })
    }
}

/// The protocol that is usually spoken on `port`.
pub fn protocol_by_port(transport: u8, port: u16) -> Option<&'static str> {
    let wanted = match transport {
        TCP => Port::Tcp(port),
        UDP => Port::Udp(port),
        _ => return None,
    };
    OPENINGS.iter().find(|d| d.ports().contains(&wanted)).map(|d| d.name())
}

/// By first byte, a bit for each dissector that it may begin.
struct Tables {
    tcp: Box<[u64; 256]>,
    udp: Box<[u64; 256]>,
    follow: u64,
    recur: u64,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables {
    tcp: table(TCP),
    udp: table(UDP),
    follow: bits(|d| d.follows_others()),
    recur: bits(|d| d.recurs()),
});

fn table(transport: u8) -> Box<[u64; 256]> {
    let may_begin = |d: &dyn AppDissector, byte: u8| {
        d.transports().contains(&transport)
            && match d.begins() {
                Begins::Any => true,
                Begins::With(bytes) => bytes.contains(&byte),
            }
    };
    let mut table = Box::new([0; 256]);
    for (byte, slot) in (0..=255).zip(table.iter_mut()) {
        *slot = bits(|d| may_begin(d, byte));
    }
    table
}

fn bits(wanted: impl Fn(&dyn AppDissector) -> bool) -> u64 {
    let places = (0u32..).zip(OPENINGS).filter(|(_, d)| wanted(**d));
    places.fold(0, |bits, (place, _)| bits | 1 << place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_what_it_begins_with_and_by_its_ports() {
        for (place, dissector) in OPENINGS.iter().enumerate() {
            let byte = match dissector.begins() {
                Begins::Any => 0,
                Begins::With(bytes) => bytes[0],
            };
            for &transport in dissector.transports() {
                let found: Vec<_> = Candidates::of(transport, byte).each().map(|(one, _)| one.0).collect();
                assert!(found.contains(&(1 << place)), "{}", dissector.name());
                assert!(found.is_sorted());
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
}
