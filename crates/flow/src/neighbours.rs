//! Link-layer addresses of the hosts of the links that packets pass, as these hosts tell them.

use std::net::IpAddr;

use dissect::Mac;
use hashbrown::HashMap;

/// Hosts that are known at once; those beyond are not.
const MOST: usize = 65_536;

/// Link-layer addresses by IP address.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    known: HashMap<IpAddr, Mac>,
    /// What changed since somebody asked.
    pub(crate) fresh: Vec<(IpAddr, Mac)>,
}

impl Neighbours {
    /// The latest counts.
    pub(crate) fn learn(&mut self, addr: IpAddr, mac: Mac) {
        if self.known.len() >= MOST && !self.known.contains_key(&addr) {
            return;
        }
        if self.known.insert(addr, mac) != Some(mac) && self.fresh.len() < MOST {
            self.fresh.push((addr, mac));
        }
    }

    pub(crate) fn of(&self, addr: IpAddr) -> Option<Mac> {
        self.known.get(&addr).copied()
    }
}
