//! Protocols that are told by a few bytes, and of which little else is read.
//!
//! Each is a [`Signature`]: its ports, what it begins with, and a check of what one end said. A file here has one family
//! of them, each with the specification that the check follows. A check must be sure: what only looks like a protocol
//! is left to the port. Where it is not sure by itself, it may ask for the port, or for what the other end says.

mod control;
mod database;
mod desktop;
mod industry;
mod line;
mod mail;
mod message;
mod name;
mod peer;
mod play;
mod read;
mod rpc;
mod telecom;
mod tunnel;
mod voice;

use self::read::Bytes;
use super::opening::span;
use super::{App, AppDissector, Begins, End, Mark, Opening, Port, Reading, Said};

/// Every signature, by family. Of two that read the same bytes, the first is believed: those that are surer stand first.
pub(super) static FAMILIES: &[&[Signature]] = &[
    mail::ALL,
    line::ALL,
    message::ALL,
    database::ALL,
    desktop::ALL,
    rpc::ALL,
    name::ALL,
    control::ALL,
    tunnel::ALL,
    telecom::ALL,
    industry::ALL,
    peer::ALL,
    play::ALL,
    voice::ALL,
];

const TCP: &[u8] = &[6];
const UDP: &[u8] = &[17];
const BOTH: &[u8] = &[6, 17];

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tells {
    /// Another protocol.
    No,
    /// Perhaps this one: more bytes will tell.
    More,
    /// This one.
    Yes,
}

impl Tells {
    fn when(is_so: bool) -> Self {
        if is_so { Tells::Yes } else { Tells::No }
    }
}

/// What one end said, and where.
#[derive(Clone, Copy, Debug)]
struct Heard<'a> {
    /// The first bytes of a stream, or the first datagram.
    bytes: Bytes<'a>,
    said: Said<'a>,
    end: End,
    opening: &'a Opening<'a>,
}

impl<'a> Heard<'a> {
    /// Either end has this port.
    fn on(&self, ports: &[u16]) -> bool {
        ports.iter().any(|&port| self.opening.has_port(port))
    }

    /// What the other end said first.
    fn other(&self) -> Bytes<'a> {
        Bytes(self.opening.said(self.end.other()).first())
    }
}

/// A protocol that is told by a few bytes.
pub(super) struct Signature {
    /// Lower case, as the field writes it.
    name: &'static str,
    ports: &'static [Port],
    over: &'static [u8],
    /// First bytes of an end that may begin it; the check is asked of no other.
    begins: Begins,
    /// Second bytes that may follow.
    then: Begins,
    /// What a later byte is.
    mark: Option<Mark>,
    /// Bytes without which the check would say no.
    at_least: usize,
    /// Ports of which one end has one, if the check is asked nowhere else.
    only_on: &'static [u16],
    tells: fn(Heard<'_>) -> Tells,
    /// Adds what else an end says, of which the check said yes.
    facts: Option<fn(Heard<'_>, &mut App)>,
}

impl Signature {
    const fn new(
        name: &'static str,
        over: &'static [u8],
        ports: &'static [Port],
        begins: &'static [u8],
        tells: fn(Heard<'_>) -> Tells,
    ) -> Self {
        Signature {
            name,
            ports,
            over,
            begins: Begins::of(begins),
            then: Begins::ANY,
            mark: None,
            at_least: 1,
            only_on: &[],
            tells,
            facts: None,
        }
    }

    /// With one of these as second byte.
    const fn then(mut self, bytes: &'static [u8]) -> Self {
        self.then = Begins::of(bytes);
        self
    }

    /// With one of these at a place behind the second byte.
    const fn mark(mut self, at: usize, bytes: &'static [u8]) -> Self {
        self.mark = Some(Mark::new(at, bytes));
        self
    }

    /// Of so many bytes.
    const fn at_least(mut self, bytes: usize) -> Self {
        self.at_least = bytes;
        self
    }

    /// Where one end has one of these ports: elsewhere, the check would say too much.
    const fn only_on(mut self, ports: &'static [u16]) -> Self {
        self.only_on = ports;
        self
    }

    const fn with(mut self, facts: fn(Heard<'_>, &mut App)) -> Self {
        self.facts = Some(facts);
        self
    }
}

impl Signature {
    /// Whether the check is asked of what an end said first.
    #[inline]
    fn may_be(&self, first: &[u8]) -> bool {
        let Some(&byte) = first.first() else { return false };
        let goes_on = first.get(1).is_none_or(|&second| self.then.may_be(second));
        self.begins.may_be(byte) && first.len() >= self.at_least && goes_on
    }
}

impl AppDissector for Signature {
    fn name(&self) -> &'static str {
        self.name
    }

    fn ports(&self) -> &'static [Port] {
        self.ports
    }

    fn transports(&self) -> &'static [u8] {
        self.over
    }

    fn begins(&self) -> Begins {
        self.begins
    }

    fn continues(&self) -> Begins {
        self.then
    }

    fn mark(&self) -> Option<Mark> {
        self.mark
    }

    fn at_least(&self) -> usize {
        self.at_least
    }

    fn only_on(&self) -> &'static [u16] {
        self.only_on
    }

    fn dissect(&self, opening: &Opening<'_>) -> Reading {
        if !self.only_on.is_empty() && !self.only_on.iter().any(|&port| opening.has_port(port)) {
            return Reading::NotMine;
        }
        let mut wants_more = false;
        for (end, said) in [(End::Initiator, &opening.initiator), (End::Responder, &opening.responder)] {
            let first = said.first();
            if !self.may_be(first) {
                continue;
            }
            let heard = Heard { bytes: Bytes(first), said: *said, end, opening };
            match (self.tells)(heard) {
                Tells::No => {}
                Tells::More => wants_more = true,
                Tells::Yes => {
                    let mut app = App::of(self.name);
                    if let Some(facts) = self.facts {
                        facts(heard, &mut app);
                    }
                    return Reading::Is(app);
                }
            }
        }
        if wants_more && !opening.is_last { Reading::NeedMore } else { Reading::NotMine }
    }
}

/// Any byte may begin it.
const ANY: &[u8] = &span::<256>(0);

#[cfg(test)]
mod tests;
