//! The first bytes that the ends of a flow sent, and who reads them.

use super::{App, Port};

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The sender of the flow's first packet. In a capture that begins in the middle of a flow, that may be the server.
    Initiator,
    /// The other one.
    Responder,
}

impl End {
    /// The other end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            End::Initiator => End::Responder,
            End::Responder => End::Initiator,
        }
    }
}

/// How much is wanted of what is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Depth {
    /// All that records have.
    #[default]
    All,
    /// The protocol, the names that a client asked for, and what both ends may go on to speak.
    Names,
}

/// What one end has sent so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said<'a> {
    bytes: &'a [u8],
    ends: &'a [u32],
    depth: Depth,
}

impl<'a> Said<'a> {
    /// The first bytes of a stream, without a gap.
    pub fn stream(bytes: &'a [u8]) -> Self {
        Said { bytes, ends: &[], depth: Depth::All }
    }

    /// The first datagrams, one behind the other; `ends` is where each of them ends in `bytes`, in ascending order.
    pub fn datagrams_of(bytes: &'a [u8], ends: &'a [u32]) -> Self {
        Said { bytes, ends, depth: Depth::All }
    }

    /// The same, of which so much is wanted: no more than names of what was read before.
    #[must_use]
    pub fn to(self, depth: Depth) -> Self {
        Said { depth, ..self }
    }

    /// How much is wanted of it.
    #[inline]
    pub fn depth(&self) -> Depth {
        self.depth
    }

    /// A part of a stream, from `at` on, of which as much is wanted.
    #[must_use]
    pub fn behind(self, at: usize) -> Self {
        Said { bytes: self.bytes.get(at..).unwrap_or_default(), ends: &[], depth: self.depth }
    }

    /// All bytes. Of a flow of datagrams, these stand one behind the other.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Nothing was sent yet.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The first datagram; of a stream, all bytes.
    #[inline]
    pub fn first(&self) -> &'a [u8] {
        let first = self.ends.first().and_then(|&end| self.bytes.get(..end as usize));
        first.unwrap_or(self.bytes)
    }

    /// The datagrams, in order. A stream has none.
    pub fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let bytes = self.bytes;
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let datagram = bytes.get(start..end as usize).unwrap_or_default();
            start = end as usize;
            datagram
        })
    }
}

/// The first bytes that both ends of a flow sent. Either may have sent nothing yet, or none that were seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening<'a> {
    /// IANA number of the transport: 6 for TCP, 17 for UDP.
    pub transport: u8,
    /// Ports of the initiator and the responder.
    pub ports: [u16; 2],
    /// What the initiator sent.
    pub initiator: Said<'a>,
    /// What the responder sent.
    pub responder: Said<'a>,
    /// How much is wanted of the flow.
    pub depth: Depth,
    /// No more will be given, of either end: what is not there now will not come.
    pub is_last: bool,
}

impl<'a> Opening<'a> {
    /// What each end sent, the initiator first.
    #[inline]
    pub fn sides(&self) -> [(End, Said<'a>); 2] {
        [(End::Initiator, self.initiator), (End::Responder, self.responder)]
    }

    /// What one end sent.
    #[inline]
    pub fn said(&self, end: End) -> Said<'a> {
        match end {
            End::Initiator => self.initiator,
            End::Responder => self.responder,
        }
    }

    /// The flow is TCP.
    #[inline]
    pub fn is_tcp(&self) -> bool {
        self.transport == 6
    }

    /// Whether one end has this port.
    #[inline]
    pub fn has_port(&self, port: u16) -> bool {
        self.ports.contains(&port)
    }
}

/// Which bytes may begin a protocol, or go on with it: a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begins([u64; 4]);

impl Begins {
    /// Anything may.
    pub const ANY: Self = Begins([u64::MAX; 4]);
    /// Nothing may.
    pub(crate) const NONE: Self = Begins([0; 4]);

    /// What an end sends first begins with one of these; with none of them, only its port tells the protocol.
    #[expect(clippy::indexing_slicing, reason = "a byte's upper two bits are one of four words")]
    pub const fn of(mut bytes: &[u8]) -> Self {
        let mut bits = [0; 4];
        while let [byte, rest @ ..] = bytes {
            bits[(*byte >> 6) as usize] |= 1 << (*byte & 63);
            bytes = rest;
        }
        Begins(bits)
    }

    /// Whether `byte` may.
    #[inline]
    pub fn may_be(self, byte: u8) -> bool {
        self.0.get(usize::from(byte >> 6)).is_some_and(|word| word >> (byte & 63) & 1 != 0)
    }
}

/// A byte that tells more of a protocol than its first two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Where it is: so many bytes stand before it. One of the first [`Self::PLACES`] from [`Self::FIRST`] on.
    pub at: usize,
    /// What it may be.
    pub is: Begins,
}

impl Mark {
    /// The first place that one may be at.
    pub const FIRST: usize = 2;
    /// How many there are.
    pub const PLACES: usize = 4;

    /// One of `bytes`, at `at`.
    pub const fn new(at: usize, bytes: &[u8]) -> Self {
        Mark { at, is: Begins::of(bytes) }
    }
}

/// `N` bytes in a row, from `first` on.
#[expect(clippy::indexing_slicing, reason = "it is run by the compiler, which says so where it fails")]
pub(super) const fn span<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = [first; N];
    let mut at = 0;
    while at < N {
        bytes[at] = first + at as u8;
        at += 1;
    }
    bytes
}

/// What an application dissector says of an opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// This is another protocol, whatever follows.
    NotMine,
    /// It may be this one: more bytes will tell.
    NeedMore,
    /// It is this one, and this much is known; more bytes will tell more.
    Partly(App),
    /// It is this one, and no further bytes are needed.
    Is(App),
    /// The same, and what follows is another protocol's, which is not read: the flow has no further opening.
    Last(App),
}

impl Reading {
    /// What is known, if it is this protocol.
    pub fn app(self) -> Option<App> {
        match self {
            Reading::NotMine | Reading::NeedMore => None,
            Reading::Partly(app) | Reading::Is(app) | Reading::Last(app) => Some(app),
        }
    }
}

/// How many of an end's bytes need not be kept for what follows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Past {
    /// All are needed.
    #[default]
    None,
    /// So many of the first ones; they may be more than there are.
    First(u32),
    /// All, and whatever the end says next.
    All,
}

/// One application protocol.
///
/// A dissector keeps nothing: it is given all the bytes anew whenever there are more, until it says [`Reading::Is`] or
/// [`Reading::NotMine`], or until either end has sent more than is kept (16 KiB). It must not rely on having both ends,
/// nor on the initiator being the client.
pub trait AppDissector: Sync {
    /// Its name: lower case, as the field writes it.
    fn name(&self) -> &'static str;

    /// Where it is usually spoken: tells the protocol of flows of which nobody knows what their ends say. These are
    /// ports of servers; that of the responder is compared.
    fn ports(&self) -> &'static [Port];

    /// The transports that it is spoken over, by IANA number.
    fn transports(&self) -> &'static [u8];

    /// Which first bytes of an end may begin it. With anything else, from either end, it is not asked.
    fn begins(&self) -> Begins;

    /// Which second bytes of an end may follow the first one. With anything else, it is not asked.
    fn continues(&self) -> Begins {
        Begins::ANY
    }

    /// What a later byte of an end must be. If it is there and anything else, it is not asked.
    fn mark(&self) -> Option<Mark> {
        None
    }

    /// How many bytes an end must have sent, for it to be asked: 63 at most. A stream's first segment may have less than
    /// its first message; what takes that into account wants little.
    fn at_least(&self) -> usize {
        1
    }

    /// Ports of which one end must have one, for it to be asked: what it begins with says too little elsewhere. None:
    /// it is asked everywhere.
    fn only_on(&self) -> &'static [u16] {
        &[]
    }

    /// Reads an opening. Most of what it is given is another protocol: that should be said soon.
    fn dissect(&self, opening: &Opening<'_>) -> Reading;

    /// Of an opening that it has read in part: how much of what each end sent, the initiator first, has been told for good,
    /// and may make room for what follows.
    fn past(&self, _opening: &Opening<'_>) -> [Past; 2] {
        [Past::None; 2]
    }

    /// Whether a later packet of a flow may begin the protocol's next opening, with further names; if so, packets of
    /// which the first byte fits [`Self::begins`] are read as openings again, in flows of this protocol.
    fn recurs(&self) -> bool {
        false
    }

    /// Whether the protocol may begin in a flow that was another one's at first: in one of datagrams, as DTLS does behind STUN;
    /// in one of TCP, where another connection may have begun unseen.
    fn follows_others(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_come_apart_again() {
        let said = Said::datagrams_of(b"onethree", &[3, 3, 8]);
        assert_eq!(said.datagrams().collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        assert_eq!(said.first(), b"one");
        assert_eq!(Said::stream(b"all of it").first(), b"all of it");
        assert_eq!(Said::stream(b"all of it").datagrams().count(), 0);
    }
}
