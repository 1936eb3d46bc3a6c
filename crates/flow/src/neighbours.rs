//! Link-layer addresses of the hosts of the links that packets pass, as these hosts tell them.

use std::net::IpAddr;

use dissect::Mac;
use hashbrown::HashMap;

/// Hosts that are known at once; those beyond are not.
const MOST: usize = 65_536;
/// IP addresses that one host is believed to have: one of IPv4, and those of IPv6 that it makes for itself (RFC 8981) and
/// is given. Who tells more speaks for others, as a proxy does (RFC 1027, RFC 4389).
const MOST_OF_ONE: usize = 9;

/// Link-layer addresses by IP address.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    known: HashMap<IpAddr, Mac>,
    /// The same the other way round.
    hosts: HashMap<Mac, Vec<IpAddr>>,
    /// What changed since somebody asked.
    pub(crate) fresh: Vec<(IpAddr, Mac)>,
}

impl Neighbours {
    /// The latest counts.
    pub(crate) fn learn(&mut self, addr: IpAddr, mac: Mac) {
        let before = self.known.get(&addr).copied();
        if before == Some(mac) || before.is_none() && self.known.len() >= MOST {
            return;
        }
        self.known.insert(addr, mac);
        if let Some(of_other) = before.and_then(|before| self.hosts.get_mut(&before)) {
            of_other.retain(|known| *known != addr);
        }
        self.hosts.entry(mac).or_default().push(addr);
        if self.fresh.len() < MOST {
            self.fresh.push((addr, mac));
        }
    }

    pub(crate) fn of(&self, addr: IpAddr) -> Option<Mac> {
        self.known.get(&addr).copied()
    }

    /// All addresses of the host that has `addr`, as it tells them on its link: none, where it may speak for others.
    pub(crate) fn of_same_host(&self, addr: IpAddr) -> &[IpAddr] {
        let Some(all) = self.known.get(&addr).and_then(|mac| self.hosts.get(mac)) else { return &[] };
        let is_one = all.len() <= MOST_OF_ONE && all.iter().filter(|addr| addr.is_ipv4()).count() <= 1;
        if is_one { all } else { &[] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_address_of_ipv4_and_some_of_ipv6() {
        let addr = |text: &str| text.parse::<IpAddr>().unwrap();
        let (mut neighbours, host, other) = (Neighbours::default(), [2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let own = ["192.0.2.1", "2001:db8::1", "fe80::1"].map(addr);
        for addr in own {
            neighbours.learn(addr, host);
        }
        neighbours.learn(addr("192.0.2.2"), other);
        assert_eq!(neighbours.of_same_host(own[1]), own);
        assert_eq!(neighbours.of_same_host(addr("192.0.2.2")), [addr("192.0.2.2")]);
        assert!(neighbours.of_same_host(addr("192.0.2.3")).is_empty());
        // An address that another host has taken over is that one's.
        neighbours.learn(own[1], other);
        assert_eq!(neighbours.of_same_host(own[1]), [addr("192.0.2.2"), own[1]]);
        assert_eq!(neighbours.of_same_host(own[0]), [own[0], own[2]]);
        // A router that answers for others is no host that looked up what they did.
        neighbours.learn(addr("192.0.2.7"), host);
        assert!(neighbours.of_same_host(own[0]).is_empty());
        for n in 0..10 {
            neighbours.learn(addr(&format!("2001:db8::f{n}")), other);
        }
        assert!(neighbours.of_same_host(own[1]).is_empty());
    }
}
