//! Who looks names up.

use std::hash::BuildHasher;
use std::net::IpAddr;

use dissect::Ip;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Askers that are known; beyond, all are learned anew.
const MAX_KNOWN: usize = 65_536;

/// Who looks names up.
#[derive(Debug, Default)]
pub(super) struct Askers {
    /// Hashes of addresses, and whether queries of theirs pass here, not answers alone.
    known: HashMap<u64, bool>,
    seed: RandomState,
}

impl Askers {
    /// Takes note of a message; tells `fresh` of an asker that was not known.
    pub(super) fn note(&mut self, ip: &Ip, is_answer: bool, fresh: &mut Vec<IpAddr>) {
        let asker = if is_answer { ip.dst } else { ip.src };
        let hash = self.hash(asker, ip.version);
        if let Some(asks) = self.known.get_mut(&hash) {
            *asks |= !is_answer;
            return;
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(hash, !is_answer);
        fresh.push(if is_answer { ip.destination() } else { ip.source() });
    }

    /// Whether queries of an address pass here.
    pub(super) fn asks(&self, addr: u128, version: u8) -> bool {
        self.known.get(&self.hash(addr, version)).is_some_and(|asks| *asks)
    }

    fn hash(&self, addr: u128, version: u8) -> u64 {
        self.seed.hash_one((addr, version))
    }
}
