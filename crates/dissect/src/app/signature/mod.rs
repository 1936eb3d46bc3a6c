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
use super::{App, AppDissector, Begins, End, Opening, Port, Reading, Said};

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
    begins: &'static [u8],
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
        Signature { name, ports, over, begins, tells, facts: None }
    }

    const fn with(mut self, facts: fn(Heard<'_>, &mut App)) -> Self {
        self.facts = Some(facts);
        self
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
        Begins::With(self.begins)
    }

    fn dissect(&self, opening: &Opening<'_>) -> Reading {
        let mut wants_more = false;
        for (end, said) in opening.sides() {
            let first = said.first();
            if !first.first().is_some_and(|byte| self.begins.contains(byte)) {
                continue;
            }
            let heard = Heard { bytes: Bytes(first), said, end, opening };
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

/// `N` bytes in a row, from `first` on.
#[expect(clippy::indexing_slicing, reason = "it is run by the compiler, which says so where it fails")]
const fn span<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = [first; N];
    let mut at = 0;
    while at < N {
        bytes[at] = first + at as u8;
        at += 1;
    }
    bytes
}

/// Any byte may begin it.
const ANY: &[u8] = &span::<256>(0);

#[cfg(test)]
mod tests;
