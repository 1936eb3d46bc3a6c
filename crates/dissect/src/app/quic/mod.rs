//! QUIC (RFC 9000, RFC 9001, RFC 9369, drafts 23 to 34, and Google's before them): the client's hello in its first
//! packets.
//!
//! [`read`] takes the first datagrams of one direction, as many as there are,
//! and keeps nothing. Only a client's first packets are decrypted. Not
//! handled: what a server says, which takes the client's datagrams to read.

mod frames;
mod gquic;
mod header;
mod keys;
mod opening;
#[cfg(test)]
mod tests;
mod version;

use std::sync::Arc;

use self::header::{Kind, Long};
use self::keys::Keys;
use super::Depth;
use super::cursor::Cursor;
use super::pieces::Joined;
use super::tls::{Client, ClientHello, Message, Over, message_kind};
use super::told::Told;

pub use self::header::LONGEST_ID;
pub(super) use self::opening::Dissector;
pub use self::version::Version;

/// Connections whose first packets are followed in one direction: a server's retry begins a second one, and so does
/// another version.
const MOST_CONNECTIONS: usize = 4;
/// First packets that nobody could read, before they are taken for a server's.
const MOST_UNREADABLE: usize = 3;

/// What a server says in its first packets: the version that it chose, if it did.
///
/// Nothing is decrypted: what is in them takes the client's datagrams to read.
pub(in crate::app) fn chosen<'a>(datagrams: impl Iterator<Item = &'a [u8]>) -> Option<Version> {
    let packets = datagrams.flat_map(|datagram| {
        let mut cursor = Cursor::new(datagram);
        std::iter::from_fn(move || Long::next(&mut cursor))
    });
    packets
        .filter(|long| matches!(long.kind, Kind::Initial { .. } | Kind::Hidden))
        .map(|long| long.version)
        .next()
}

/// Whether a datagram begins with a packet of a handshake of version 1 or 2, by its first bytes alone.
#[inline]
pub fn is_handshake(datagram: &[u8]) -> bool {
    let is_known = |version: [u8; 4]| version == [0, 0, 0, 1] || version == [0x6b, 0x33, 0x43, 0xcf];
    datagram.first().is_some_and(|first| may_be_handshake(*first))
        && datagram.get(1..).and_then(|rest| rest.first_chunk()).is_some_and(|version| is_known(*version))
}

/// The same by the first byte alone: long header, fixed bit (RFC 9000, section 17.2).
#[inline]
pub fn may_be_handshake(first: u8) -> bool {
    const LONG: u8 = 0xc0;
    first & LONG == LONG
}

/// The connection as the sender of a datagram names it, if the datagram begins with a packet of a handshake.
pub fn source_id(datagram: &[u8]) -> Option<&[u8]> {
    let long = Long::next(&mut Cursor::new(datagram))?;
    matches!(long.kind, Kind::Initial { .. } | Kind::Hidden).then_some(long.source)
}

/// What one direction of a flow says in its first packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quic {
    /// The version; `None` where a server offers others than the client's.
    pub version: Option<Version>,
    /// The connection as the sender of these packets names it: what the other direction's packets are for, on whatever
    /// path they come later.
    pub source: Arc<[u8]>,
    /// The client's hello. `None` for a server's packets, and where it could not be read.
    pub client: Option<Client>,
    /// What the client calls itself; Google's QUIC only.
    pub user_agent: Option<Arc<str>>,
}

/// Reads the first datagrams of one direction, to `depth`.
pub fn read<'a>(datagrams: impl Iterator<Item = &'a [u8]>, depth: Depth) -> Told<Quic> {
    let mut reader = Reader { depth, ..Reader::default() };
    let mut any = false;
    for datagram in datagrams {
        any = true;
        if let Some(told) = reader.datagram(datagram) {
            return told;
        }
    }
    reader.so_far(any)
}

/// What was read so far.
#[derive(Default)]
struct Reader<'a> {
    depth: Depth,
    connections: Vec<Connection<'a>>,
    /// The one of them whose packet was read last.
    latest: usize,
    unreadable: usize,
    known: Option<Quic>,
}

/// The first packets of one connection.
struct Connection<'a> {
    version: Version,
    destination: &'a [u8],
    keys: Keys,
    /// The beginning of the handshake, as far as it is there.
    handshake: Joined,
    /// The message that it begins with is there, and is no hello.
    is_refused: bool,
}

impl<'a> Reader<'a> {
    /// Reads one more datagram, and says if that settles it.
    fn datagram(&mut self, datagram: &'a [u8]) -> Option<Told<Quic>> {
        if let Some(clear) = gquic::Clear::of(datagram) {
            self.know(clear.version, clear.connection);
            return clear.hello().map(|hello| self.google(hello));
        }
        let mut cursor = Cursor::new(datagram);
        while let Some(long) = Long::next(&mut cursor) {
            self.know(long.version, long.source);
            let settled = match long.kind {
                Kind::Initial { packet, number_at } => self.initial(&long, packet, number_at),
                // Behind a retry or an offer of versions a server waits for the client's next packet.
                Kind::Hidden | Kind::Retry | Kind::Negotiation => None,
            };
            if settled.is_some() {
                return settled;
            }
        }
        // Behind the first datagram, whatever has a short header is left alone.
        self.known.is_none().then_some(Told::NotMine)
    }

    fn so_far(mut self, any: bool) -> Told<Quic> {
        // A hello that is cut is laid out once, however many packets its beginning came in.
        let latest = self.connections.get(self.latest).into_iter();
        let hello = latest.chain(self.connections.iter().rev()).find_map(Connection::hello);
        if let (Some(hello), Some(known)) = (hello, &mut self.known) {
            known.client = Some(hello.client(Over::Quic, self.depth));
        }
        match self.known {
            Some(known) => Told::Partly(known),
            None if any => Told::NotMine,
            None => Told::NeedMore,
        }
    }

    fn know(&mut self, version: Version, source: &[u8]) {
        let version = (version.0 != 0).then_some(version);
        let known = self.known.get_or_insert_with(|| Quic {
            version,
            source: source.into(),
            client: None,
            user_agent: None,
        });
        // Of several the last counts: it is what the ends agreed on.
        known.version = version.or(known.version);
    }

    fn initial(&mut self, long: &Long<'a>, packet: &[u8], number_at: usize) -> Option<Told<Quic>> {
        let Some(at) = self.open(long, packet, number_at) else {
            self.unreadable += 1;
            let servers = self.unreadable >= MOST_UNREADABLE && self.connections.is_empty();
            return if servers { self.known.take().map(Told::Is) } else { None };
        };
        self.latest = at;
        let connection = self.connections.get_mut(at)?;
        if long.version.is_google() {
            return gquic::Hello::of(connection.handshake.bytes()).map(|hello| self.google(hello));
        }
        if connection.is_refused || !connection.message()?.whole {
            return None;
        }
        let Some(hello) = connection.hello() else {
            connection.is_refused = true;
            return None;
        };
        let client = Some(hello.client(Over::Quic, self.depth));
        self.known.take().map(|known| Told::Is(Quic { client, ..known }))
    }

    fn google(&mut self, hello: gquic::Hello) -> Told<Quic> {
        match self.known.take() {
            Some(known) => {
                Told::Is(Quic { client: Some(hello.client), user_agent: hello.user_agent, ..known })
            }
            None => Told::NotMine,
        }
    }

    /// Decrypts a first packet, and keeps what is in it with the connection that it belongs to; gives which one that is.
    fn open(&mut self, long: &Long<'a>, packet: &[u8], number_at: usize) -> Option<usize> {
        if self.unreadable >= MOST_UNREADABLE {
            return None;
        }
        let same = |c: &Connection<'_>| c.version == long.version;
        let opened = self
            .connections
            .iter_mut()
            .enumerate()
            .filter(|(_, c)| same(c))
            .find_map(|(at, connection)| Some((at, connection.keys.open(packet, number_at)?)));
        if let Some((at, payload)) = opened {
            self.connections.get_mut(at)?.take(&payload);
            return Some(at);
        }
        // A retry changes the name of the connection, an upgrade only the version (RFC 9368, section 2.3).
        let destinations =
            std::iter::once(long.destination).chain(self.connections.iter().map(|c| c.destination));
        let candidates =
            destinations.flat_map(|d| long.version.schemes().iter().map(move |scheme| (d, *scheme)));
        let (destination, keys, payload) =
            candidates.take(MOST_CONNECTIONS).find_map(|(destination, scheme)| {
                let mut keys = Keys::of(scheme, destination)?;
                let payload = keys.open(packet, number_at)?;
                Some((destination, keys, payload))
            })?;
        if self.connections.len() >= MOST_CONNECTIONS {
            return None;
        }
        let (version, handshake) = (long.version, Joined::default());
        let mut connection = Connection { version, destination, keys, handshake, is_refused: false };
        connection.take(&payload);
        self.connections.push(connection);
        Some(self.connections.len() - 1)
    }
}

impl Connection<'_> {
    /// Takes what the payload of a packet has of the handshake.
    fn take(&mut self, payload: &[u8]) {
        if self.version.has_google_frames() {
            self.handshake.add(gquic::Crypto::of(self.version, payload));
        } else {
            self.handshake.add(frames::Crypto::of(payload));
        }
    }

    /// The message that its handshake begins with, as much as is there of it.
    fn message(&self) -> Option<Message<'_>> {
        Message::next(&mut Cursor::new(self.handshake.bytes()))
    }

    /// The client's hello, if it is one.
    fn hello(&self) -> Option<ClientHello<'_>> {
        let message = self.message().filter(|m| m.kind == message_kind::CLIENT_HELLO)?;
        ClientHello::of(message, Over::Quic)
    }
}
