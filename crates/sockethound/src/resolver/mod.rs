//! Reverse lookups in the background: what addresses are called, without anybody waiting for it.
//!
//! Sockets are opened by [`Resolver::open`], while the program may still do that; the thread that uses them starts with
//! the first question, so that it has the privileges of that time. From then on nothing is opened. Questions go out at
//! a bounded rate, first to the first nameserver, then to the others in turn.
//!
//! Not handled: `search`, `options` and `sortlist` of resolv.conf(5), which concern names or the order of addresses;
//! TCP after a truncated reply (a PTR record fits into a datagram).

mod conf;
mod ptr;
mod worker;

use std::collections::HashMap;
use std::hash::RandomState;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use self::worker::{Pace, Reply, Worker};

/// Questions that wait at once; further ones are to be asked again.
const MAX_WAITING: usize = 1024;
/// Addresses whose answers are remembered, so that they are not asked again.
const MAX_KNOWN: usize = 16_384;
/// How long a name is taken for good.
const NAMED: Duration = Duration::from_secs(3600);
/// How long it is taken for good that there is no name.
const NAMELESS: Duration = Duration::from_secs(600);
/// How long nobody is asked again after no nameserver gave an answer.
const FAILED: Duration = Duration::from_secs(60);

/// Asks nameservers what addresses are called.
#[derive(Debug)]
pub struct Resolver {
    local: Vec<SocketAddr>,
    /// What becomes a thread with the first question.
    idle: Option<(Worker, Receiver<IpAddr>, Sender<Reply>)>,
    questions: Sender<IpAddr>,
    replies: Receiver<Reply>,
    known: HashMap<IpAddr, Known>,
    waiting: usize,
}

/// What has become of a question.
#[derive(Debug)]
enum Known {
    Waiting,
    /// Not to be asked again before.
    Until(Instant),
}

impl Resolver {
    /// Opens a socket for each nameserver that `conf` (resolv.conf(5)) names; this host's own where there is none.
    ///
    /// An error is that of the last nameserver, if there is no way to any of them.
    pub fn open(conf: &Path) -> io::Result<Self> {
        let text = match std::fs::read_to_string(conf) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            read => read.unwrap_or_default(),
        };
        Self::of(&conf::servers(&text), Pace::default())
    }

    fn of(servers: &[SocketAddr], pace: Pace) -> io::Result<Self> {
        let (mut sockets, mut failure) = (Vec::new(), None);
        for server in servers {
            match connected(*server) {
                Ok(socket) => sockets.push(socket),
                Err(e) => failure = Some(e),
            }
        }
        if let Some(failure) = failure.filter(|_| sockets.is_empty()) {
            return Err(failure);
        }
        let local = sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?;
        let (questions, asked) = channel();
        let (answered, replies) = channel();
        let worker = Worker::new(sockets, pace, RandomState::new());
        let idle = Some((worker, asked, answered));
        Ok(Resolver { local, idle, questions, replies, known: HashMap::new(), waiting: 0 })
    }

    /// The ends of the own lookups on this host, by which they are told from others'.
    pub fn local_endpoints(&self) -> &[SocketAddr] {
        &self.local
    }

    /// Has `addr` looked up, unless that was done lately or makes no sense; never waits.
    ///
    /// May be called as often as the address is met. With too many questions waiting this one is forgotten.
    pub fn ask(&mut self, addr: IpAddr) {
        if !is_unicast(addr) || self.waiting >= MAX_WAITING {
            return;
        }
        match self.known.get(&addr) {
            Some(Known::Waiting) => return,
            Some(Known::Until(at)) if *at > Instant::now() => return,
            _ => {}
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.retain(|_, known| matches!(known, Known::Waiting));
        }
        if self.start().is_ok() && self.questions.send(addr).is_ok() {
            self.known.insert(addr, Known::Waiting);
            self.waiting += 1;
        }
    }

    /// What was found out of `addr` is not known any more: it may be asked for again.
    pub fn forget(&mut self, addr: IpAddr) {
        if matches!(self.known.get(&addr), Some(Known::Until(_))) {
            self.known.remove(&addr);
        }
    }

    /// What has been found out since the last call: `None` where an address has no name, or nobody could tell it.
    pub fn answers(&mut self) -> Vec<(IpAddr, Option<String>)> {
        let mut answers = Vec::new();
        while let Ok(Reply { addr, name, settled }) = self.replies.try_recv() {
            let pause = match (&name, settled) {
                (Some(_), _) => NAMED,
                (None, true) => NAMELESS,
                (None, false) => FAILED,
            };
            self.known.insert(addr, Known::Until(Instant::now() + pause));
            self.waiting -= 1;
            answers.push((addr, name));
        }
        answers
    }

    /// Starts the thread, which ends when the resolver is dropped.
    fn start(&mut self) -> io::Result<()> {
        let Some((worker, asked, answered)) = self.idle.take() else { return Ok(()) };
        let thread = thread::Builder::new().name("resolver".to_owned());
        thread.spawn(move || worker.run(&asked, &answered)).map(drop)
    }
}

/// A socket that takes what `server` sends, and nothing else.
fn connected(server: SocketAddr) -> io::Result<UdpSocket> {
    let any = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether `addr` is one host's, other than this one's loopback (RFC 6303 lists zones that nobody should be asked for).
fn is_unicast(addr: IpAddr) -> bool {
    let broadcast = addr == IpAddr::V4(Ipv4Addr::BROADCAST);
    !(addr.is_loopback() || addr.is_unspecified() || addr.is_multicast() || broadcast)
}

#[cfg(test)]
mod tests;
