//! The owners of flows: sockets from the kernel, processes from `/proc`.
//!
//! A set of questions is answered in rounds, each for all questions at once:
//! the sockets of the five-tuples; the processes that hold them, as far as
//! known or new; for connections that have ended, or whose holder is not at
//! hand, the listening socket and the processes that hold that; and before each
//! costlier search, whether the socket still exists. A socket that no process
//! holds is the kernel's own.
//!
//! ICMP and other protocols without ports belong to raw and ping sockets. Their
//! owner is told only when one process has such a socket and the flow began on
//! this host: the kernel itself answers echo requests, and speaks neighbour
//! discovery, whatever raw sockets there are.

mod nobody;
mod rounds;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow::ProcessSockets;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rounds::{Candidate, Place};

use crate::diag::Lookup;
use crate::holders::Holders;
use crate::kernel::{Kernel, Local, Told};
use crate::namespaces::DiagSockets;
use crate::owner::OwnerReader;
use crate::proc::Proc;
use crate::sockets::plain;
use crate::{Answer, Attributed, Budget, Change, Elsewhere, End, Owner, Question, Reason};

/// How long a question is not looked up again after it had no owner.
const NEGATIVE: Duration = Duration::from_secs(2);
/// Ends in other namespaces looked up at once for flows that have an end in their own; half as many a second.
const PEERS: f64 = 64.0;
/// Negative answers and processes kept, before all are forgotten.
const KEPT: usize = 16_384;

/// Where the host's files are; tests may put them elsewhere.
#[derive(Debug, Clone)]
pub struct Config {
    /// The mounted `/proc`.
    pub proc: PathBuf,
    /// The root of the file system.
    pub root: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self { proc: "/proc".into(), root: "/".into() }
    }
}

/// What was asked of the kernel so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Costs {
    /// Sockets looked up one by one.
    pub lookups: u64,
    /// Tables dumped, over netlink or as text.
    pub dumps: u64,
    /// Folder entries and links read in `/proc/<pid>/fd`.
    pub reads: u64,
}

/// Finds the owners of flows.
#[derive(Debug)]
pub struct Owners {
    sockets: DiagSockets,
    holders: Holders,
    reader: OwnerReader,
    known: HashMap<u32, Arc<Owner>, RandomState>,
    negative: HashMap<Question, (Reason, Instant), RandomState>,
    costs: Costs,
    /// How many ends in other namespaces may be looked up that could only be told beside the owner.
    peers: Budget,
    /// What the kernel tells by itself, where it does.
    told: Option<Told>,
}

impl Owners {
    /// Opens a socket in every network namespace and reads every process's open
    /// sockets.
    ///
    /// # Errors
    /// If sock_diag cannot be asked in the own namespace.
    pub fn open(config: &Config) -> io::Result<Self> {
        let proc = Proc::new(&config.proc);
        Ok(Self {
            sockets: DiagSockets::open(proc.clone())?,
            holders: Holders::new(proc.clone()),
            reader: OwnerReader::new(proc, &config.root),
            known: HashMap::default(),
            negative: HashMap::default(),
            costs: Costs::default(),
            peers: Budget::new(PEERS, PEERS / 2.0),
            told: None,
        })
    }

    /// From now on, `kernel` is believed before anything is looked up.
    pub fn listen(&mut self, kernel: Box<dyn Kernel>) {
        self.told = Some(Told::new(kernel));
    }

    /// Reads what the kernel has told since; gives how many events that were.
    pub fn read_told(&mut self, now: Instant) -> usize {
        let Self { told, reader, .. } = self;
        told.as_mut().map_or(0, |told| told.read(reader, now))
    }

    /// How long what the kernel tells need not be read; `None`: until [`Self::told_fd`] is readable.
    pub(crate) fn rest(&mut self, now: Instant) -> Option<Duration> {
        let Self { told, reader, .. } = self;
        told.as_mut().and_then(|told| told.rest(reader, now))
    }

    /// Owners that were answered and are otherwise now, as the kernel has told by now.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let Self { told, reader, .. } = self;
        told.as_mut().map(|told| told.take_changes(reader)).unwrap_or_default()
    }

    /// Begins the account of what processes' sockets do.
    ///
    /// # Errors
    /// If the kernel does not count that.
    pub fn begin_accounts(&mut self) -> io::Result<()> {
        self.told.as_mut().ok_or(io::ErrorKind::Unsupported)?.begin_accounts()
    }

    /// What those have done by now that did anything since the last call.
    ///
    /// # Errors
    /// As [`Self::begin_accounts`].
    pub fn take_accounts(&mut self) -> io::Result<Vec<ProcessSockets>> {
        let Self { told, reader, .. } = self;
        told.as_mut().ok_or(io::ErrorKind::Unsupported)?.take_accounts(reader)
    }

    /// What tells when there is something to read.
    pub(crate) fn told_fd(&self) -> Option<BorrowedFd<'_>> {
        self.told.as_ref().map(|told| told.kernel().as_fd())
    }

    /// Events of the kernel that were lost.
    pub fn lost(&self) -> u64 {
        self.told.as_ref().map_or(0, Told::lost)
    }

    /// The namespaces, with their addresses.
    pub fn sockets(&self) -> &DiagSockets {
        &self.sockets
    }

    /// What was asked of the kernel so far.
    pub fn costs(&self) -> Costs {
        Costs { reads: self.holders.spent(), ..self.costs }
    }

    /// The facts of a process known by other means; `None` if it has ended.
    pub fn process(&mut self, pid: u32) -> Option<Arc<Owner>> {
        self.facts(pid, &mut HashMap::default()).ok()
    }

    /// The answer to one question; see [`Self::resolve`].
    pub fn owner(&mut self, question: &Question, now: Instant) -> Answer {
        let answer = self.resolve(std::slice::from_ref(question), now).pop();
        answer.unwrap_or(Answer::None(Reason::Deferred))
    }

    /// An answer for each question, in their order.
    pub fn resolve(&mut self, questions: &[Question], now: Instant) -> Vec<Answer> {
        self.read_told(now);
        let mut answers: Vec<Option<Answer>> = questions
            .iter()
            .map(|question| {
                if let Some(answer) = self.told(question, now) {
                    return Some(answer);
                }
                let (reason, until) = self.negative.get(question)?;
                (now < *until).then_some(Answer::None(*reason))
            })
            .collect();
        let open: Vec<usize> =
            (0..questions.len()).filter(|index| answers.get(*index) == Some(&None)).collect();
        let mut candidates = self.candidates(questions, &open, now);
        self.portless(&mut candidates, now);
        self.with_ports(&mut candidates, now);
        let mut read = HashMap::default();
        let mut rest = candidates.as_slice();
        for index in open {
            let Some(question) = questions.get(index) else { continue };
            // They stand in the order of their questions.
            let ends = rest.iter().take_while(|candidate| candidate.question == index).count();
            let (ends, after) = rest.split_at(ends);
            rest = after;
            let answer = match self.conclude(question, ends, &mut read) {
                Answer::None(Reason::Ended) => self.without_socket(question, ends),
                answer => answer,
            };
            self.remember(question, &answer, now);
            if let Some(slot) = answers.get_mut(index) {
                *slot = Some(answer);
            }
        }
        answers.into_iter().map(|answer| answer.unwrap_or(Answer::None(Reason::Deferred))).collect()
    }

    /// The answer to a question that the kernel has told.
    fn told(&mut self, question: &Question, now: Instant) -> Option<Answer> {
        let space = self.sockets.namespaces().first();
        let is_local = |at: SocketAddr| space.is_some_and(|space| space.addresses().contains(plain(at).ip()));
        let [source, destination] = [End::Source, End::Destination].map(|end| question.known_at(end).0);
        let local = Local { source: is_local(source), destination: is_local(destination) };
        self.told.as_mut()?.answer(question, local, &mut self.reader, now)
    }

    /// The ends of each question that may be on this host.
    fn candidates(&mut self, questions: &[Question], open: &[usize], now: Instant) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let mut refreshed = false;
        for index in open {
            let Some(question) = questions.get(*index) else { continue };
            let start = candidates.len();
            self.ends(*index, question, &mut candidates);
            let group = self.is_group(receiver(question), self.home(question));
            let is_nowhere = candidates.iter().skip(start).all(|end| group && end.end == End::Destination);
            if is_nowhere && !refreshed {
                refreshed = true;
                if self.sockets.refresh(now) {
                    candidates.truncate(start);
                    self.ends(*index, question, &mut candidates);
                }
            }
            self.leave_peers(question, &mut candidates, start, now);
        }
        candidates
    }

    /// Leaves out ends in other namespaces that could only be told beside the owner, when there are too many of them to
    /// look up: they cost as much as the owners themselves.
    fn leave_peers(
        &mut self,
        question: &Question,
        candidates: &mut Vec<Candidate>,
        start: usize,
        now: Instant,
    ) {
        let home = self.home(question);
        let owns = |end: &Candidate| end.place == Place::Home && !self.is_group(end.lookup.local.ip(), home);
        if candidates.iter().skip(start).any(owns) {
            let peers = candidates.iter().skip(start).filter(|end| end.place != Place::Home).count();
            if peers > 0 && !self.peers.take(peers as f64, now) {
                candidates.extract_if(start.., |end| end.place != Place::Home).for_each(drop);
            }
        }
    }

    /// Adds the ends of one question.
    fn ends(&self, index: usize, question: &Question, ends: &mut Vec<Candidate>) {
        let home = self.home(question);
        for end in [End::Source, End::Destination] {
            let (local, remote) = question.known_at(end);
            let (local, remote) = (plain(local), plain(remote));
            let mut push = |space, place| {
                // The interface's number means nothing in another namespace.
                let interface = if place == Place::Home { question.interface } else { 0 };
                let lookup = Lookup { protocol: question.protocol, local, remote, interface };
                let outcome = Err(Reason::Ended);
                ends.push(Candidate {
                    question: index,
                    space,
                    end,
                    lookup,
                    place,
                    socket: None,
                    gone: false,
                    nobody: false,
                    outcome,
                });
            };
            let at_home = home.and_then(|home| self.sockets.namespaces().get(home));
            let is_local = at_home.is_some_and(|space| space.addresses().contains(local.ip()));
            if let Some(home) =
                home.filter(|_| is_local || self.is_group(local.ip(), home) || local.ip().is_unspecified())
            {
                push(home, Place::Home);
            } else {
                let spaces = self.sockets.with_address(local.ip(), home.unwrap_or(usize::MAX));
                let place = if spaces.len() > 1 { Place::Shared } else { Place::Elsewhere };
                for space in spaces {
                    push(space, place);
                }
            }
        }
    }

    /// Index of the namespace in which the flow was seen.
    fn home(&self, question: &Question) -> Option<usize> {
        question.namespace.map_or(Some(0), |inode| self.sockets.index_of(inode))
    }

    /// Whether many may receive it: multicast, and IPv4's broadcasts.
    fn is_group(&self, ip: IpAddr, home: Option<usize>) -> bool {
        let space = home.and_then(|home| self.sockets.namespaces().get(home));
        let of_link = space.is_some_and(|space| space.addresses().is_broadcast(ip));
        of_link || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST)
    }

    /// Joins what was found at the ends of a flow into one answer.
    ///
    /// The owner is at an end in the flow's own namespace, if there is one:
    /// what happens at the other end never stands in for it.
    fn conclude(&mut self, question: &Question, ends: &[Candidate], read: &mut Read) -> Answer {
        let home = self.home(question);
        let at_home =
            ends.iter().any(|end| end.place == Place::Home && !self.is_group(end.lookup.local.ip(), home));
        let mut answer: Option<Attributed> = None;
        let mut reason = None;
        for end in ends {
            let outcome = end.outcome.and_then(|(pid, evidence)| Ok((self.facts(pid, read)?, evidence)));
            match (outcome, &mut answer) {
                (Ok((owner, evidence)), None) if !(at_home && end.place != Place::Home) => {
                    let elsewhere = if end.place == Place::Home { Elsewhere::Nobody } else { Elsewhere::All };
                    answer = Some(Attributed { owner, end: end.end, evidence, peer: None, elsewhere });
                }
                (Ok((owner, _)), Some(answer)) if answer.end != end.end => {
                    answer.peer = Some(owner);
                    if answer.elsewhere == Elsewhere::Nobody && end.place != Place::Home {
                        answer.elsewhere = Elsewhere::Peer;
                    }
                }
                (Err(failed), _) if !(at_home && end.place != Place::Home) => {
                    reason =
                        [reason, Some(failed)].into_iter().flatten().max_by_key(|reason| telling(*reason));
                }
                _ => {}
            }
        }
        if let Some(answer) = answer {
            return Answer::Owner(answer);
        }
        let group = self.is_group(receiver(question), self.home(question)) && !at_home;
        Answer::None(match reason {
            Some(Reason::Ended) if group => Reason::Unclaimed,
            Some(reason) => reason,
            None if self.sockets.hidden() => Reason::Namespace,
            None if self.sockets.is_stale() => Reason::Deferred,
            None => Reason::Forwarded,
        })
    }

    /// The facts of a process, read again if it is not what it was.
    fn facts(&mut self, pid: u32, read: &mut Read) -> Result<Arc<Owner>, Reason> {
        if let Some(facts) = read.get(&pid) {
            return facts.clone();
        }
        let known = self.known.get(&pid).filter(|owner| self.reader.holds(owner)).cloned();
        let facts = match known {
            Some(owner) => Ok(owner),
            None => self.reader.read(pid).map(Arc::new).map_err(|_| Reason::Ended),
        };
        if let Ok(owner) = &facts {
            if self.known.len() >= KEPT {
                self.known.clear();
            }
            self.known.insert(pid, owner.clone());
        }
        read.insert(pid, facts.clone());
        facts
    }

    fn remember(&mut self, question: &Question, answer: &Answer, now: Instant) {
        if let Some(reason) = answer.reason().filter(|reason| *reason != Reason::Deferred) {
            if self.negative.len() >= KEPT {
                self.negative.clear();
            }
            self.negative.insert(*question, (reason, now + NEGATIVE));
        }
    }
}

/// Where the destination's socket receives.
fn receiver(question: &Question) -> IpAddr {
    plain(question.known_at(End::Destination).0).ip()
}

/// Of two ends without an owner, the reason that tells more.
fn telling(reason: Reason) -> u8 {
    match reason {
        Reason::Deferred => 4,
        Reason::Permission { .. } => 3,
        Reason::Ambiguous => 2,
        Reason::Kernel => 1,
        _ => 0,
    }
}

/// Processes read for one set of questions.
type Read = HashMap<u32, Result<Arc<Owner>, Reason>, RandomState>;
