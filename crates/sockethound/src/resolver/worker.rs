//! The thread that asks and listens.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::ptr::{self, Said};

/// Questions that nameservers have at once.
const MAX_ASKED: usize = 64;
/// Datagrams that are read from one nameserver between two questions.
const MAX_READ: usize = 64;
/// How often each nameserver is asked.
const ROUNDS: usize = 2;

/// How fast questions follow each other, and how long one waits for a reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) between: Duration,
    pub(super) patience: Duration,
}

impl Default for Pace {
    /// Twenty questions a second.
    fn default() -> Self {
        Pace { between: Duration::from_millis(50), patience: Duration::from_secs(2) }
    }
}

/// What was found out of an address.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) addr: IpAddr,
    pub(super) name: Option<String>,
    /// A nameserver has said so.
    pub(super) settled: bool,
}

/// One nameserver.
#[derive(Debug)]
struct Server {
    socket: UdpSocket,
    ends: Option<(SocketAddr, SocketAddr)>,
}

/// One question, waiting to be sent or to be answered.
#[derive(Debug)]
struct Question {
    addr: IpAddr,
    name: String,
    id: u16,
    /// How often it has been sent.
    sent: usize,
    /// When it was sent last.
    at: Instant,
}

impl Question {
    /// Which of `servers` has it.
    fn server(&self, servers: usize) -> usize {
        self.sent.saturating_sub(1) % servers
    }
}

/// What the thread owns.
#[derive(Debug)]
pub(super) struct Worker {
    servers: Vec<Server>,
    pace: Pace,
    random: RandomState,
    drawn: u64,
    waiting: VecDeque<Question>,
    asked: Vec<Question>,
}

impl Worker {
    pub(super) fn new(sockets: Vec<UdpSocket>, pace: Pace, random: RandomState) -> Self {
        let ends = |socket: &UdpSocket| socket.peer_addr().ok().zip(socket.local_addr().ok());
        let servers = sockets.into_iter().map(|socket| Server { ends: ends(&socket), socket }).collect();
        Worker { servers, pace, random, drawn: 0, waiting: VecDeque::new(), asked: Vec::new() }
    }

    /// Works until nobody asks any more. Sleeps while there is nothing to do.
    pub(super) fn run(mut self, questions: &Receiver<IpAddr>, replies: &Sender<Reply>) {
        let mut next = Instant::now();
        loop {
            let busy = !(self.waiting.is_empty() && self.asked.is_empty());
            let question = if busy {
                questions.recv_timeout(next.saturating_duration_since(Instant::now()))
            } else {
                questions.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match question {
                Ok(addr) => self.accept(addr),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            if now >= next {
                let found = self.step(now);
                if found.into_iter().any(|reply| replies.send(reply).is_err()) {
                    return;
                }
                next = now + self.pace.between;
            }
        }
    }

    fn accept(&mut self, addr: IpAddr) {
        let name = ptr::reverse_name(addr);
        self.waiting.push_back(Question { addr, name, id: 0, sent: 0, at: Instant::now() });
    }

    /// Reads what has come, gives up on what has not, and sends one question.
    fn step(&mut self, now: Instant) -> Vec<Reply> {
        let mut found = Vec::new();
        for server in 0..self.servers.len() {
            self.read(server, &mut found);
        }
        let patience = self.pace.patience;
        self.pass_on(|question, _| now.duration_since(question.at) >= patience, &mut found);
        self.send(now);
        found
    }

    fn read(&mut self, server: usize, found: &mut Vec<Reply>) {
        let mut bytes = [0; ptr::LONGEST];
        for _ in 0..MAX_READ {
            match self.servers[server].socket.recv(&mut bytes) {
                Ok(len) => self.take(server, &bytes[..len], found),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return,
                // Nobody listens there: no use waiting.
                Err(_) => return self.pass_on(|_, asked| asked == server, found),
            }
        }
    }

    /// Takes what a nameserver sent, if it replies to a question that it has.
    fn take(&mut self, server: usize, bytes: &[u8], found: &mut Vec<Reply>) {
        let (all, ends) = (self.servers.len(), self.servers[server].ends);
        let Some(message) = ends.and_then(|(peer, local)| ptr::message(bytes, peer, local)) else { return };
        let fits = |q: &Question| q.server(all) == server && ptr::replies_to(&message, q.id, &q.name);
        let Some(at) = self.asked.iter().position(fits) else { return };
        let question = self.asked.swap_remove(at);
        let (name, addr) = match ptr::said(&message, &question.name) {
            Said::Name(name) => (Some(name), question.addr),
            Said::Nothing => (None, question.addr),
            Said::Failure => return found.extend(self.again(question)),
        };
        found.push(Reply { addr, name, settled: true });
    }

    /// Has those questions that `which` tells, by them and their nameserver, asked elsewhere.
    fn pass_on(&mut self, which: impl Fn(&Question, usize) -> bool, found: &mut Vec<Reply>) {
        let all = self.servers.len();
        for at in (0..self.asked.len()).rev() {
            if which(&self.asked[at], self.asked[at].server(all)) {
                let question = self.asked.swap_remove(at);
                found.extend(self.again(question));
            }
        }
    }

    /// Puts a question back in front, or gives it up.
    fn again(&mut self, question: Question) -> Option<Reply> {
        if question.sent >= ROUNDS * self.servers.len() {
            return Some(Reply { addr: question.addr, name: None, settled: false });
        }
        self.waiting.push_front(question);
        None
    }

    fn send(&mut self, now: Instant) {
        if self.asked.len() >= MAX_ASKED {
            return;
        }
        let Some(mut question) = self.waiting.pop_front() else { return };
        self.drawn += 1;
        // Not to be guessed by who did not see the question (RFC 5452, section 4.3).
        (question.id, question.at) = (self.random.hash_one(self.drawn) as u16, now);
        question.sent += 1;
        let server = &self.servers[question.server(self.servers.len())];
        // What cannot be sent is not answered.
        let _ = server.socket.send(&ptr::question(question.id, &question.name));
        self.asked.push(question);
    }
}
