//! Headers of packets that say their version (RFC 8999, section 5.1; RFC 9000, section 17.2).

use super::super::cursor::Cursor;
use super::version::Version;

/// The bit that tells these headers from the short ones.
const LONG: u8 = 0x80;
/// Longest connection id of a version that is known, in bytes (RFC 9000, section 17.2); another one may have longer.
pub const LONGEST_ID: usize = 20;

/// One packet that says its version, and how long it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Long<'a> {
    pub(super) version: Version,
    /// The connection that it is for, as its receiver or the client itself named it.
    pub(super) destination: &'a [u8],
    /// The connection as its sender names it.
    pub(super) source: &'a [u8],
    pub(super) kind: Kind<'a>,
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A first packet, which carries the hello.
    Initial {
        /// All of it, header included.
        packet: &'a [u8],
        /// Where in it the packet number begins.
        number_at: usize,
    },
    /// 0-RTT and handshake packets: nobody else can read them.
    Hidden,
    /// A server wants the client's address proved.
    Retry,
    /// A server does not speak the client's version.
    Negotiation,
}

impl<'a> Long<'a> {
    /// Takes the packet in front of `datagram`; `None` if there is none of a known version, or not all of its header.
    pub(super) fn next(datagram: &mut Cursor<'a>) -> Option<Self> {
        let all = datagram.rest();
        let mut cursor = *datagram;
        let flags = cursor.u8().filter(|flags| flags & LONG != 0)?;
        let version = Version(cursor.u32()?);
        let (destination, source) = (cursor.vec8()?, cursor.vec8()?);
        let long = |kind| Long { version, destination, source, kind };
        if version.0 == 0 {
            *datagram = Cursor::new(&[]);
            return negotiates(cursor).then(|| long(Kind::Negotiation));
        }
        if !version.has_long_headers() || destination.len().max(source.len()) > LONGEST_ID {
            return None;
        }
        // Version 2 counts one further (RFC 9369, section 3.2).
        let second = version.schemes().first().is_some_and(|scheme| scheme.second);
        let kind = (flags >> 4).wrapping_sub(second.into()) & 3;
        if kind == 3 {
            *datagram = Cursor::new(&[]);
            return Some(long(Kind::Retry));
        }
        if kind == 0 {
            let token_len = usize::try_from(cursor.varint()?).ok()?;
            let _token = cursor.take(token_len)?;
        }
        let len = usize::try_from(cursor.varint()?).ok()?;
        let number_at = all.len() - cursor.rest().len();
        cursor.take_up_to(len);
        *datagram = cursor;
        let packet = all.get(..all.len() - cursor.rest().len())?;
        Some(long(if kind == 0 { Kind::Initial { packet, number_at } } else { Kind::Hidden }))
    }
}

/// Whether what follows is a list of versions of which some are known.
fn negotiates(mut list: Cursor<'_>) -> bool {
    list.rest().len().is_multiple_of(4) && std::iter::from_fn(|| list.u32()).any(|v| Version(v).is_known())
}
