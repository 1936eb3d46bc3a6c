//! The asking end of the service.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use flow::ProcessSockets;
use rustix::event::PollFlags;
use rustix::net::sockopt;

use super::wire::{self, Heard, Message};
use super::{CHUNK, Greeting, TOGETHER, is_idle, take_frames, wait};
use crate::{Answer, Change, Question};

/// Bytes not yet sent above which no more questions are taken.
const UNSENT: usize = 1 << 20;

/// The asking end; no call blocks.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    chunk: Vec<u8>,
    next: u64,
    received: Received,
}

/// What has come from the service, and what is still to come.
#[derive(Debug, Default)]
struct Received {
    heard: Heard,
    greeting: Option<Greeting>,
    changes: Vec<Change>,
    sockets: Vec<ProcessSockets>,
    lost: u64,
    /// Questions that are not answered.
    questions: usize,
    /// Asked to tell everything, and not answered.
    barriers: usize,
    /// Asked for accounts, and not answered.
    accounts: usize,
}

impl Received {
    fn take(&mut self, body: &[u8], each: &mut impl FnMut(u64, Answer)) -> Option<()> {
        match Message::read(body, &mut self.heard)? {
            Message::Answer(id, answer) => {
                self.questions = self.questions.saturating_sub(1);
                each(id, answer);
            }
            Message::Greeting(greeting) => self.greeting = Some(greeting),
            Message::Change(change) => self.changes.push(change),
            Message::Sockets(sockets) => self.sockets.push(sockets),
            Message::Lost(events) => self.lost = events,
            Message::Barrier => self.barriers = self.barriers.saturating_sub(1),
            Message::Accounts => self.accounts = self.accounts.saturating_sub(1),
        }
        Some(())
    }
}

impl Client {
    /// Takes one end of a socket pair.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        // What is refused leaves the size as it was: of many questions, fewer are answered together.
        let _ = sockopt::set_socket_send_buffer_size(&stream, TOGETHER);
        Ok(Self {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            chunk: vec![0; CHUNK],
            next: 0,
            received: Received::default(),
        })
    }

    /// Queues a question and gives the number that its answer will carry, or
    /// `None` while too many are unsent. [`Self::receive`] sends it.
    pub fn ask(&mut self, question: &Question) -> Option<u64> {
        if self.output.len() > UNSENT {
            return None;
        }
        let id = self.next;
        self.next += 1;
        self.received.questions += 1;
        wire::write_question(&mut self.output, id, question);
        Some(id)
    }

    /// Waits for what the service says of itself, at most for `patience`; only once, before anything is asked.
    pub fn greeting(&mut self, patience: Duration) -> Option<Greeting> {
        let end = Instant::now() + patience;
        while self.received.greeting.is_none() {
            let left = end.checked_duration_since(Instant::now())?;
            wait(&self.stream, PollFlags::IN, None, Some(left)).ok()?;
            self.receive(|_, _| {}).ok()?;
        }
        self.received.greeting.take()
    }

    /// Owners that were answered and are otherwise now, as far as was received.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.received.changes)
    }

    /// Events of the kernel that were lost, as far as was received.
    pub fn lost(&self) -> u64 {
        self.received.lost
    }

    /// Waits until the service has told whatever the kernel has told it by now, at most for `patience`; answers that
    /// come are given to `each`.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub fn catch_up(&mut self, patience: Duration, each: impl FnMut(u64, Answer)) -> io::Result<()> {
        // One that was given up before still counts.
        self.received.barriers += 1;
        wire::write_barrier(&mut self.output);
        self.wait_for(patience, each, |client| client.received.barriers == 0).map(drop)
    }

    /// Has what sockets do counted from now on, waiting for that at most for `patience`.
    ///
    /// # Errors
    /// As [`Self::receive`], and `TimedOut`.
    pub fn begin_accounts(&mut self, patience: Duration) -> io::Result<()> {
        let begun = self.ask_accounts(true, patience, |_, _| {})?;
        if begun { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
    }

    /// What processes' sockets have done by now, of those that did anything since the last call; `None` if it does not come
    /// within `patience`: then it comes the next time. Answers that come are given to `each`.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub fn take_accounts(
        &mut self,
        patience: Duration,
        each: impl FnMut(u64, Answer),
    ) -> io::Result<Option<Vec<ProcessSockets>>> {
        let told = self.ask_accounts(false, patience, each)?;
        Ok(told.then(|| std::mem::take(&mut self.received.sockets)))
    }

    /// Gives whether the answer came in time.
    fn ask_accounts(
        &mut self,
        begin: bool,
        patience: Duration,
        each: impl FnMut(u64, Answer),
    ) -> io::Result<bool> {
        self.received.accounts += 1;
        wire::write_accounts(&mut self.output, begin);
        self.wait_for(patience, each, |client| client.received.accounts == 0)
    }

    /// Gives whether it is done.
    fn wait_for(
        &mut self,
        patience: Duration,
        mut each: impl FnMut(u64, Answer),
        is_done: impl Fn(&Self) -> bool,
    ) -> io::Result<bool> {
        let end = Instant::now() + patience;
        loop {
            self.receive(&mut each)?;
            let left = end.saturating_duration_since(Instant::now());
            if is_done(self) || left.is_zero() {
                return Ok(is_done(self));
            }
            // What does not fit yet is sent as soon as the service has taken something.
            let unsent = if self.output.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            wait(&self.stream, PollFlags::IN | unsent, None, Some(left))?;
        }
    }

    /// How many questions are not answered yet.
    pub fn waiting(&self) -> usize {
        self.received.questions
    }

    /// Sends what is queued and gives the answers that have come to `each`.
    ///
    /// # Errors
    /// `UnexpectedEof` or `BrokenPipe` if the service has ended, `InvalidData`
    /// if what came is no answer. No answers come after an error.
    pub fn receive(&mut self, mut each: impl FnMut(u64, Answer)) -> io::Result<()> {
        self.send()?;
        loop {
            match self.stream.read(&mut self.chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.input.extend_from_slice(self.chunk.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_idle(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
            let received = &mut self.received;
            take_frames(&mut self.input, |body| received.take(body, &mut each))?;
        }
    }

    fn send(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(length) => drop(self.output.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_idle(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
