//! Which dissector reads what.

use std::sync::LazyLock;

use super::{Claim, DISSECTORS, DissectorId, fast};
use crate::LinkType;

const NONE: u8 = u8::MAX;
/// Numbers of 16 bits, by registry: a table each.
const WIDE: usize = 5;
/// Numbers of 8 bits, by registry: 256 places each, in one table.
const NARROW: usize = 4;

/// Claim → dissector, built once from [`DISSECTORS`]. A look-up is one read, but for the few SNAP numbers.
#[derive(Debug)]
pub struct Registry {
    wide: [Box<[u8]>; WIDE],
    narrow: [u8; NARROW * 256],
    others: Vec<(Claim, u8)>,
    /// One bit a UDP port: whether it is claimed. Eight times denser than the table, so that it stays in the cache.
    claimed_udp_ports: Box<[u64]>,
    pub(crate) readers: fast::Readers,
}

impl Registry {
    /// The one registry of the process.
    pub fn global() -> &'static Self {
        static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::build);
        &REGISTRY
    }

    fn build() -> Self {
        let mut r = Registry {
            wide: std::array::from_fn(|_| vec![NONE; 1 << 16].into()),
            narrow: [NONE; NARROW * 256],
            others: Vec::new(),
            claimed_udp_ports: vec![0; (1 << 16) / 64].into(),
            readers: fast::Readers::default(),
        };
        for (number, dissector) in DISSECTORS.iter().enumerate() {
            for &claim in dissector.claims() {
                debug_assert!(r.claimant(claim).is_none(), "{claim:?} is claimed twice");
                r.claim(claim, number as u8);
            }
        }
        let reader = |claim| r.claimant(claim).unwrap_or_default();
        r.readers = fast::Readers {
            ethernet: reader(Claim::Link(LinkType::ETHERNET)),
            vlan: reader(Claim::EtherType(0x8100)),
            ipv4: reader(Claim::EtherType(0x0800)),
            ipv6: reader(Claim::EtherType(0x86dd)),
            tcp: reader(Claim::IpProtocol(6)),
            udp: reader(Claim::IpProtocol(17)),
        };
        r
    }

    fn claim(&mut self, claim: Claim, number: u8) {
        if let Claim::UdpPort(port) = claim
            && let Some(word) = self.claimed_udp_ports.get_mut(usize::from(port / 64))
        {
            *word |= 1 << (port % 64);
        }
        let slot = match Place::of(claim) {
            Place::Wide(table, at) => self.wide.get_mut(table).and_then(|t| t.get_mut(at)),
            Place::Narrow(at) => self.narrow.get_mut(at),
            Place::Listed => None,
        };
        match slot {
            Some(slot) => *slot = number,
            None => self.others.push((claim, number)),
        }
    }

    /// Whether some dissector reads what UDP carries from or to `port`.
    #[inline]
    pub(crate) fn claims_udp_port(&self, port: u16) -> bool {
        self.claimed_udp_ports.get(usize::from(port / 64)).is_none_or(|word| word >> (port % 64) & 1 != 0)
    }

    /// Who reads what `claim` names.
    #[inline]
    pub fn claimant(&self, claim: Claim) -> Option<DissectorId> {
        let number = match Place::of(claim) {
            Place::Wide(table, at) => self.wide.get(table).and_then(|t| t.get(at)).copied(),
            Place::Narrow(at) => self.narrow.get(at).copied(),
            Place::Listed => self.others.iter().find(|(c, _)| *c == claim).map(|&(_, number)| number),
        };
        number.filter(|&n| n != NONE).map(|n| DissectorId(u16::from(n)))
    }
}

/// Where the claimant of a claim stands.
enum Place {
    Wide(usize, usize),
    Narrow(usize),
    Listed,
}

impl Place {
    #[inline]
    fn of(claim: Claim) -> Self {
        match claim {
            Claim::Link(link) => Place::Wide(0, usize::from(link.0)),
            Claim::EtherType(number) => Place::Wide(1, usize::from(number)),
            Claim::UdpPort(port) => Place::Wide(2, usize::from(port)),
            Claim::PppProtocol(number) => Place::Wide(3, usize::from(number)),
            Claim::AddressFamily(number) => Place::Wide(4, usize::from(number)),
            Claim::IpProtocol(number) => Place::Narrow(usize::from(number)),
            Claim::LlcSap(number) => Place::Narrow(256 + usize::from(number)),
            Claim::Nlpid(number) => Place::Narrow(512 + usize::from(number)),
            Claim::Form(form) => Place::Narrow(768 + form as usize),
            Claim::Snap { .. } => Place::Listed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every dissector is found by every claim it makes, and nobody else is.
    #[test]
    fn claims_lead_to_their_claimants() {
        let registry = Registry::global();
        for (number, dissector) in DISSECTORS.iter().enumerate() {
            for &claim in dissector.claims() {
                assert_eq!(registry.claimant(claim), Some(DissectorId(number as u16)), "{claim:?}");
            }
        }
        assert_eq!(registry.claimant(Claim::IpProtocol(200)), None);
    }
}
