//! Questions and answers as bytes: frames of a length (four bytes, without
//! itself) and a body; numbers are little-endian, texts have a length, what may
//! be absent has a flag. Both ends are the same build, so there is no version.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use flow::{ProcessSockets, RoundTrips, SocketCounts};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{Greeting, KEPT};
use crate::{
    Answer, Attributed, Change, Container, End, Evidence, Owner, Protocol, Question, Reason, Runtime,
};

/// A frame above this length is an error: command lines are bounded by the
/// kernel far below it.
const LARGEST: usize = 16 << 20;

const RUNTIMES: [Runtime; 7] = [
    Runtime::Docker,
    Runtime::Podman,
    Runtime::Containerd,
    Runtime::CriO,
    Runtime::Lxc,
    Runtime::Nspawn,
    Runtime::Other,
];
const EVIDENCE: [Evidence; 6] = [
    Evidence::Exact,
    Evidence::Bound,
    Evidence::Listener,
    Evidence::Protocol,
    Evidence::Told,
    Evidence::ToldListener,
];

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
        option(out, question.namespace, number);
        number(out, u64::from(question.interface));
    });
}

pub(super) fn read_question(body: &[u8]) -> Option<(u64, Question)> {
    let mut from = Reader(body);
    let id = from.number()?;
    let question = Question {
        protocol: Protocol(from.byte()?),
        source: from.end()?,
        destination: from.end()?,
        namespace: from.option(Reader::number)?,
        interface: from.number()? as u32,
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
pub(super) fn read_accounts(body: &[u8]) -> Option<bool> {
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
pub(super) fn read_sockets(body: &[u8], heard: &mut Heard) -> Option<ProcessSockets> {
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
pub(super) fn read_lost(body: &[u8]) -> Option<u64> {
    let mut from = Reader(body);
    (from.number()? == LOST).then_some(())?;
    let lost = from.number()?;
    from.0.is_empty().then_some(lost)
}

pub(super) fn write_barrier(out: &mut Vec<u8>) {
    frame(out, |out| number(out, BARRIER));
}

pub(super) fn is_barrier(body: &[u8]) -> bool {
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
pub(super) fn read_change(body: &[u8], heard: &mut Heard) -> Option<Change> {
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
pub(super) fn read_greeting(body: &[u8]) -> Option<Greeting> {
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
pub(super) fn read_answer(body: &[u8], heard: &mut Heard) -> Option<(u64, Answer)> {
    let mut from = Reader(body);
    let id = from.number()?;
    let answer = if from.byte()? == 0 {
        Answer::None(from.reason()?)
    } else {
        Answer::Owner(Attributed {
            end: if from.byte()? == 0 { End::Source } else { End::Destination },
            evidence: *EVIDENCE.get(usize::from(from.byte()?))?,
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

fn frame(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = (out.len() - at - 4) as u32;
    if let Some(slot) = out.get_mut(at..at + 4) {
        slot.copy_from_slice(&length.to_le_bytes());
    }
}

fn number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn text(out: &mut Vec<u8>, value: &str) {
    number(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

fn end(out: &mut Vec<u8>, value: SocketAddr) {
    match value.ip() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&value.port().to_le_bytes());
}

fn option<T>(out: &mut Vec<u8>, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        write(out, value);
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
    };
    out.push(kind);
    number(out, u64::from(uid));
}

fn write_owner(out: &mut Vec<u8>, owner: &Owner) {
    number(out, u64::from(owner.pid));
    number(out, owner.start);
    text(out, &owner.name);
    option(out, owner.executable.as_deref(), text);
    number(out, owner.command_line.len() as u64);
    owner.command_line.iter().for_each(|word| text(out, word));
    option(out, owner.uid.map(u64::from), number);
    option(out, owner.user.as_deref(), text);
    number(out, u64::from(owner.parent));
    option(out, owner.cgroup.as_deref(), text);
    option(out, owner.unit.as_deref(), text);
    option(out, owner.container.as_ref(), |out, container| {
        out.push(RUNTIMES.iter().position(|r| *r == container.runtime).unwrap_or_default() as u8);
        text(out, &container.id);
        option(out, container.name.as_deref(), text);
        option(out, container.pod.as_deref(), text);
    });
    option(out, owner.net_namespace, number);
}

/// What is left of a body.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.number()?.try_into().ok()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    fn end(&mut self) -> Option<SocketAddr> {
        let ip = match self.byte()? {
            4 => IpAddr::from(self.array::<4>()?),
            6 => IpAddr::from(self.array::<16>()?),
            _ => return None,
        };
        Some(SocketAddr::new(ip, u16::from_le_bytes(self.array()?)))
    }

    /// The outer `None` is an error, the inner one an absent value.
    #[expect(clippy::option_option, reason = "absent and malformed are two things")]
    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    fn reason(&mut self) -> Option<Reason> {
        let kind = self.byte()?;
        let uid = self.number()? as u32;
        Some(match kind {
            0 => Reason::Forwarded,
            1 => Reason::Kernel,
            2 => Reason::Namespace,
            3 => Reason::Ended,
            4 => Reason::Unclaimed,
            5 => Reason::Permission { uid },
            6 => Reason::Ambiguous,
            7 => Reason::Deferred,
            _ => return None,
        })
    }

    fn owner(&mut self) -> Option<Owner> {
        Some(Owner {
            pid: self.number()? as u32,
            start: self.number()?,
            name: self.text()?,
            executable: self.option(Self::text)?,
            command_line: (0..self.number()?).map(|_| self.text()).collect::<Option<_>>()?,
            uid: self.option(Self::number)?.map(|uid| uid as u32),
            user: self.option(Self::text)?,
            parent: self.number()? as u32,
            cgroup: self.option(Self::text)?,
            unit: self.option(Self::text)?,
            container: self.option(Self::container)?,
            net_namespace: self.option(Self::number)?,
        })
    }

    fn container(&mut self) -> Option<Container> {
        Some(Container {
            runtime: *RUNTIMES.get(usize::from(self.byte()?))?,
            id: self.text()?,
            name: self.option(Self::text)?,
            pod: self.option(Self::text)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owner() -> Owner {
        Owner {
            pid: 4711,
            start: 112_233,
            name: "python3".to_owned(),
            executable: Some("/usr/bin/python3.11".to_owned()),
            command_line: vec!["python3".to_owned(), String::new()],
            uid: Some(33),
            user: None,
            parent: 1,
            cgroup: Some("/x".to_owned()),
            unit: Some("web.service".to_owned()),
            container: Some(Container {
                runtime: Runtime::CriO,
                id: "4f1a".to_owned(),
                name: Some("web".to_owned()),
                pod: None,
            }),
            net_namespace: Some(4_026_531_833),
        }
    }

    fn attributed() -> Answer {
        Answer::Owner(Attributed {
            owner: Arc::new(owner()),
            end: End::Destination,
            evidence: Evidence::Listener,
            peer: Some(Arc::new(Owner { container: None, command_line: Vec::new(), ..owner() })),
        })
    }

    fn body_of(bytes: &[u8]) -> &[u8] {
        let (body, rest) = split_frame(bytes).unwrap().unwrap();
        assert!(rest.is_empty());
        body
    }

    #[test]
    fn answers_are_read_back() {
        let permission = Answer::None(Reason::Permission { uid: 1000 });
        for answer in [attributed(), permission, Answer::None(Reason::Deferred)] {
            let mut out = Vec::new();
            write_answer(&mut out, 9, &answer, &mut Told::default());
            assert_eq!(read_answer(body_of(&out), &mut Heard::default()), Some((9, answer)));
        }
    }

    #[test]
    fn accounts_are_read_back() {
        let counts = SocketCounts { sent: (1, 2), received: (3, 4), retransmits: 5, receive_drops: 6 };
        let round_trips = RoundTrips { sum: Duration::from_micros(7), connections: 8 };
        for owner in [None, Some(Arc::new(owner()))] {
            let sockets = ProcessSockets { owner, here: true, counts, round_trips };
            let mut out = Vec::new();
            write_sockets(&mut out, &sockets, &mut Told::default());
            let body = body_of(&out);
            assert_eq!(read_sockets(body, &mut Heard::default()), Some(sockets));
            for cut in 0..body.len() {
                assert_eq!(read_sockets(&body[..cut], &mut Heard::default()), None, "cut at {cut}");
            }
        }
        let mut out = Vec::new();
        write_accounts(&mut out, true);
        assert_eq!(read_accounts(body_of(&out)), Some(true));
    }

    #[test]
    fn questions_are_read_back() {
        let question = Question {
            protocol: Protocol::UDP,
            source: "10.0.0.1:5353".parse().unwrap(),
            destination: "[fd00::1]:443".parse().unwrap(),
            namespace: Some(7),
            interface: 3,
        };
        let mut out = Vec::new();
        write_question(&mut out, 1, &question);
        assert_eq!(read_question(body_of(&out)), Some((1, question)));
        for cut in 0..out.len() {
            assert_eq!(split_frame(&out[..cut]).unwrap(), None);
        }
    }

    /// However often a process is told of, its facts cross once; when too many are known, all begin anew.
    #[test]
    fn facts_are_sent_once() {
        let (mut told, mut heard) = (Told::default(), Heard::default());
        let mut sent = |answer: &Answer| {
            let mut out = Vec::new();
            write_answer(&mut out, 1, answer, &mut told);
            assert_eq!(read_answer(body_of(&out), &mut heard).unwrap().1, *answer);
            out.len()
        };
        let of = |pid: u32| {
            let owner = Arc::new(Owner { pid, ..owner() });
            Answer::Owner(Attributed { owner, end: End::Source, evidence: Evidence::Exact, peer: None })
        };
        let first = sent(&of(1));
        assert!(sent(&of(1)) < first / 4);
        let renamed = Owner { name: "sh".to_owned(), pid: 1, ..owner() };
        let (end, evidence) = (End::Source, Evidence::Exact);
        sent(&Answer::Owner(Attributed { owner: Arc::new(renamed), end, evidence, peer: None }));
        for pid in 0..KEPT as u32 + 3 {
            sent(&of(pid));
        }
        assert!(sent(&of(KEPT as u32)) < first / 4);
    }

    #[test]
    fn a_cut_body_is_no_answer() {
        let mut out = Vec::new();
        write_answer(&mut out, 9, &attributed(), &mut Told::default());
        let body = body_of(&out);
        for cut in 0..body.len() {
            assert_eq!(read_answer(&body[..cut], &mut Heard::default()), None, "cut at {cut}");
        }
        assert!(split_frame(&[0xff; 8]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_question(&bytes);
            let _ = read_answer(&bytes, &mut Heard::default());
        }
    }
}
