//! Which interfaces there are, what becomes of them, and what they have counted: rtnetlink (RFC 3549).
//!
//! Not handled: interfaces of other network namespaces; bridge ports as such.

mod kind;
mod message;

use std::collections::BTreeMap;
use std::io;

use super::sys::Socket;

use self::message::{INFO, LinkMessage, MESSAGE, Messages, i32_at};

pub(super) use self::kind::{Start, arphrd, start};
pub use self::message::InterfaceCounters;
pub(super) use self::message::Link;

/// What happened to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkChange {
    /// Its name, now or last.
    pub name: String,
    /// Its number in the system (`ifindex`).
    pub ifindex: u32,
    /// What happened.
    pub kind: LinkChangeKind,
}

/// Kinds of [`LinkChange`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It was called so before.
    Renamed {
        /// The former name.
        from: String,
    },
    /// It was switched on.
    Up,
    /// It was switched off.
    Down,
}

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const NLM_F_DUMP_REQUEST: u16 = 0x301;
const RTMGRP_LINK: u32 = 1;
/// More than the kernel puts into one datagram of a dump (32 KiB).
const DATAGRAM: usize = 64 << 10;
/// What may wait unread, in bytes; more than a thousand interfaces at once make.
const QUEUE: i32 = 4 << 20;
/// How many interfaces are remembered that are gone: packets of theirs may still be unread.
pub(super) const DEPARTED: usize = 1024;
/// How long the kernel may take to answer: it answers before `send` returns, but for what does not fit the queue.
const TRIES: usize = 3;

/// The interfaces of a network namespace, kept up to date.
#[derive(Debug)]
pub(super) struct Links {
    /// Tells of changes.
    pub(super) news: Socket,
    /// Answers questions.
    questions: Socket,
    by_index: BTreeMap<u32, Link>,
    /// Those that are gone, while packets of theirs may still be unread.
    departed: BTreeMap<u32, Link>,
    changes: Vec<LinkChange>,
    buffer: Box<[u8]>,
}

impl Links {
    /// Opens the sockets; in the namespace that is to be watched.
    pub(super) fn sockets() -> io::Result<(Socket, Socket)> {
        let (news, questions) = (Socket::route()?, Socket::route()?);
        // Without the privilege the queue stays as it is, and what is lost of it is asked for again.
        let _ = news.set_queue(QUEUE);
        news.bind_netlink(RTMGRP_LINK)?;
        questions.bind_netlink(0)?;
        Ok((news, questions))
    }

    /// Takes stock. What stands at first is no change.
    pub(super) fn watch((news, questions): (Socket, Socket)) -> io::Result<Self> {
        let buffer = vec![0; DATAGRAM].into_boxed_slice();
        let (by_index, departed) = (BTreeMap::new(), BTreeMap::new());
        let mut links = Self { news, questions, by_index, departed, changes: Vec::new(), buffer };
        links.take_stock()?;
        links.changes.clear();
        Ok(links)
    }

    /// Every interface, by number.
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, &Link)> {
        self.by_index.iter().map(|(&number, link)| (number, link))
    }

    /// One interface.
    pub(super) fn get(&self, ifindex: u32) -> Option<&Link> {
        self.by_index.get(&ifindex)
    }

    /// One that is gone.
    pub(super) fn departed(&self, ifindex: u32) -> Option<&Link> {
        self.departed.get(&ifindex)
    }

    /// What has changed since the last call.
    pub(super) fn take_changes(&mut self) -> Vec<LinkChange> {
        std::mem::take(&mut self.changes)
    }

    /// Reads what is new, without waiting.
    pub(super) fn update(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut lost = false;
        let result = loop {
            match self.read_news(&mut buffer) {
                // The queue was full. What still waits in it is older than what was lost.
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => lost = true,
                other => break other,
            }
        };
        self.buffer = buffer;
        result?;
        if lost { self.take_stock() } else { Ok(()) }
    }

    fn read_news(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        while let Some(len) = self.news.receive(buffer)? {
            for message in Messages(buffer.get(..len).unwrap_or_default()) {
                match (message.kind, LinkMessage::of(message.body)) {
                    (RTM_NEWLINK, Some(link)) => self.apply(link.ifindex, link.link()),
                    (RTM_DELLINK, Some(link)) => self.remove(link.ifindex),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Asks for all interfaces and notes what is different from what was known.
    fn take_stock(&mut self) -> io::Result<()> {
        let mut now = BTreeMap::new();
        self.ask(|link| {
            now.insert(link.ifindex, link.link());
        })?;
        let gone: Vec<u32> = self.by_index.keys().filter(|k| !now.contains_key(k)).copied().collect();
        for number in gone {
            self.remove(number);
        }
        for (number, link) in now {
            self.apply(number, link);
        }
        Ok(())
    }

    fn apply(&mut self, ifindex: u32, link: Link) {
        let mut note = |kind| self.changes.push(LinkChange { name: link.name.clone(), ifindex, kind });
        match self.by_index.get(&ifindex) {
            None => {
                note(LinkChangeKind::Added);
                if link.up {
                    note(LinkChangeKind::Up);
                }
            }
            Some(old) => {
                if old.name != link.name {
                    note(LinkChangeKind::Renamed { from: old.name.clone() });
                }
                if old.up != link.up {
                    note(if link.up { LinkChangeKind::Up } else { LinkChangeKind::Down });
                }
            }
        }
        self.by_index.insert(ifindex, link);
    }

    fn remove(&mut self, ifindex: u32) {
        if let Some(link) = self.by_index.remove(&ifindex) {
            let name = link.name.clone();
            self.changes.push(LinkChange { name, ifindex, kind: LinkChangeKind::Removed });
            if self.departed.len() == DEPARTED {
                self.departed.pop_first();
            }
            self.departed.insert(ifindex, link);
        }
    }

    /// What every interface has counted by now.
    pub(super) fn counters(&mut self) -> io::Result<Vec<InterfaceCounters>> {
        let mut all = Vec::new();
        self.ask(|link| all.push(link.counters()))?;
        Ok(all)
    }

    /// Asks for all interfaces (RTM_GETLINK).
    fn ask(&mut self, mut each: impl FnMut(LinkMessage<'_>)) -> io::Result<()> {
        let mut request = Vec::with_capacity(MESSAGE + INFO);
        request.extend(((MESSAGE + INFO) as u32).to_ne_bytes());
        request.extend(RTM_GETLINK.to_ne_bytes());
        request.extend(NLM_F_DUMP_REQUEST.to_ne_bytes());
        request.resize(MESSAGE + INFO, 0);
        // What is left of a question that was not answered to the end.
        while self.questions.receive(&mut self.buffer)?.is_some() {}
        self.questions.send(&request)?;
        let mut tries = 0;
        loop {
            let Some(len) = self.questions.receive(&mut self.buffer)? else {
                tries += 1;
                if tries == TRIES {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                std::thread::yield_now();
                continue;
            };
            for message in Messages(self.buffer.get(..len).unwrap_or_default()) {
                match message.kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => {
                        let code = i32_at(message.body, 0).unwrap_or_default();
                        return Err(io::Error::from_raw_os_error(-code));
                    }
                    RTM_NEWLINK => LinkMessage::of(message.body).into_iter().for_each(&mut each),
                    _ => {}
                }
            }
        }
    }
}
