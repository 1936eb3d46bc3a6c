//! [`Owners`] in a process of its own, asked over a socket pair.
//!
//! The reading of other users' processes takes privileges that the rest of the
//! program should not keep: a process that is forked beforehand keeps them and
//! runs [`serve`]; the other end holds a [`Client`], which never blocks. Every
//! question is answered once, in any order. How the process is made is the
//! program's affair.

mod client;
mod wire;

use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::RecvFlags;

pub use self::client::Client;

use self::wire::{Request, Told};
use crate::{Answer, Owners, Question, Reason};

/// Questions that hit a rate limit are tried again after this time …
const AGAIN: Duration = Duration::from_millis(300);
/// … and so often, before they are answered with [`Reason::Deferred`]; …
const TRIES: u32 = 6;
/// … in a flood, where so many wait for that, the others are at once.
const MANY_AGAIN: usize = 65_536;
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
        if wait(&stream, PollFlags::IN, owners.told_fd(), patience)? {
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
            match Request::read(body)? {
                Request::Question(id, question) => pending.push(Pending { id, question, tries: 0, due }),
                Request::Barrier => barriers += 1,
                Request::Accounts { begin } => accounts.push(begin),
            }
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

/// Waits until the stream is ready for what is wanted of it, or until `told` or the time wants attention; gives whether it is
/// the stream.
fn wait(
    stream: &UnixStream,
    wanted: PollFlags,
    told: Option<BorrowedFd<'_>>,
    patience: Option<Duration>,
) -> io::Result<bool> {
    let mut fds = vec![PollFd::new(stream, wanted)];
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
    let mut room = MANY_AGAIN;
    pending.retain_mut(|pending| {
        if !due(pending) {
            room = room.saturating_sub(1);
            return true;
        }
        let answer = answers.next().unwrap_or(Answer::None(Reason::Deferred));
        pending.tries += 1;
        pending.due = now + AGAIN;
        let again = answer.reason() == Some(Reason::Deferred) && pending.tries < TRIES && room > 0;
        room -= usize::from(again);
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

#[cfg(test)]
mod tests;
