//! The rounds in which a set of questions is answered; see [`super`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::Owners;
use crate::asking::Found;
use crate::diag::Lookup;
use crate::holders::{Effort, Holder};
use crate::proc_net::Portless;
use crate::sockets::{Socket, State};
use crate::{End, Evidence, Protocol, Reason};

/// How sure it is that a local end is in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The namespace in which the flow was seen.
    Home,
    /// The only other one that has the address: the end of a peer, or of a flow
    /// that is forwarded to it.
    Elsewhere,
    /// One of several others that have the address: only the very socket counts.
    Shared,
}

/// One end of one question, in one namespace.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) question: usize,
    pub(super) space: usize,
    pub(super) end: End,
    pub(super) lookup: Lookup,
    pub(super) place: Place,
    pub(super) socket: Option<Socket>,
    /// The kernel has neither this connection nor one that listens for it.
    pub(super) gone: bool,
    /// Every process was read, and none holds the socket.
    pub(super) nobody: bool,
    pub(super) outcome: Result<(u32, Evidence), Reason>,
}

impl Candidate {
    fn is_open(&self) -> bool {
        self.outcome == Err(Reason::Ended)
    }

    fn take(&mut self, found: Found) {
        self.gone = found == Found::Nothing;
        match found {
            Found::Socket(socket) if self.place == Place::Shared && socket.remote.is_none() => {
                self.socket = None;
            }
            Found::Socket(socket) => self.socket = Some(socket).filter(|socket| socket.inode != 0),
            Found::Nothing => self.socket = None,
            Found::Unasked => self.outcome = Err(Reason::Deferred),
        }
    }

    fn held(&mut self, holder: Holder) {
        let Some(socket) = self.socket else { return };
        let evidence = match socket.state {
            State::Listening => Evidence::Listener,
            _ if socket.remote.is_some() => Evidence::Exact,
            _ => Evidence::Bound,
        };
        match holder {
            Holder::Process(pid) => self.outcome = Ok((pid, evidence)),
            Holder::Denied => self.outcome = Err(Reason::Permission { uid: socket.uid }),
            Holder::Nobody => self.nobody = true,
            Holder::NotFound => {}
        }
    }
}

impl Owners {
    /// Raw and ping sockets.
    pub(super) fn portless(&mut self, candidates: &mut [Candidate], now: Instant) {
        let mut tables: HashMap<usize, _, RandomState> = HashMap::default();
        for candidate in candidates.iter_mut().filter(|candidate| !candidate.lookup.protocol.has_ports()) {
            candidate.outcome = Err(Reason::Kernel);
            if !may_be_raw(candidate) {
                continue;
            }
            let Some(space) = self.sockets.namespaces().get(candidate.space) else { continue };
            let (raw, ping) = tables
                .entry(candidate.space)
                .or_insert_with(|| (space.portless(Portless::Raw), space.portless(Portless::Ping)));
            let Lookup { protocol, local, remote, interface } = candidate.lookup;
            let as_raw = SocketAddr::new(local.ip(), u16::from(protocol.0));
            let mut found: Vec<Socket> =
                raw.find_all(as_raw, remote, interface).into_iter().copied().collect();
            if matches!(protocol, Protocol::ICMP | Protocol::ICMPV6) {
                let of_identifier: Vec<Socket> = ping
                    .sockets()
                    .iter()
                    .filter(|socket| socket.local.is_ipv4() == local.is_ipv4())
                    .filter(|socket| local.port() == 0 || socket.local.port() == local.port())
                    .filter(|socket| socket.remote.is_none_or(|own| own.ip() == remote.ip()))
                    .copied()
                    .collect();
                if local.port() != 0 && !of_identifier.is_empty() {
                    found.clear(); // the identifier names the socket
                }
                found.extend(of_identifier);
            }
            candidate.outcome = self.only_holder(&found, now);
        }
    }

    /// The one process that holds the sockets, if there is one only.
    fn only_holder(&mut self, sockets: &[Socket], now: Instant) -> Result<(u32, Evidence), Reason> {
        let Some(first) = sockets.first() else { return Err(Reason::Kernel) };
        let inodes: Vec<u64> = sockets.iter().map(|socket| socket.inode).collect();
        let mut holders = self.holders.find(&inodes, Effort::Changed, now);
        if holders.contains(&Holder::NotFound) {
            holders = self.holders.find(&inodes, Effort::Everything, now);
        }
        holders.sort_unstable();
        holders.dedup();
        match holders[..] {
            [Holder::Process(pid)] => Ok((pid, Evidence::Protocol)),
            [Holder::Nobody] => Err(Reason::Kernel),
            [Holder::Denied] => Err(Reason::Permission { uid: first.uid }),
            [Holder::NotFound] => Err(Reason::Deferred),
            _ => Err(Reason::Ambiguous),
        }
    }

    /// Sockets with ports, in rounds for all candidates at once.
    pub(super) fn with_ports(&mut self, candidates: &mut [Candidate], now: Instant) {
        let open = |candidate: &Candidate| candidate.lookup.protocol.has_ports() && candidate.is_open();
        let unheld = |candidate: &Candidate| open(candidate) && candidate.socket.is_some();
        self.look_up(candidates, open, false, now);
        self.hold(candidates, Effort::New, now);
        self.listeners(candidates, now);
        for effort in [Effort::Changed, Effort::Everything] {
            // What was not at hand may have ended meanwhile: that is cheaper to ask.
            self.look_up(candidates, unheld, true, now);
            self.hold(candidates, effort, now);
        }
        self.look_up(candidates, unheld, true, now);
        for candidate in candidates.iter_mut().filter(|candidate| unheld(candidate)) {
            candidate.outcome = Err(if candidate.nobody { Reason::Kernel } else { Reason::Deferred });
        }
    }

    /// Finds the listening sockets of connections that have ended or whose
    /// holder was not at hand, and looks for the latter beside them.
    ///
    /// A connection handed to a process that neither is new nor listens itself
    /// is given to the one that listens: to find the other would take a search
    /// through all processes for each short connection that a server closes.
    fn listeners(&mut self, candidates: &mut [Candidate], now: Instant) {
        let mut open: Vec<&mut Candidate> = candidates
            .iter_mut()
            .filter(|candidate| {
                let stream = candidate.lookup.protocol.is_stream() && candidate.is_open();
                stream && candidate.place != Place::Shared && !candidate.gone
            })
            .collect();
        let mut found: HashMap<(usize, Lookup), Found, RandomState> = HashMap::default();
        for candidate in &open {
            found.entry((candidate.space, listener_of(candidate.lookup))).or_insert(Found::Unasked);
        }
        for ((space, lookup), socket) in &mut found {
            let Some(space) = self.sockets.spaces_mut().get_mut(*space) else { continue };
            let answer = space.find(&[*lookup], false, now, &mut self.costs);
            *socket = answer.first().copied().unwrap_or(Found::Unasked);
        }
        for candidate in &mut open {
            let key = (candidate.space, listener_of(candidate.lookup));
            let listener = match found.get(&key) {
                Some(Found::Socket(listener)) if listener.inode != 0 => *listener,
                Some(Found::Unasked) if candidate.socket.is_none() => {
                    candidate.outcome = Err(Reason::Deferred);
                    continue;
                }
                _ => continue,
            };
            let holder = self.holders.find(&[listener.inode], Effort::New, now);
            let [Holder::Process(pid)] = holder[..] else {
                candidate.socket.get_or_insert(listener); // its holder is still to be found
                continue;
            };
            if let Some(socket) = candidate.socket {
                let beside = self.holders.find_beside(listener.inode, socket.inode, now);
                candidate.held(beside);
            }
            if candidate.is_open() {
                candidate.outcome = Ok((pid, Evidence::Listener));
            }
        }
    }

    /// Asks for the sockets of those candidates that `chosen` selects; `anew`, if those that were found turned out to be
    /// nobody's.
    fn look_up(
        &mut self,
        candidates: &mut [Candidate],
        chosen: impl Fn(&Candidate) -> bool,
        anew: bool,
        now: Instant,
    ) {
        let mut batches: HashMap<(usize, Protocol), Vec<&mut Candidate>, RandomState> = HashMap::default();
        for candidate in candidates.iter_mut().filter(|candidate| chosen(candidate)) {
            batches.entry((candidate.space, candidate.lookup.protocol)).or_default().push(candidate);
        }
        for ((space, _), batch) in batches {
            let lookups: Vec<Lookup> = batch.iter().map(|candidate| candidate.lookup).collect();
            let Some(space) = self.sockets.spaces_mut().get_mut(space) else { continue };
            let found = space.find(&lookups, anew, now, &mut self.costs);
            for (candidate, found) in batch.into_iter().zip(found) {
                candidate.take(found);
            }
        }
    }

    /// Finds the holders of the sockets found.
    fn hold(&mut self, candidates: &mut [Candidate], effort: Effort, now: Instant) {
        let mut open: Vec<&mut Candidate> = candidates
            .iter_mut()
            .filter(|candidate| candidate.is_open() && candidate.socket.is_some())
            .collect();
        let inodes: Vec<u64> = open.iter().filter_map(|candidate| Some(candidate.socket?.inode)).collect();
        if inodes.is_empty() {
            return;
        }
        let holders = self.holders.find(&inodes, effort, now);
        for (candidate, holder) in open.iter_mut().zip(holders) {
            candidate.held(holder);
        }
    }
}

/// The lookup that only the listening socket of the local end satisfies.
fn listener_of(lookup: Lookup) -> Lookup {
    let any = match lookup.local.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    Lookup { remote: SocketAddr::new(any, 0), ..lookup }
}

/// Whether a raw socket may have sent it, rather than the kernel.
fn may_be_raw(candidate: &Candidate) -> bool {
    let Lookup { protocol, local, remote, .. } = candidate.lookup;
    let neighbours = |ip: IpAddr| match ip {
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_multicast() || ip.is_unspecified(),
        IpAddr::V4(_) => false,
    };
    match protocol {
        Protocol::ICMP => candidate.end == End::Source,
        Protocol::ICMPV6 => {
            candidate.end == End::Source && !(neighbours(local.ip()) && neighbours(remote.ip()))
        }
        _ => true,
    }
}
