//! One sock_diag socket for each network namespace.
//!
//! A netlink socket stays in the namespace in which it was opened, so all are
//! opened up front, by a thread that enters one namespace after the other
//! (setns(2), which takes `CAP_SYS_ADMIN`) and then ends: the caller's own
//! namespace never changes. A namespace that may not be entered is read as text
//! from `/proc/<pid>/net` of one of its processes.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rustix::fd::AsFd;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::addresses::LocalAddresses;
use crate::asking::{Asking, Found};
use crate::budget::Budget;
use crate::diag::Lookup;
use crate::netlink::NetlinkSocket;
use crate::proc::Proc;
use crate::proc_net::{self, Portless};
use crate::sockets::SocketTable;
use crate::{Costs, Protocol};

/// The sockets opened in one network namespace.
#[derive(Debug)]
struct Opened {
    asking: Asking,
    route: NetlinkSocket,
}

impl Opened {
    /// Opens both in the calling thread's namespace.
    fn here() -> io::Result<Self> {
        Ok(Self { asking: Asking::here()?, route: NetlinkSocket::route()? })
    }
}

/// A network namespace that has processes.
#[derive(Debug)]
pub struct NetNamespace {
    inode: u64,
    /// The `net` folder in `/proc` of one of its processes.
    net: PathBuf,
    opened: Option<Opened>,
    addresses: LocalAddresses,
    address_reads: Budget,
    /// How often tables may be read as text.
    reads: Budget,
    text: HashMap<Protocol, SocketTable, RandomState>,
}

impl NetNamespace {
    fn new(inode: u64, net: PathBuf, opened: Option<Opened>) -> Self {
        Self {
            inode,
            net,
            opened,
            addresses: LocalAddresses::default(),
            address_reads: Budget::new(3.0, 0.25),
            reads: Budget::new(2.0, 1.0),
            text: HashMap::default(),
        }
    }

    /// The number that `/proc/<pid>/ns/net` shows.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Whether it was entered; if not, its sockets are read as text.
    pub fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Its addresses, as last read.
    pub fn addresses(&self) -> &LocalAddresses {
        &self.addresses
    }

    /// Reads its addresses again, as often as is allowed: false if it is not.
    pub(crate) fn refresh_addresses(&mut self, now: Instant) -> bool {
        let allowed = self.address_reads.take(1.0, now);
        if allowed {
            let asked = self.opened.as_mut().and_then(|opened| LocalAddresses::read(&mut opened.route).ok());
            self.addresses =
                asked.unwrap_or_else(|| LocalAddresses::from_addresses(proc_net::local_addresses(&self.net)));
        }
        allowed
    }

    /// The socket for each of `lookups`, which are all of one protocol; not by what is remembered, if `anew`.
    pub(crate) fn find(
        &mut self,
        lookups: &[Lookup],
        anew: bool,
        now: Instant,
        costs: &mut Costs,
    ) -> Vec<Found> {
        let Some(protocol) = lookups.first().map(|lookup| lookup.protocol) else { return Vec::new() };
        match &mut self.opened {
            Some(opened) => opened.asking.find(protocol, lookups, anew, now, costs),
            None => self.find_in_text(protocol, lookups, now, costs),
        }
    }

    fn find_in_text(
        &mut self,
        protocol: Protocol,
        lookups: &[Lookup],
        now: Instant,
        costs: &mut Costs,
    ) -> Vec<Found> {
        let fresh = self.reads.take(1.0, now);
        if fresh {
            costs.dumps += 1;
            self.text.insert(protocol, SocketTable::new(proc_net::read(&self.net, protocol)));
        }
        let found = self.text.get(&protocol).map(|table| find_in(table, lookups));
        let mut found = found.unwrap_or_else(|| vec![Found::Unasked; lookups.len()]);
        if !fresh {
            // An older table proves what it has, but not what it has not.
            found
                .iter_mut()
                .filter(|found| **found == Found::Nothing)
                .for_each(|found| *found = Found::Unasked);
        }
        found
    }

    /// Its raw or ping sockets.
    pub(crate) fn portless(&self, kind: Portless) -> SocketTable {
        SocketTable::new(proc_net::read_portless(&self.net, kind))
    }
}

fn find_in(table: &SocketTable, lookups: &[Lookup]) -> Vec<Found> {
    let find = |lookup: &Lookup| table.find(lookup.local, lookup.remote, lookup.interface);
    lookups
        .iter()
        .map(|lookup| find(lookup).map_or(Found::Nothing, |socket| Found::Socket(*socket)))
        .collect()
}

/// All network namespaces that have processes, with a socket in each.
#[derive(Debug)]
pub struct DiagSockets {
    proc: Proc,
    own: u64,
    spaces: Vec<NetNamespace>,
    /// Processes whose namespace may not be read.
    hidden: bool,
    last_pid: Option<u32>,
    /// Processes were made since the last search, and another is not allowed yet.
    stale: bool,
    searches: Budget,
}

impl DiagSockets {
    /// Opens a socket in every namespace that may be entered.
    ///
    /// # Errors
    /// If not even the own namespace can be asked.
    pub fn open(proc: Proc) -> io::Result<Self> {
        let own = proc.own_net_namespace().unwrap_or_default();
        let net = proc.own("net");
        let space = NetNamespace::new(own, net, Some(Opened::here()?));
        let searches = Budget::new(2.0, 0.5);
        let mut sockets =
            Self { proc, own, spaces: vec![space], hidden: false, last_pid: None, stale: false, searches };
        sockets.search();
        let now = Instant::now();
        for space in &mut sockets.spaces {
            space.refresh_addresses(now);
        }
        Ok(sockets)
    }

    /// Inode of the namespace in which this was opened.
    pub fn own(&self) -> u64 {
        self.own
    }

    /// All namespaces known, the own one first.
    pub fn namespaces(&self) -> &[NetNamespace] {
        &self.spaces
    }

    pub(crate) fn spaces_mut(&mut self) -> &mut [NetNamespace] {
        &mut self.spaces
    }

    /// Whether there may be namespaces that cannot be looked into at all.
    pub fn hidden(&self) -> bool {
        self.hidden
    }

    /// Index of the namespace with this inode.
    pub(crate) fn index_of(&self, inode: u64) -> Option<usize> {
        self.spaces.iter().position(|space| space.inode == inode)
    }

    /// Whether there may be namespaces that were not looked for yet.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Indices of the namespaces but `except` that the address belongs to.
    pub(crate) fn with_address(&self, ip: IpAddr, except: usize) -> Vec<usize> {
        let others = self.spaces.iter().enumerate().filter(|(index, _)| *index != except);
        others.filter(|(_, space)| space.addresses.is_own(ip)).map(|(index, _)| index).collect()
    }

    /// Looks for namespaces that are new, and for addresses that are, as often
    /// as is allowed; true if anything was asked.
    pub(crate) fn refresh(&mut self, now: Instant) -> bool {
        let mut asked = false;
        let last_pid = self.proc.last_pid();
        self.stale = last_pid.is_none() || last_pid != self.last_pid;
        if self.stale && self.searches.take(1.0, now) {
            self.search();
            self.stale = false;
            asked = true;
        }
        for space in &mut self.spaces {
            asked |= space.refresh_addresses(now);
        }
        asked
    }

    fn search(&mut self) {
        self.last_pid = self.proc.last_pid();
        let mut members: HashMap<u64, u32, RandomState> = HashMap::default();
        self.hidden = false;
        for pid in self.proc.pids().unwrap_or_default() {
            match self.proc.net_namespace(pid) {
                Ok(inode) => drop(members.entry(inode).or_insert(pid)),
                // Init is never alone in its namespace: others show it.
                Err(error) => self.hidden |= pid != 1 && error.kind() == io::ErrorKind::PermissionDenied,
            }
        }
        members.remove(&self.own);
        let own = self.own;
        self.spaces.retain(|space| space.inode == own || members.contains_key(&space.inode));
        let mut new: Vec<(u64, u32)> = Vec::new();
        for (inode, pid) in members {
            match self.spaces.iter_mut().find(|space| space.inode == inode) {
                Some(space) => space.net = self.proc.path(pid, "net"),
                None => new.push((inode, pid)),
            }
        }
        new.sort_unstable();
        let paths = new.iter().map(|(_, pid)| self.proc.path(*pid, "ns/net")).collect();
        for ((inode, pid), opened) in new.into_iter().zip(open_each(paths)) {
            self.spaces.push(NetNamespace::new(inode, self.proc.path(pid, "net"), opened.ok()));
        }
    }
}

/// Opens sockets in each of the namespaces, in a thread of its own that does
/// not outlive the call: nothing else ever runs in a foreign namespace.
fn open_each(paths: Vec<PathBuf>) -> Vec<io::Result<Opened>> {
    if paths.is_empty() {
        return Vec::new();
    }
    let count = paths.len();
    let enter_all = move || paths.iter().map(|path| open_in(path)).collect();
    let opened = thread::Builder::new().name("namespaces".to_owned()).spawn(enter_all);
    let opened = opened.ok().and_then(|thread| thread.join().ok());
    opened.unwrap_or_else(|| (0..count).map(|_| Err(io::ErrorKind::Other.into())).collect())
}

fn open_in(path: &Path) -> io::Result<Opened> {
    let namespace = File::open(path)?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    Opened::here()
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use std::fs;
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        0: 4D0200C0:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 4021 1 0 100 0 0 10 0\n";
    const TRIE: &str = "Local:\n     |-- 192.0.2.77\n        /32 host LOCAL\n";

    #[test]
    fn a_namespace_that_is_closed_is_read_as_text_at_a_bounded_rate() {
        let net = tempfile::tempdir().unwrap();
        fs::write(net.path().join("tcp"), TCP).unwrap();
        fs::write(net.path().join("fib_trie"), TRIE).unwrap();
        let mut space = NetNamespace::new(7, net.path().to_owned(), None);
        let now = Instant::now();
        assert!(space.refresh_addresses(now));
        assert!(space.addresses().is_own("192.0.2.77".parse().unwrap()));
        let lookup = |port| Lookup {
            protocol: Protocol::TCP,
            local: SocketAddr::new("192.0.2.77".parse().unwrap(), port),
            remote: "198.51.100.1:4000".parse().unwrap(),
            interface: 0,
        };
        let mut costs = Costs::default();
        let mut find = |port, now| space.find(&[lookup(port)], false, now, &mut costs)[0];
        assert!(matches!(find(80, now), Found::Socket(socket) if socket.inode == 4021));
        assert_eq!(find(81, now), Found::Nothing);
        // Both reads are spent: an older table proves what it has, no more.
        assert!(matches!(find(80, now), Found::Socket(_)));
        assert_eq!(find(81, now), Found::Unasked);
        assert_eq!(find(81, now + Duration::from_secs(1)), Found::Nothing);
        assert_eq!(costs.dumps, 3);
    }
}
