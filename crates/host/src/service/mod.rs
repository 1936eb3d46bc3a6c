//! [`Owners`] in a process of its own, asked over a socket pair.
//!
//! The reading of other users' processes takes privileges that the rest of the
//! program should not keep: a process that is forked beforehand keeps them and
//! runs [`serve`]; the other end holds a [`Client`], which never blocks. Every
//! question is answered once, in any order. How the process is made is the
//! program's affair.

mod wire;

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use flow::ProcessSockets;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, sockopt};

use self::wire::{Heard, Told};
use crate::{Answer, Change, Owners, Question, Reason};

/// Questions that hit a rate limit are tried again after this time …
const AGAIN: Duration = Duration::from_millis(300);
/// … and so often, before they are answered with [`Reason::Deferred`].
const TRIES: u32 = 6;
/// Bytes not yet sent above which a client takes no more questions.
const UNSENT: usize = 1 << 20;
/// Processes of which both ends remember that they were told.
const KEPT: usize = 16_384;
const CHUNK: usize = 64 * 1024;
/// Bytes of questions that are answered together: many at once are cheaper to look up, but the first ones wait.
const TOGETHER: usize = 1 << 20;
/// Where so many bytes have come, more follow …
const MANY: usize = 16 * 1024;
/// … within this time.
const MORE: Duration = Duration::from_millis(3);

/// What the service says of itself before it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    /// The kernel tells owners by itself.
    pub told: bool,
    /// It counts at sockets.
    pub counts: bool,
    /// What the user should hear.
    pub lines: Vec<String>,
}

/// Sends `greeting`, before [`serve`].
///
/// # Errors
/// Those of the stream.
pub fn greet(mut stream: &UnixStream, greeting: &Greeting) -> io::Result<()> {
    let mut output = Vec::new();
    wire::write_greeting(&mut output, greeting);
    stream.write_all(&output)
}

/// A question being answered.
struct Pending {
    id: u64,
    question: Question,
    tries: u32,
    /// When it is looked up next.
    due: Instant,
}

/// Answers questions until the other end is closed.
///
/// # Errors
/// Those of the stream, and `InvalidData` if what comes is no question.
pub fn serve(owners: &mut Owners, mut stream: UnixStream) -> io::Result<()> {
    let mut input = Vec::new();
    let mut output = Vec::new();
    let mut chunk = vec![0; CHUNK];
    let mut pending: Vec<Pending> = Vec::new();
    let mut told = Told::default();
    let mut lost = 0;
    loop {
        let patience = patience(owners, &pending);
        if wait(&stream, owners.told_fd(), patience)? {
            match stream.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(length) => {
                    input.extend_from_slice(chunk.get(..length).unwrap_or_default());
                    take_waiting(&stream, &mut chunk, &mut input)?;
                }
                Err(error) if is_idle(&error) => {}
                Err(error) => return Err(error),
            }
        } else {
            owners.read_told(Instant::now());
        }
        let due = Instant::now();
        let (mut barriers, mut accounts) = (0, Vec::new());
        take_frames(&mut input, |body| {
            if wire::is_barrier(body) {
                barriers += 1;
                return Some(());
            }
            if let Some(begin) = wire::read_accounts(body) {
                accounts.push(begin);
                return Some(());
            }
            let (id, question) = wire::read_question(body)?;
            pending.push(Pending { id, question, tries: 0, due });
            Some(())
        })?;
        answer_due(owners, &mut pending, &mut told, &mut output);
        if barriers > 0 {
            owners.read_told(Instant::now());
        }
        owners.take_changes().iter().for_each(|change| wire::write_change(&mut output, change, &mut told));
        if owners.lost() > lost {
            lost = owners.lost();
            wire::write_lost(&mut output, lost);
        }
        (0..barriers).for_each(|_| wire::write_barrier(&mut output));
        for begin in accounts {
            tell_accounts(owners, begin, &mut told, &mut output);
        }
        stream.write_all(&output)?;
        output.clear();
    }
}

/// What cannot be read is not told: then nothing has changed.
fn tell_accounts(owners: &mut Owners, begin: bool, told: &mut Told, output: &mut Vec<u8>) {
    if begin {
        let _ = owners.begin_accounts();
    } else {
        let changed = owners.take_accounts().unwrap_or_default();
        for sockets in &changed {
            wire::write_sockets(output, sockets, told);
        }
    }
    wire::write_accounts(output, begin);
}

/// Takes what else has come, and where that is much, what follows within a moment.
fn take_waiting(stream: &UnixStream, chunk: &mut [u8], input: &mut Vec<u8>) -> io::Result<()> {
    let mut before = 0;
    while input.len() >= before + MANY && input.len() < TOGETHER {
        before = input.len();
        std::thread::sleep(MORE);
        loop {
            match rustix::net::recv(stream, &mut *chunk, RecvFlags::DONTWAIT) {
                // Its end is seen when it is read next.
                Ok((_, 0)) => return Ok(()),
                Ok((_, length)) => input.extend_from_slice(chunk.get(..length).unwrap_or_default()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno.into()),
            }
        }
    }
    Ok(())
}

/// How long nothing needs to be done if nobody asks.
fn patience(owners: &mut Owners, pending: &[Pending]) -> Option<Duration> {
    let now = Instant::now();
    let again = pending.iter().map(|pending| pending.due.saturating_duration_since(now)).min();
    owners.rest(now).into_iter().chain(again).min()
}

/// Waits for a question, or until `told` or the time wants attention; gives whether it is a question.
fn wait(stream: &UnixStream, told: Option<BorrowedFd<'_>>, patience: Option<Duration>) -> io::Result<bool> {
    let mut fds = vec![PollFd::new(stream, PollFlags::IN)];
    fds.extend(told.map(|told| PollFd::from_borrowed_fd(told, PollFlags::IN)));
    let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) => Ok(fds.first().is_some_and(|fd| !fd.revents().is_empty())),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Answers what is due, and puts off what hits a rate limit.
fn answer_due(owners: &mut Owners, pending: &mut Vec<Pending>, told: &mut Told, output: &mut Vec<u8>) {
    let now = Instant::now();
    let due = |pending: &Pending| pending.due <= now;
    let questions: Vec<Question> = pending.iter().filter(|p| due(p)).map(|p| p.question).collect();
    let mut answers = owners.resolve(&questions, now).into_iter();
    pending.retain_mut(|pending| {
        if !due(pending) {
            return true;
        }
        let answer = answers.next().unwrap_or(Answer::None(Reason::Deferred));
        pending.tries += 1;
        pending.due = now + AGAIN;
        let again = answer.reason() == Some(Reason::Deferred) && pending.tries < TRIES;
        if !again {
            wire::write_answer(output, pending.id, &answer, told);
        }
        again
    });
}

/// Takes whole frames off the front of `input`.
fn take_frames(input: &mut Vec<u8>, mut each: impl FnMut(&[u8]) -> Option<()>) -> io::Result<()> {
    let mut rest = input.as_slice();
    while let Some((body, after)) = wire::split_frame(rest)? {
        each(body).ok_or(io::ErrorKind::InvalidData)?;
        rest = after;
    }
    let used = input.len() - rest.len();
    input.drain(..used);
    Ok(())
}

fn is_idle(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

/// The asking end; no call blocks.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    chunk: Vec<u8>,
    next: u64,
    waiting: usize,
    heard: Heard,
    greeting: Option<Greeting>,
    changes: Vec<Change>,
    /// Asked to tell everything, and not answered.
    barriers: usize,
    /// Asked for accounts, and not answered.
    accounts: usize,
    sockets: Vec<ProcessSockets>,
    lost: u64,
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
            waiting: 0,
            heard: Heard::default(),
            greeting: None,
            changes: Vec::new(),
            barriers: 0,
            accounts: 0,
            sockets: Vec::new(),
            lost: 0,
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
        self.waiting += 1;
        wire::write_question(&mut self.output, id, question);
        Some(id)
    }

    /// Waits for what the service says of itself, at most for `patience`; only once, before anything is asked.
    pub fn greeting(&mut self, patience: Duration) -> Option<Greeting> {
        let end = Instant::now() + patience;
        while self.greeting.is_none() {
            let left = end.checked_duration_since(Instant::now())?;
            wait(&self.stream, None, Some(left)).ok()?;
            self.receive(|_, _| {}).ok()?;
        }
        self.greeting.take()
    }

    /// Owners that were answered and are otherwise now, as far as was received.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Events of the kernel that were lost, as far as was received.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Waits until the service has told whatever the kernel has told it by now, at most for `patience`; answers that
    /// come are given to `each`.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub fn catch_up(&mut self, patience: Duration, each: impl FnMut(u64, Answer)) -> io::Result<()> {
        // One that was given up before still counts.
        self.barriers += 1;
        wire::write_barrier(&mut self.output);
        self.wait_for(patience, each, |client| client.barriers == 0)
    }

    /// Has what sockets do counted from now on, waiting for that at most for `patience`.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub fn begin_accounts(&mut self, patience: Duration) -> io::Result<()> {
        self.ask_accounts(true, patience, |_, _| {})
    }

    /// What processes' sockets have done by now, of those that did anything since the last call; what does not come within
    /// `patience` comes the next time. Answers that come are given to `each`.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub fn take_accounts(
        &mut self,
        patience: Duration,
        each: impl FnMut(u64, Answer),
    ) -> io::Result<Vec<ProcessSockets>> {
        self.ask_accounts(false, patience, each)?;
        Ok(std::mem::take(&mut self.sockets))
    }

    fn ask_accounts(
        &mut self,
        begin: bool,
        patience: Duration,
        each: impl FnMut(u64, Answer),
    ) -> io::Result<()> {
        self.accounts += 1;
        wire::write_accounts(&mut self.output, begin);
        self.wait_for(patience, each, |client| client.accounts == 0)
    }

    fn wait_for(
        &mut self,
        patience: Duration,
        mut each: impl FnMut(u64, Answer),
        is_done: impl Fn(&Self) -> bool,
    ) -> io::Result<()> {
        let end = Instant::now() + patience;
        loop {
            self.receive(&mut each)?;
            let left = end.saturating_duration_since(Instant::now());
            if is_done(self) || left.is_zero() {
                return Ok(());
            }
            wait(&self.stream, None, Some(left))?;
        }
    }

    /// How many questions are not answered yet.
    pub fn waiting(&self) -> usize {
        self.waiting
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
                Err(error) if is_idle(&error) => break,
                Err(error) => return Err(error),
            }
            let heard = &mut self.heard;
            let waiting = &mut self.waiting;
            let (greeting, changes, barriers) = (&mut self.greeting, &mut self.changes, &mut self.barriers);
            let lost = &mut self.lost;
            let (accounts, sockets) = (&mut self.accounts, &mut self.sockets);
            take_frames(&mut self.input, |body| {
                if wire::is_barrier(body) {
                    *barriers = barriers.saturating_sub(1);
                    return Some(());
                }
                if wire::read_accounts(body).is_some() {
                    *accounts = accounts.saturating_sub(1);
                    return Some(());
                }
                if let Some(told) = wire::read_sockets(body, heard) {
                    sockets.push(told);
                    return Some(());
                }
                if let Some(events) = wire::read_lost(body) {
                    *lost = events;
                    return Some(());
                }
                if let Some(change) = wire::read_change(body, heard) {
                    changes.push(change);
                    return Some(());
                }
                if let Some(said) = wire::read_greeting(body) {
                    *greeting = Some(said);
                    return Some(());
                }
                let (id, answer) = wire::read_answer(body, heard)?;
                *waiting = waiting.saturating_sub(1);
                each(id, answer);
                Some(())
            })?;
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hashbrown::HashMap;

    use super::*;
    use crate::{Config, Protocol};

    #[test]
    fn questions_are_answered_across_a_pair() {
        let (near, far) = UnixStream::pair().unwrap();
        let service = std::thread::spawn(move || serve(&mut Owners::open(&Config::default())?, far));
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut client = Client::new(near).unwrap();
        let question = Question {
            protocol: Protocol::UDP,
            source: socket.local_addr().unwrap(),
            destination: "127.0.0.1:9".parse().unwrap(),
            namespace: None,
            interface: 0,
        };
        let nobody = Question { source: "127.0.0.1:7".parse().unwrap(), ..question };
        let ids = [question, nobody, question].map(|question| client.ask(&question).unwrap());
        let mut answers = HashMap::<u64, Answer>::new();
        let start = Instant::now();
        while client.waiting() > 0 && start.elapsed() < Duration::from_secs(20) {
            client.receive(|id, answer| drop(answers.insert(id, answer))).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
        let [first, second, third] = ids.map(|id| answers.remove(&id).unwrap());
        assert_eq!(first.owner().unwrap().pid, std::process::id());
        assert!(Arc::ptr_eq(first.owner().unwrap(), third.owner().unwrap()));
        assert_eq!(second.reason(), Some(Reason::Ended));
        drop(client);
        service.join().unwrap().unwrap();
    }

    #[test]
    fn a_service_that_ended_is_an_error() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut client = Client::new(near).unwrap();
        client.receive(|_, _| unreachable!()).unwrap();
        drop(far);
        assert!(client.receive(|_, _| unreachable!()).is_err());
    }
}
