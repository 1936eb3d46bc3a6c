//! Which dissector reads what.

use std::sync::LazyLock;

use super::{Claim, DISSECTORS, Dissector, DissectorId, fast};
use crate::boxed::boxed;
use crate::port_set::PortSet;
use crate::{LinkType, app};

const NONE: u8 = u8::MAX;
/// Registries of 16-bit numbers, which stand first in the table, with all their places.
const WIDE: usize = 5;
/// Registries of 8-bit numbers.
const NARROW: usize = 4;
const PLACES: usize = (WIDE << 16) + (NARROW << 8);

/// Claim → dissector, built once from [`DISSECTORS`]. A look-up is one read, but for the few SNAP numbers.
pub struct Registry {
    table: Box<[u8; PLACES]>,
    others: Vec<(Claim, u8)>,
    /// Ports by which a dissector of this or the application's kind is known, over UDP or TCP.
    spoken_ports: PortSet,
    /// By number; as many as a number's 8 bits can tell apart.
    dissectors: [&'static dyn Dissector; 256],
    pub(crate) readers: fast::Readers,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("dissectors", &DISSECTORS.len()).finish_non_exhaustive()
    }
}

impl Registry {
    /// The one registry of the process.
    pub fn global() -> &'static Self {
        static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::build);
        &REGISTRY
    }

    fn build() -> Self {
        let mut r = Registry {
            table: boxed(NONE),
            others: Vec::new(),
            spoken_ports: app::ports().collect(),
            dissectors: std::array::from_fn(|n| DissectorId(n as u16).dissector()),
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
        if let Claim::UdpPort(port) = claim {
            self.spoken_ports.insert(port);
        }
        match place(claim).and_then(|at| self.table.get_mut(at)) {
            Some(slot) => *slot = number,
            None => self.others.push((claim, number)),
        }
    }

    /// Whether some dissector of what UDP carries, or of messages, is known by one of these ports: if not, nobody has to be
    /// asked.
    #[inline]
    pub fn is_spoken(&self, src_port: u16, dst_port: u16) -> bool {
        self.spoken_ports.has_any([src_port, dst_port])
    }

    /// Whether some dissector reads what UDP carries from or to `port`.
    pub(crate) fn claims_udp_port(&self, port: u16) -> bool {
        self.claimant(Claim::UdpPort(port)).is_some()
    }

    /// The dissector of a number that [`Self::claimant`] gave.
    #[inline]
    pub(crate) fn dissector(&self, id: DissectorId) -> &'static dyn Dissector {
        let Some(dissector) = self.dissectors.get(usize::from(id.0 as u8)) else { return id.dissector() };
        *dissector
    }

    /// Who reads what `claim` names.
    #[inline]
    pub fn claimant(&self, claim: Claim) -> Option<DissectorId> {
        let number = match place(claim) {
            Some(at) => self.table.get(at).copied(),
            None => self.others.iter().find(|(c, _)| *c == claim).map(|&(_, number)| number),
        };
        number.filter(|&n| n != NONE).map(|n| DissectorId(u16::from(n)))
    }
}

/// Where the claimant of a claim stands in the table; SNAP numbers are too many for one.
#[inline(always)]
fn place(claim: Claim) -> Option<usize> {
    let wide = |registry: usize, number: u16| Some(registry << 16 | usize::from(number));
    let narrow = |registry: usize, number: u8| Some(WIDE << 16 | registry << 8 | usize::from(number));
    match claim {
        Claim::Link(link) => wide(0, link.0),
        Claim::EtherType(number) => wide(1, number),
        Claim::UdpPort(port) => wide(2, port),
        Claim::PppProtocol(number) => wide(3, number),
        Claim::AddressFamily(number) => wide(4, number),
        Claim::IpProtocol(number) => narrow(0, number),
        Claim::LlcSap(number) => narrow(1, number),
        Claim::Nlpid(number) => narrow(2, number),
        Claim::Form(form) => narrow(3, form as u8),
        Claim::Snap { .. } => None,
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
