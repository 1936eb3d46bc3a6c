//! What somebody was told, and who it may have been.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use dissect::{Endpoint, Ip, Timestamp};
use hashbrown::HashSet;

/// Who is told what a host claims for itself.
pub(crate) const EVERYBODY: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);

/// At some time, somebody was told that an address is called so.
#[derive(Clone, Debug)]
pub(crate) struct Naming {
    pub(crate) addr: IpAddr,
    /// Who was told; a group, or [`EVERYBODY`].
    pub(crate) asker: IpAddr,
    pub(crate) name: Arc<str>,
    pub(crate) since: Timestamp,
    pub(crate) resolver: Endpoint,
    pub(crate) ttl: u32,
    pub(crate) latency: Option<Duration>,
    /// `dns` and its kin.
    pub(crate) protocol: &'static str,
}

impl Naming {
    /// What the sender of a packet says, of whose message the rest is still to be filled in.
    pub(crate) fn told(ip: &Ip, since: Timestamp, protocol: &'static str) -> Self {
        let (addr, asker, name) = (ip.source(), ip.destination(), Arc::default());
        Naming { addr, asker, name, since, resolver: ip.five_tuple().src, ttl: 0, latency: None, protocol }
    }

    pub(super) fn is_announcement(&self) -> bool {
        self.asker.is_multicast() || self.asker == EVERYBODY
    }
}

/// The end that may have been told a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer<'a> {
    pub(crate) addr: IpAddr,
    /// It is a process of this very host, which may look names up over the loopback interface.
    pub(crate) is_host: bool,
    /// Further addresses of the same host: one that asks over IPv4 may go on over IPv6.
    pub(crate) others: &'a [IpAddr],
}

impl Peer<'_> {
    pub(super) fn was_told(&self, naming: &Naming) -> bool {
        self.has(naming.asker) || self.is_host && naming.asker.is_loopback()
    }

    fn has(&self, addr: IpAddr) -> bool {
        addr == self.addr || self.others.contains(&addr)
    }

    /// Whether one of its addresses is in `askers`.
    pub(super) fn is_among(&self, askers: &HashSet<IpAddr>) -> bool {
        askers.contains(&self.addr) || self.others.iter().any(|addr| askers.contains(addr))
    }
}
