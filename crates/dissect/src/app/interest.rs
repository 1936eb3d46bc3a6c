//! Whether a later payload of a flow is worth a closer look, told by its first byte alone.

use std::sync::LazyLock;

use super::Candidates;

const TCP: u8 = 6;
const UDP: u8 = 17;
const FOLLOWS: u8 = 1;
const RECURS: u8 = 2;

/// What a payload of a certain first byte may be to some application dissector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest(u8);

impl Interest {
    /// Of what begins with `first` on `transport`.
    #[inline]
    pub fn of(transport: u8, first: u8) -> Self {
        let [tcp, udp] = &**TABLES;
        let table = match transport {
            TCP => tcp,
            UDP => udp,
            _ => return Interest(0),
        };
        Interest(table.get(usize::from(first)).copied().unwrap_or(0))
    }

    /// It may begin another protocol in a flow of datagrams.
    #[inline]
    pub fn follows(self) -> bool {
        self.0 & FOLLOWS != 0
    }

    /// It may begin the next opening of a protocol of which openings follow each other.
    #[inline]
    pub fn recurs(self) -> bool {
        self.0 & RECURS != 0
    }
}

/// By transport and first byte.
static TABLES: LazyLock<Box<[[u8; 256]; 2]>> = LazyLock::new(|| {
    let mut tables = Box::new([[0; 256]; 2]);
    for (transport, table) in [TCP, UDP].into_iter().zip(tables.iter_mut()) {
        for (first, interest) in (0..=255).zip(table.iter_mut()) {
            let all = Candidates::that_begin(transport, first);
            let recurs = !all.and(Candidates::that_recur()).is_empty();
            let follows = !all.and(Candidates::that_follow_others()).is_empty();
            let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
            *interest = bit(follows, FOLLOWS) | bit(recurs, RECURS);
        }
    }
    tables
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_passed_over_that_somebody_may_read() {
        for transport in [TCP, UDP, 132] {
            for first in 0..=255 {
                let (all, interest) =
                    (Candidates::that_begin(transport, first), Interest::of(transport, first));
                assert_eq!(interest.recurs(), all.each().any(|(_, dissector)| dissector.recurs()));
                assert_eq!(interest.follows(), all.each().any(|(_, dissector)| dissector.follows_others()));
            }
        }
    }
}
