//! Sockets as the kernel lists them, and the match of a flow against a list.
//!
//! The match follows the kernel's own (`compute_score` of its socket lookups):
//! the port must agree, what a socket fixes (local address, remote, interface)
//! must agree too, and the socket that fixes most wins.

use std::net::{IpAddr, SocketAddr};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// State of a socket, as far as attribution cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Has a remote: ESTABLISHED, SYN_SENT, CLOSE_WAIT, a connected UDP socket.
    Connected,
    /// Accepts connections.
    Listening,
    /// Has no remote: UDP, raw.
    Unconnected,
    /// TIME_WAIT, an orphan, or a request not yet accepted: no process holds it.
    Detached,
}

impl State {
    /// From the kernel's `TCP_*` state number, which all protocols share.
    pub(crate) fn from_kernel(number: u8) -> Self {
        match number {
            6 | 12 => Self::Detached,
            7 => Self::Unconnected,
            10 => Self::Listening,
            _ => Self::Connected,
        }
    }
}

/// One socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// Local end; the unspecified address if bound to none. v4-mapped addresses
    /// are given as IPv4.
    pub local: SocketAddr,
    /// Remote end, if it has one.
    pub remote: Option<SocketAddr>,
    /// Its state.
    pub state: State,
    /// Bound to `::` and open to IPv4 as well.
    pub dual: bool,
    /// Index of the interface that it is bound to, 0 for any.
    pub interface: u32,
    /// Inode in sockfs, which `/proc/<pid>/fd` names; 0 if no process holds it.
    pub inode: u64,
    /// The user that created it.
    pub uid: u32,
    /// The kernel's cookie of the socket, 0 if not known.
    pub cookie: u64,
}

impl Socket {
    /// How specifically it matches a packet between these ends: `None` if not
    /// at all.
    fn score(&self, local: SocketAddr, remote: SocketAddr, interface: u32) -> Option<u8> {
        if self.local.port() != local.port() {
            return None;
        }
        let mut score = 0;
        if self.local.ip().is_unspecified() {
            let same_family = self.local.is_ipv4() == local.is_ipv4();
            let mapped = self.dual && local.is_ipv4();
            if !(same_family || mapped) {
                return None;
            }
            score += u8::from(same_family);
        } else {
            if self.local.ip() != local.ip() {
                return None;
            }
            score += 4;
        }
        if let Some(own) = self.remote {
            let port_agrees = own.port() == remote.port() || own.port() == 0;
            if own.ip() != remote.ip() || !port_agrees {
                return None;
            }
            score += 8;
        }
        if self.interface != 0 {
            if interface != 0 && interface != self.interface {
                return None;
            }
            score += 2;
        }
        Some(score)
    }
}

/// Who gets a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taker<'a> {
    One(&'a Socket),
    /// Several have equal claims (`SO_REUSEPORT`), and the kernel chooses.
    OneOfSeveral,
    Nobody,
}

/// Sockets of one protocol in one namespace, indexed for lookup.
#[derive(Debug, Default)]
pub struct SocketTable {
    sockets: Vec<Socket>,
    connected: HashMap<(SocketAddr, SocketAddr), u32, RandomState>,
    by_port: HashMap<u16, Vec<u32>, RandomState>,
}

impl SocketTable {
    /// Indexes `sockets`.
    pub fn new(sockets: Vec<Socket>) -> Self {
        let mut table = Self::default();
        for (index, socket) in sockets.iter().enumerate() {
            let index = index as u32;
            match socket.remote {
                Some(remote) if remote.port() != 0 => {
                    // A socket with a holder is worth more than its leftovers.
                    let held = |index: u32| sockets.get(index as usize).is_some_and(|s| s.inode != 0);
                    let slot = table.connected.entry((socket.local, remote)).or_insert(index);
                    if !held(*slot) {
                        *slot = index;
                    }
                    if socket.local.ip().is_unspecified() {
                        table.by_port.entry(socket.local.port()).or_default().push(index);
                    }
                }
                _ => table.by_port.entry(socket.local.port()).or_default().push(index),
            }
        }
        table.sockets = sockets;
        table
    }

    /// All sockets.
    pub fn sockets(&self) -> &[Socket] {
        &self.sockets
    }

    /// The socket that the kernel would give a packet from `remote` to `local`; any of them, if several may get it.
    pub fn find(&self, local: SocketAddr, remote: SocketAddr, interface: u32) -> Option<&Socket> {
        self.best(local, remote, interface).map(|(socket, _)| socket)
    }

    /// The same, where it matters whether it is the only one.
    pub(crate) fn taker(&self, local: SocketAddr, remote: SocketAddr, interface: u32) -> Taker<'_> {
        match self.best(local, remote, interface) {
            None => Taker::Nobody,
            Some((socket, 1)) => Taker::One(socket),
            Some(_) => Taker::OneOfSeveral,
        }
    }

    /// The socket with the highest score, and how many have it.
    fn best(&self, local: SocketAddr, remote: SocketAddr, interface: u32) -> Option<(&Socket, usize)> {
        let at = |index: &u32| self.sockets.get(*index as usize);
        if let Some(socket) = self.connected.get(&(local, remote)).and_then(at) {
            return Some((socket, 1));
        }
        let mut best: Option<(u8, &Socket, usize)> = None;
        for socket in self.by_port.get(&local.port())?.iter().filter_map(at) {
            let Some(score) = socket.score(local, remote, interface) else { continue };
            match &mut best {
                Some((highest, _, count)) if *highest == score => *count += 1,
                Some((highest, ..)) if *highest > score => {}
                _ => best = Some((score, socket, 1)),
            }
        }
        best.map(|(_, socket, count)| (socket, count))
    }

    /// Every socket that matches, for protocols in which all matching sockets
    /// get a copy; those with the highest score only.
    pub(crate) fn find_all(&self, local: SocketAddr, remote: SocketAddr, interface: u32) -> Vec<&Socket> {
        let scored: Vec<_> = self
            .sockets
            .iter()
            .filter_map(|socket| socket.score(local, remote, interface).map(|score| (score, socket)))
            .collect();
        let best = scored.iter().map(|(score, _)| *score).max();
        scored.into_iter().filter(|(score, _)| Some(*score) == best).map(|(_, socket)| socket).collect()
    }
}

/// The address with a v4-mapped one given as IPv4, without flow label or scope.
pub(crate) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The end `ip:port`, v4-mapped addresses given as IPv4.
pub(crate) fn end(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip.to_canonical(), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn socket(local: &str, remote: &str, inode: u64) -> Socket {
        let remote = (!remote.is_empty()).then(|| at(remote));
        Socket {
            local: at(local),
            remote,
            state: if remote.is_some() { State::Connected } else { State::Unconnected },
            dual: false,
            interface: 0,
            inode,
            uid: 0,
            cookie: 0,
        }
    }

    fn found(table: &SocketTable, local: &str, remote: &str) -> Option<u64> {
        table.find(at(local), at(remote), 0).map(|socket| socket.inode)
    }

    #[test]
    fn the_most_specific_socket_wins() {
        let table = SocketTable::new(vec![
            socket("0.0.0.0:53", "", 1),
            socket("10.0.0.1:53", "", 2),
            socket("10.0.0.1:53", "10.0.0.9:4000", 3),
        ]);
        assert_eq!(found(&table, "10.0.0.1:53", "10.0.0.9:4000"), Some(3));
        assert_eq!(found(&table, "10.0.0.1:53", "10.0.0.9:4001"), Some(2));
        assert_eq!(found(&table, "10.0.0.2:53", "10.0.0.9:4000"), Some(1));
        assert_eq!(found(&table, "10.0.0.2:54", "10.0.0.9:4000"), None);
    }

    #[test]
    fn a_remote_that_is_set_is_never_ignored() {
        let table = SocketTable::new(vec![socket("0.0.0.0:500", "10.0.0.9:500", 1)]);
        assert_eq!(found(&table, "10.0.0.1:500", "10.0.0.9:500"), Some(1));
        assert_eq!(found(&table, "10.0.0.1:500", "10.0.0.8:500"), None);
        assert_eq!(found(&table, "10.0.0.1:500", "10.0.0.9:501"), None);
    }

    #[test]
    fn the_v6_wildcard_takes_v4_only_if_dual() {
        let mut both = socket("[::]:80", "", 1);
        let table = SocketTable::new(vec![both]);
        assert_eq!(found(&table, "10.0.0.1:80", "10.0.0.9:4000"), None);
        assert_eq!(found(&table, "[fd00::1]:80", "[fd00::9]:4000"), Some(1));
        both.dual = true;
        let table = SocketTable::new(vec![both, socket("0.0.0.0:80", "", 2)]);
        assert_eq!(found(&table, "10.0.0.1:80", "10.0.0.9:4000"), Some(2), "same family first");
        let table = SocketTable::new(vec![both]);
        assert_eq!(found(&table, "10.0.0.1:80", "10.0.0.9:4000"), Some(1));
        assert_eq!(
            found(&SocketTable::new(vec![socket("0.0.0.0:80", "", 2)]), "[fd00::1]:80", "[::2]:4"),
            None
        );
    }

    #[test]
    fn leftovers_do_not_hide_the_live_socket() {
        let mut left = socket("10.0.0.1:80", "10.0.0.9:4000", 0);
        left.state = State::Detached;
        let live = socket("10.0.0.1:80", "10.0.0.9:4000", 7);
        for order in [vec![left, live], vec![live, left]] {
            assert_eq!(found(&SocketTable::new(order), "10.0.0.1:80", "10.0.0.9:4000"), Some(7));
        }
    }

    #[test]
    fn a_bound_interface_must_agree() {
        let mut bound = socket("0.0.0.0:68", "", 1);
        bound.interface = 3;
        let table = SocketTable::new(vec![bound, socket("0.0.0.0:68", "", 2)]);
        assert_eq!(table.find(at("10.0.0.1:68"), at("10.0.0.9:67"), 3).map(|s| s.inode), Some(1));
        assert_eq!(table.find(at("10.0.0.1:68"), at("10.0.0.9:67"), 4).map(|s| s.inode), Some(2));
    }
}
