//! This host's addresses in one network namespace: `RTM_GETADDR` (rtnetlink(7)).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use crate::netlink::{Attributes, NetlinkSocket};

const GET_ADDRESS: u16 = 22;
/// Length of `ifaddrmsg`.
const HEADER: usize = 8;
const ATTRIBUTE_ADDRESS: u16 = 1;
const ATTRIBUTE_LOCAL: u16 = 2;
const ATTRIBUTE_BROADCAST: u16 = 4;
const AF_INET: u8 = 2;

/// The addresses that are local to a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalAddresses {
    own: HashSet<IpAddr, RandomState>,
    broadcast: HashSet<IpAddr, RandomState>,
}

impl LocalAddresses {
    /// The addresses of the calling thread's namespace; takes no privilege.
    pub fn here() -> io::Result<Self> {
        Self::read(&mut NetlinkSocket::route()?)
    }

    /// Asks the kernel through a route socket.
    pub(crate) fn read(route: &mut NetlinkSocket) -> io::Result<Self> {
        let mut addresses = Self::default();
        let dumped = route.dump(GET_ADDRESS, &[0; HEADER], |message| {
            addresses.own.extend(parse(message, &[ATTRIBUTE_LOCAL, ATTRIBUTE_ADDRESS]));
            addresses.broadcast.extend(parse(message, &[ATTRIBUTE_BROADCAST]));
        });
        route.rest();
        dumped.map(|_| addresses)
    }

    /// From addresses known by other means.
    pub fn from_addresses(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let own = addresses.into_iter().map(|ip| ip.to_canonical()).collect();
        Self { own, broadcast: HashSet::default() }
    }

    /// Whether the address is one of this namespace; loopback always is.
    pub fn contains(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.own.contains(&ip.to_canonical())
    }

    /// The addresses of this namespace and no other: without loopback's.
    pub fn own(&self) -> impl Iterator<Item = IpAddr> {
        self.own.iter().copied().filter(|ip| !ip.is_loopback())
    }

    /// Whether it is the broadcast address of a link.
    pub fn is_broadcast(&self, ip: IpAddr) -> bool {
        self.broadcast.contains(&ip)
    }

    /// Whether the address belongs to this namespace and to no other: loopback
    /// addresses are in all of them.
    pub(crate) fn is_own(&self, ip: IpAddr) -> bool {
        !ip.is_loopback() && self.own.contains(&ip)
    }
}

/// The address in an `RTM_NEWADDR` message: of the attributes asked for, the
/// first that is there. On a point-to-point link, `IFA_ADDRESS` is the peer's,
/// and only `IFA_LOCAL` is ours.
fn parse(message: &[u8], attributes: &[u16]) -> Option<IpAddr> {
    let family = *message.first()?;
    let body = message.get(HEADER..)?;
    let value = attributes.iter().find_map(|wanted| Attributes(body).find(|(kind, _)| kind == wanted))?.1;
    if family == AF_INET {
        <[u8; 4]>::try_from(value).ok().map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
    } else {
        <[u8; 16]>::try_from(value).ok().map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_address_is_taken_over_the_peers() {
        // ifaddrmsg: AF_INET, /32, then IFA_ADDRESS 10.8.0.1 (peer), IFA_LOCAL 10.8.0.6.
        let message = [2, 32, 0x80, 0, 5, 0, 0, 0, 8, 0, 1, 0, 10, 8, 0, 1, 8, 0, 2, 0, 10, 8, 0, 6];
        let local = |message| parse(message, &[ATTRIBUTE_LOCAL, ATTRIBUTE_ADDRESS]);
        assert_eq!(local(&message), Some("10.8.0.6".parse().unwrap()));
        assert_eq!(local(&message[..20]), Some("10.8.0.1".parse().unwrap()));
        assert_eq!(local(&message[..6]), None);
        assert_eq!(parse(&message, &[ATTRIBUTE_BROADCAST]), None);
    }

    #[test]
    fn the_kernel_knows_loopback() {
        let Ok(addresses) = LocalAddresses::here() else { panic!("no route socket") };
        assert!(!addresses.contains("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn loopback_is_local_everywhere_and_own_nowhere() {
        let addresses = LocalAddresses::from_addresses(["127.0.0.1".parse().unwrap()]);
        assert!(addresses.contains("127.9.9.9".parse().unwrap()));
        assert!(!addresses.is_own("127.0.0.1".parse().unwrap()));
        assert!(!addresses.contains("10.0.0.1".parse().unwrap()));
        let own = ["127.0.0.1", "192.0.2.1"].map(|ip| ip.parse().unwrap());
        assert_eq!(LocalAddresses::from_addresses(own).own().collect::<Vec<_>>(), own[1..]);
    }
}
