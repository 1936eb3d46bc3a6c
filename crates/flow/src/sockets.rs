//! What processes' sockets sent and received, as the kernel counted it at the sockets: an account beside that of the
//! packets, which nothing that is lost on the way to us changes.

use std::ops::{AddAssign, Sub};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use crate::attribution::{Answer, Elsewhere};
use crate::counters::Counters;
use crate::owner::Owner;

/// Processes that are told apart; what is beyond adds up under one without an owner.
const MAX_PROCESSES: usize = 65_536;

/// Packets and IP bytes as they passed sockets, and what went wrong there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketCounts {
    /// Packets and IP bytes sent.
    pub sent: (u64, u64),
    /// Packets and IP bytes received, those included that the receive buffer then had no room for.
    pub received: (u64, u64),
    /// TCP segments sent again.
    pub retransmits: u64,
    /// Datagrams that sockets did not take, as they count themselves: mostly, their receive buffer had no room.
    pub receive_drops: u64,
}

impl SocketCounts {
    /// Packets and IP bytes, both ways.
    pub fn total(&self) -> (u64, u64) {
        (self.sent.0 + self.received.0, self.sent.1 + self.received.1)
    }

    fn with(self, other: Self, each: fn(u64, u64) -> u64) -> Self {
        let both = |a: (u64, u64), b: (u64, u64)| (each(a.0, b.0), each(a.1, b.1));
        Self {
            sent: both(self.sent, other.sent),
            received: both(self.received, other.received),
            retransmits: each(self.retransmits, other.retransmits),
            receive_drops: each(self.receive_drops, other.receive_drops),
        }
    }
}

impl AddAssign for SocketCounts {
    fn add_assign(&mut self, other: Self) {
        *self = self.with(other, u64::saturating_add);
    }
}

impl Sub for SocketCounts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.with(other, u64::saturating_sub)
    }
}

/// Round-trip times of TCP connections, as the kernel smooths them: their sum, and of how many. Those count that sent or
/// received between the last two reports between which any did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundTrips {
    /// All of them together.
    pub sum: Duration,
    /// Connections.
    pub connections: u64,
}

impl RoundTrips {
    /// Their mean; `None` where there is none.
    pub fn mean(&self) -> Option<Duration> {
        let nanos = self.sum.as_nanos().checked_div(u128::from(self.connections))?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

impl AddAssign for RoundTrips {
    fn add_assign(&mut self, other: Self) {
        self.sum += other.sum;
        self.connections += other.connections;
    }
}

/// What the sockets of one process did since capturing began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSockets {
    /// The process; `None` for all of which nothing is known, together.
    pub owner: Option<Arc<Owner>>,
    /// Whether the sockets are in the network namespace that is captured in.
    pub here: bool,
    /// What they did.
    pub counts: SocketCounts,
    /// Of those that were used last.
    pub round_trips: RoundTrips,
}

/// The account of one process: what its sockets had, and what flows have of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessAccount {
    /// What its sockets did.
    pub sockets: ProcessSockets,
    /// Packets and IP bytes of the flows that it owns, or is the peer of.
    pub in_flows: (u64, u64),
}

/// The account of all processes.
///
/// Its sums are of sockets in the network namespace that is captured in, and of the ends of flows that are there: of what
/// sockets elsewhere send, nobody here sees all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketLedger {
    /// What sockets sent and received: packets and IP bytes. What passes between two of them here counts at both.
    pub sockets: (u64, u64),
    /// What flows have of it.
    pub in_flows: (u64, u64),
    /// Each process, most bytes first; only in the last snapshot. Those with sockets elsewhere are there if they own a flow, or
    /// are the peer of one.
    pub processes: Vec<ProcessAccount>,
}

impl ProcessAccount {
    /// Packets and IP bytes that sockets had beyond what flows have; less than 0 if flows have more.
    pub fn difference(&self) -> (i64, i64) {
        apart(self.sockets.counts.total(), self.in_flows)
    }
}

impl SocketLedger {
    /// Packets and IP bytes that sockets had beyond what flows have; less than 0 if flows have more.
    pub fn difference(&self) -> (i64, i64) {
        apart(self.sockets, self.in_flows)
    }
}

fn apart(sockets: (u64, u64), flows: (u64, u64)) -> (i64, i64) {
    (sockets.0.wrapping_sub(flows.0) as i64, sockets.1.wrapping_sub(flows.1) as i64)
}

/// A process's number, when it started, and whether its sockets are in the network namespace that is captured in.
type Key = (u32, u64, bool);

fn key(owner: Option<&Owner>, here: bool) -> Key {
    owner.map_or((0, 0, here), |owner| (owner.pid, owner.start, here))
}

/// A process, and packets and IP bytes of its flows.
type Had = (Option<Arc<Owner>>, (u64, u64));

/// What flows had, by process and where its sockets are.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlows(HashMap<Key, Had>);

impl InFlows {
    /// Adds a flow that has held `sum`, to the processes at both of its ends.
    pub(crate) fn add(&mut self, answer: Option<&Answer>, sum: Counters) {
        let Some(Answer::Owner(attributed)) = answer else { return };
        let own = Some((&attributed.owner, attributed.elsewhere != Elsewhere::All));
        let peer = attributed.peer.as_ref().map(|peer| (peer, attributed.elsewhere == Elsewhere::Nobody));
        for (owner, here) in [own, peer].into_iter().flatten() {
            let at = key(Some(owner), here);
            let full = self.0.len() >= MAX_PROCESSES && !self.0.contains_key(&at);
            let owner = Some(owner).filter(|_| !full);
            let begin = || (owner.cloned(), (0, 0));
            let (_, had) = self.0.entry(if full { key(None, here) } else { at }).or_insert_with(begin);
            *had = (had.0 + sum.packets, had.1 + sum.ip_bytes);
        }
    }
}

/// What is known of processes' sockets, as last told, and what flows had that are over.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    /// As many as the kernel tells apart.
    processes: HashMap<Key, ProcessSockets>,
    pub(crate) closed: InFlows,
}

impl Sockets {
    /// Takes what is told anew of a process: all that it did.
    pub(crate) fn take(&mut self, told: ProcessSockets) {
        self.processes.insert(key(told.owner.as_deref(), told.here), told);
    }

    pub(crate) fn processes(&self) -> impl Iterator<Item = &ProcessSockets> {
        self.processes.values()
    }

    /// The account, `in_flows` being of all flows; with each process if `whole`.
    pub(crate) fn ledger(&self, mut in_flows: InFlows, whole: bool) -> SocketLedger {
        let mut ledger = SocketLedger::default();
        for (key, sockets) in &self.processes {
            let known = in_flows.0.remove(key).map(|(_, had)| had);
            if sockets.here || known.is_some() {
                ledger.add(sockets.clone(), known.unwrap_or_default(), whole);
            }
        }
        // Their sockets were not counted, or did nothing.
        for ((.., here), (owner, had)) in in_flows.0 {
            let sockets = ProcessSockets {
                owner,
                here,
                counts: SocketCounts::default(),
                round_trips: RoundTrips::default(),
            };
            ledger.add(sockets, had, whole);
        }
        ledger.processes.sort_by_cached_key(|account| {
            let bytes = account.sockets.counts.total().1.max(account.in_flows.1);
            (std::cmp::Reverse(bytes), key(account.sockets.owner.as_deref(), account.sockets.here))
        });
        ledger
    }
}

impl SocketLedger {
    fn add(&mut self, sockets: ProcessSockets, in_flows: (u64, u64), whole: bool) {
        let add = |sum: &mut (u64, u64), more: (u64, u64)| *sum = (sum.0 + more.0, sum.1 + more.1);
        if sockets.here {
            add(&mut self.sockets, sockets.counts.total());
            add(&mut self.in_flows, in_flows);
        }
        if whole {
            self.processes.push(ProcessAccount { sockets, in_flows });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::{Attributed, End, Evidence};

    fn process(pid: u32) -> Arc<Owner> {
        Arc::new(Owner {
            pid,
            start: 7,
            name: format!("process-{pid}"),
            executable: None,
            command_line: vec![],
            uid: None,
            user: None,
            parent: 1,
            cgroup: None,
            unit: None,
            container: None,
            net_namespace: None,
        })
    }

    fn sockets(pid: u32, here: bool, sent: u64) -> ProcessSockets {
        let counts = SocketCounts { sent: (sent, sent * 100), ..SocketCounts::default() };
        ProcessSockets { owner: Some(process(pid)), here, counts, round_trips: RoundTrips::default() }
    }

    fn flow(in_flows: &mut InFlows, pid: u32, peer: Option<u32>, packets: u64) {
        // The fourth has its sockets elsewhere.
        let elsewhere = if pid == 4 { Elsewhere::All } else { Elsewhere::Nobody };
        flow_of(in_flows, (pid, peer, elsewhere), packets);
    }

    fn flow_of(in_flows: &mut InFlows, (pid, peer, elsewhere): (u32, Option<u32>, Elsewhere), packets: u64) {
        let (end, evidence, peer) = (End::Source, Evidence::Told, peer.map(process));
        let answer = Answer::Owner(Attributed { owner: process(pid), end, evidence, peer, elsewhere });
        in_flows
            .add(Some(&answer), Counters { packets, ip_bytes: packets * 100, frame_bytes: packets * 114 });
    }

    #[test]
    fn what_flows_lack_is_the_difference() {
        let mut known = Sockets::default();
        known.take(sockets(1, true, 5));
        known.take(sockets(1, true, 10));
        known.take(sockets(2, true, 3));
        known.take(sockets(3, false, 50));
        known.take(sockets(4, false, 6));
        let mut in_flows = InFlows::default();
        flow(&mut in_flows, 1, Some(2), 3);
        flow(&mut in_flows, 1, None, 4);
        flow(&mut in_flows, 4, None, 6);
        flow(&mut in_flows, 5, None, 1);
        let ledger = known.ledger(in_flows, true);
        // The third has no flow here; the last one's sockets were not seen.
        let each: Vec<_> = ledger
            .processes
            .iter()
            .map(|p| (p.sockets.owner.as_ref().unwrap().pid, p.in_flows.0, p.difference()))
            .collect();
        assert_eq!(each, [(1, 7, (3, 300)), (4, 6, (0, 0)), (2, 3, (0, 0)), (5, 1, (-1, -100))]);
        assert_eq!(
            (ledger.sockets, ledger.in_flows, ledger.difference()),
            ((13, 1300), (11, 1100), (2, 200))
        );
    }

    #[test]
    fn processes_with_sockets_in_two_places_have_their_flows_where_they_are() {
        let mut known = Sockets::default();
        known.take(sockets(1, true, 5));
        known.take(sockets(1, false, 9));
        let ledger = |flows: &[_]| {
            let mut in_flows = InFlows::default();
            for &(peer, elsewhere, packets) in flows {
                flow_of(&mut in_flows, (1, peer, elsewhere), packets);
            }
            let ledger = known.ledger(in_flows, true);
            let of = |account: &ProcessAccount| (account.sockets.here, account.in_flows.0);
            (ledger.sockets.0, ledger.in_flows.0, ledger.processes.iter().map(of).collect::<Vec<_>>())
        };
        assert_eq!(ledger(&[(None, Elsewhere::Nobody, 5)]), (5, 5, vec![(true, 5)]));
        assert_eq!(ledger(&[(None, Elsewhere::All, 4)]), (5, 0, vec![(false, 4), (true, 0)]));
        assert_eq!(ledger(&[(Some(1), Elsewhere::Peer, 5)]), (5, 5, vec![(false, 5), (true, 5)]));
    }

    #[test]
    fn round_trips_have_a_mean() {
        let mut all = RoundTrips::default();
        assert_eq!(all.mean(), None);
        for micros in [100, 300] {
            all += RoundTrips { sum: Duration::from_micros(micros), connections: 1 };
        }
        assert_eq!(all.mean(), Some(Duration::from_micros(200)));
    }
}
