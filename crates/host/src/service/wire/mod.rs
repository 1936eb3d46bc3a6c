//! Questions and answers as bytes: frames of a length (four bytes, without
//! itself) and a body; numbers are little-endian, texts have a length, what may
//! be absent has a flag. Both ends are the same build, so there is no version.

mod field;
mod owner;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use dissect::Timestamp;
use flow::{ProcessSockets, RoundTrips, SocketCounts};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use self::field::{Reader, end, frame, number, option, text};
use self::owner::write_owner;
use super::{Greeting, KEPT};
use crate::{Answer, Attributed, Change, Elsewhere, End, Evidence, Owner, Protocol, Question, Reason};

/// A frame above this length is an error: command lines are bounded by the
/// kernel far below it.
const LARGEST: usize = 16 << 20;

const EVIDENCE: [Evidence; 6] = [
    Evidence::Exact,
    Evidence::Bound,
    Evidence::Listener,
    Evidence::Protocol,
    Evidence::Told,
    Evidence::ToldListener,
];

/// What the asking end says.
#[derive(Debug)]
pub(super) enum Request {
    Question(u64, Question),
    /// Whatever was told by now is to be told.
    Barrier,
    /// What processes' sockets did since the last time is to be told; or, to `begin`, to be counted from now on.
    Accounts {
        begin: bool,
    },
}

impl Request {
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        match Reader(body).number()? {
            BARRIER => is_barrier(body).then_some(Self::Barrier),
            ACCOUNTS => read_accounts(body).map(|begin| Self::Accounts { begin }),
            _ => read_question(body).map(|(id, question)| Self::Question(id, question)),
        }
    }
}

/// What the answering end says.
#[derive(Debug)]
pub(super) enum Message {
    Answer(u64, Answer),
    Greeting(Greeting),
    Change(Change),
    Sockets(ProcessSockets),
    /// Events of the kernel that were lost so far.
    Lost(u64),
    /// Everything is told.
    Barrier,
    Accounts,
}

impl Message {
    /// `heard` are the processes that the other end has told of.
    pub(super) fn read(body: &[u8], heard: &mut Heard) -> Option<Self> {
        match Reader(body).number()? {
            GREETING => read_greeting(body).map(Self::Greeting),
            CHANGE => read_change(body, heard).map(Self::Change),
            SOCKETS => read_sockets(body, heard).map(Self::Sockets),
            LOST => read_lost(body).map(Self::Lost),
            BARRIER => is_barrier(body).then_some(Self::Barrier),
            ACCOUNTS => read_accounts(body).map(|_| Self::Accounts),
            _ => read_answer(body, heard).map(|(id, answer)| Self::Answer(id, answer)),
        }
    }
}

/// The first frame's body and what follows; `None` until it is whole.
pub(super) fn split_frame(bytes: &[u8]) -> io::Result<Option<(&[u8], &[u8])>> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if length > LARGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(rest.split_at_checked(length))
}

pub(super) fn write_question(out: &mut Vec<u8>, id: u64, question: &Question) {
    frame(out, |out| {
        number(out, id);
        out.push(question.protocol.0);
        end(out, question.source);
        end(out, question.destination);
        option(out, question.translated, |out, (source, destination)| {
            end(out, source);
            end(out, destination);
        });
        option(out, question.namespace, number);
        number(out, u64::from(question.interface));
        number(out, question.begun.0.cast_unsigned());
    });
}

fn read_question(body: &[u8]) -> Option<(u64, Question)> {
    let mut from = Reader(body);
    let id = from.number()?;
    let question = Question {
        protocol: Protocol(from.byte()?),
        source: from.end()?,
        destination: from.end()?,
        translated: from.option(|from| from.end().zip(from.end()))?,
        namespace: from.option(Reader::number)?,
        interface: from.number()? as u32,
        begun: Timestamp(from.number()?.cast_signed()),
    };
    from.0.is_empty().then_some((id, question))
}

/// `told` knows which processes the other end has been told of: their facts are not sent again.
pub(super) fn write_answer(out: &mut Vec<u8>, id: u64, answer: &Answer, told: &mut Told) {
    frame(out, |out| {
        number(out, id);
        match answer {
            Answer::None(reason) => {
                out.push(0);
                write_reason(out, *reason);
            }
            Answer::Owner(attributed) => {
                out.push(1);
                out.push(u8::from(attributed.end == End::Destination));
                out.push(index_of(attributed.evidence));
                out.push(match attributed.elsewhere {
                    Elsewhere::Nobody => 0,
                    Elsewhere::Peer => 1,
                    Elsewhere::All => 2,
                });
                told.write(out, &attributed.owner);
                option(out, attributed.peer.as_ref(), |out, peer| told.write(out, peer));
            }
        }
    });
}

/// Numbers of frames that answer no question.
const GREETING: u64 = u64::MAX;
const CHANGE: u64 = u64::MAX - 1;
/// Both ways: who sends it back has told everything.
const BARRIER: u64 = u64::MAX - 2;
const LOST: u64 = u64::MAX - 3;
/// Asks for what processes' sockets did, and ends the answer.
const ACCOUNTS: u64 = u64::MAX - 4;
/// What one process's sockets did.
const SOCKETS: u64 = u64::MAX - 5;

/// Asks for what processes' sockets did since they were last asked for; or, to `begin`, that it is counted from now on. The
/// same comes back when all is told.
pub(super) fn write_accounts(out: &mut Vec<u8>, begin: bool) {
    frame(out, |out| {
        number(out, ACCOUNTS);
        out.push(u8::from(begin));
    });
}

/// Reads that; `None` if it is something else.
fn read_accounts(body: &[u8]) -> Option<bool> {
    let mut from = Reader(body);
    (from.number()? == ACCOUNTS).then_some(())?;
    let begin = from.byte()? != 0;
    from.0.is_empty().then_some(begin)
}

pub(super) fn write_sockets(out: &mut Vec<u8>, sockets: &ProcessSockets, told: &mut Told) {
    frame(out, |out| {
        number(out, SOCKETS);
        option(out, sockets.owner.as_ref(), |out, owner| told.write(out, owner));
        out.push(u8::from(sockets.here));
        let SocketCounts { sent, received, retransmits, receive_drops } = sockets.counts;
        let RoundTrips { sum, connections } = sockets.round_trips;
        let nanos = u64::try_from(sum.as_nanos()).unwrap_or(u64::MAX);
        for n in [sent.0, sent.1, received.0, received.1, retransmits, receive_drops, nanos, connections] {
            number(out, n);
        }
    });
}

/// Reads what one process's sockets did; `None` if it is something else.
fn read_sockets(body: &[u8], heard: &mut Heard) -> Option<ProcessSockets> {
    let mut from = Reader(body);
    (from.number()? == SOCKETS).then_some(())?;
    let owner = from.option(|from| heard.read(from))?;
    let here = from.byte()? != 0;
    let counts = SocketCounts {
        sent: (from.number()?, from.number()?),
        received: (from.number()?, from.number()?),
        retransmits: from.number()?,
        receive_drops: from.number()?,
    };
    let round_trips = RoundTrips { sum: Duration::from_nanos(from.number()?), connections: from.number()? };
    from.0.is_empty().then_some(ProcessSockets { owner, here, counts, round_trips })
}

/// How many events of the kernel were lost so far.
pub(super) fn write_lost(out: &mut Vec<u8>, lost: u64) {
    frame(out, |out| {
        number(out, LOST);
        number(out, lost);
    });
}

/// Reads that; `None` if it is something else.
fn read_lost(body: &[u8]) -> Option<u64> {
    let mut from = Reader(body);
    (from.number()? == LOST).then_some(())?;
    let lost = from.number()?;
    from.0.is_empty().then_some(lost)
}

pub(super) fn write_barrier(out: &mut Vec<u8>) {
    frame(out, |out| number(out, BARRIER));
}

fn is_barrier(body: &[u8]) -> bool {
    body == BARRIER.to_le_bytes()
}

pub(super) fn write_change(out: &mut Vec<u8>, change: &Change, told: &mut Told) {
    frame(out, |out| {
        number(out, CHANGE);
        out.push(change.protocol.0);
        end(out, change.own);
        end(out, change.other);
        out.push(u8::from(change.another));
        out.push(index_of(change.evidence));
        told.write(out, &change.owner);
    });
}

/// Reads a change; `None` if it is something else.
fn read_change(body: &[u8], heard: &mut Heard) -> Option<Change> {
    let mut from = Reader(body);
    if from.number()? != CHANGE {
        return None;
    }
    let protocol = Protocol(from.byte()?);
    let (own, other) = (from.end()?, from.end()?);
    let another = from.byte()? != 0;
    let evidence = *EVIDENCE.get(usize::from(from.byte()?))?;
    let owner = heard.read(&mut from)?;
    from.0.is_empty().then_some(Change { protocol, own, other, owner, evidence, another })
}

fn index_of(evidence: Evidence) -> u8 {
    EVIDENCE.iter().position(|e| *e == evidence).unwrap_or_default() as u8
}

pub(super) fn write_greeting(out: &mut Vec<u8>, greeting: &Greeting) {
    frame(out, |out| {
        number(out, GREETING);
        out.push(u8::from(greeting.told));
        out.push(u8::from(greeting.counts));
        number(out, greeting.lines.len() as u64);
        greeting.lines.iter().for_each(|line| text(out, line));
    });
}

/// Reads a greeting; `None` if it is something else.
fn read_greeting(body: &[u8]) -> Option<Greeting> {
    let mut from = Reader(body);
    if from.number()? != GREETING {
        return None;
    }
    let (told, counts) = (from.byte()? != 0, from.byte()? != 0);
    let count = from.number()?;
    let lines = (0..count).map(|_| from.text()).collect::<Option<_>>()?;
    from.0.is_empty().then_some(Greeting { told, counts, lines })
}

/// Reads an answer; `heard` are the processes that the other end has told of.
fn read_answer(body: &[u8], heard: &mut Heard) -> Option<(u64, Answer)> {
    let mut from = Reader(body);
    let id = from.number()?;
    let answer = if from.byte()? == 0 {
        Answer::None(read_reason(&mut from)?)
    } else {
        Answer::Owner(Attributed {
            end: if from.byte()? == 0 { End::Source } else { End::Destination },
            evidence: *EVIDENCE.get(usize::from(from.byte()?))?,
            elsewhere: match from.byte()? {
                0 => Elsewhere::Nobody,
                1 => Elsewhere::Peer,
                2 => Elsewhere::All,
                _ => return None,
            },
            owner: heard.read(&mut from)?,
            peer: from.option(|from| heard.read(from))?,
        })
    };
    from.0.is_empty().then_some((id, answer))
}

/// Processes that the other end has been told of, by number; number 0 starts over.
#[derive(Debug, Default)]
pub(super) struct Told {
    numbers: HashMap<(u32, u64), (u32, Arc<Owner>), RandomState>,
    next: u32,
}

impl Told {
    /// Writes a process's number, and its facts unless they are known.
    fn write(&mut self, out: &mut Vec<u8>, owner: &Arc<Owner>) {
        let key = (owner.pid, owner.start);
        if let Some((known, facts)) = self.numbers.get(&key)
            && (Arc::ptr_eq(facts, owner) || facts == owner)
        {
            out.extend_from_slice(&known.to_le_bytes());
            out.push(0);
            return;
        }
        if self.next as usize == KEPT {
            *self = Self::default();
        }
        out.extend_from_slice(&self.next.to_le_bytes());
        out.push(1);
        write_owner(out, owner);
        self.numbers.insert(key, (self.next, Arc::clone(owner)));
        self.next += 1;
    }
}

/// The same at the end that is told.
#[derive(Debug, Default)]
pub(super) struct Heard(Vec<Arc<Owner>>);

impl Heard {
    fn read(&mut self, from: &mut Reader<'_>) -> Option<Arc<Owner>> {
        let number = u32::from_le_bytes(from.array()?) as usize;
        if from.byte()? == 0 {
            return self.0.get(number).cloned();
        }
        let owner = Arc::new(from.owner()?);
        self.0.truncate(number);
        if self.0.len() != number || number >= KEPT {
            return None;
        }
        self.0.push(Arc::clone(&owner));
        Some(owner)
    }
}

fn write_reason(out: &mut Vec<u8>, reason: Reason) {
    let (kind, uid) = match reason {
        Reason::Forwarded => (0, 0),
        Reason::Kernel => (1, 0),
        Reason::Namespace => (2, 0),
        Reason::Ended => (3, 0),
        Reason::Unclaimed => (4, 0),
        Reason::Permission { uid } => (5, uid),
        Reason::Ambiguous => (6, 0),
        Reason::Deferred => (7, 0),
        Reason::Evicted => (8, 0),
    };
    out.push(kind);
    number(out, u64::from(uid));
}

fn read_reason(from: &mut Reader<'_>) -> Option<Reason> {
    let kind = from.byte()?;
    let uid = from.number()? as u32;
    Some(match kind {
        0 => Reason::Forwarded,
        1 => Reason::Kernel,
        2 => Reason::Namespace,
        3 => Reason::Ended,
        4 => Reason::Unclaimed,
        5 => Reason::Permission { uid },
        6 => Reason::Ambiguous,
        7 => Reason::Deferred,
        8 => Reason::Evicted,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
