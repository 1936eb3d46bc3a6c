//! Google's QUIC (Q024 to Q050): the client's hello in tags and values.
//!
//! There is no RFC; the layout is that of Google's "QUIC Wire Layout
//! Specification" and "QUIC Crypto", and of what is on the wire. Up to Q043
//! each packet has a header of its own, Q046 has a long one, and both send
//! the hello in clear. Q050 protects it as the drafts of that time did.

use std::sync::Arc;

use super::super::cursor::Cursor;
use super::super::tls::Client;
use super::super::told::{name, shown};
use super::version::Version;

/// Flags of the header up to Q043.
mod flag {
    pub(super) const VERSION: u8 = 0x01;
    pub(super) const RESET: u8 = 0x02;
    /// Size of the connection id; up to Q032 these two bits were a number.
    pub(super) const CONNECTION: u8 = 0x0c;
    pub(super) const LONG_CONNECTION: u8 = 0x08;
}

/// Bytes of the hash that stands before the frames (FNV-1a over the packet, 96 of 128 bits).
const HASH: usize = 12;
/// From here on, numbers are big-endian.
const BIG_ENDIAN: Version = Version(u32::from_be_bytes(*b"Q039"));
/// From here on, there is no private flag before the frames.
const NO_PRIVATE_FLAGS: Version = Version(u32::from_be_bytes(*b"Q034"));
/// The stream of the handshake.
const CRYPTO_STREAM: u32 = 1;

/// What the header of a packet in clear says: its version, and the frames.
pub(super) struct Clear<'a> {
    pub(super) version: Version,
    /// The connection as both ends name it.
    pub(super) connection: &'a [u8],
    frames: Cursor<'a>,
}

impl<'a> Clear<'a> {
    /// The packet in `datagram`; `None` if it says no version, or one that hides its hello.
    pub(super) fn of(datagram: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(datagram);
        let flags = cursor.u8()?;
        if flags & 0x80 != 0 {
            return Self::long(flags, cursor);
        }
        if flags & flag::VERSION == 0 || flags & flag::RESET != 0 {
            return None;
        }
        let connection = cursor.take(match flags & flag::CONNECTION {
            flag::LONG_CONNECTION | flag::CONNECTION => 8,
            0 => 0,
            _ => 4,
        })?;
        let version = Version(cursor.u32()?);
        if !version.is_google() || version.has_long_headers() || version.has_google_long_headers() {
            return None;
        }
        let _number = cursor.take([1, 2, 4, 6].get(usize::from(flags >> 4 & 3)).copied()?)?;
        let _hash = cursor.take(HASH)?;
        if version.0 < NO_PRIVATE_FLAGS.0 {
            cursor.u8()?;
        }
        Some(Clear { version, connection, frames: cursor })
    }

    fn long(flags: u8, mut cursor: Cursor<'a>) -> Option<Self> {
        let version = Version(cursor.u32()?);
        if !version.has_google_long_headers() {
            return None;
        }
        // Four bits a connection id: 0, or its length less three.
        let lens = cursor.u8()?;
        let id = |bits: u8| if bits == 0 { 0 } else { usize::from(bits) + 3 };
        let (destination, source) = (cursor.take(id(lens >> 4))?, cursor.take(id(lens & 15))?);
        let connection = if destination.is_empty() { source } else { destination };
        let _number = cursor.take(usize::from(flags & 3) + 1)?;
        let _hash = cursor.take(HASH)?;
        Some(Clear { version, connection, frames: cursor })
    }

    /// The hello in it.
    pub(super) fn hello(&self) -> Option<Hello> {
        let pieces = Crypto { version: self.version, cursor: self.frames };
        // A hello fills a packet of its own.
        pieces.filter(|(offset, _)| *offset == 0).find_map(|(_, bytes)| Hello::of(bytes))
    }
}

/// Pieces of the handshake among the frames of a packet: where each stands, and its bytes.
pub(super) struct Crypto<'a> {
    version: Version,
    cursor: Cursor<'a>,
}

impl<'a> Crypto<'a> {
    pub(super) fn of(version: Version, payload: &'a [u8]) -> Self {
        Crypto { version, cursor: Cursor::new(payload) }
    }

    /// A number of up to eight bytes.
    fn number(&mut self, len: usize) -> Option<u64> {
        let bytes = self.cursor.take(len)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.version.0 >= BIG_ENDIAN.0 {
            bytes.iter().fold(0, add)
        } else {
            bytes.iter().rev().fold(0, add)
        })
    }

    /// A stream frame: `1fdooossB`, with a length if `d`, an offset of `ooo` and a stream number of `ss` bytes.
    fn stream(&mut self, kind: u8) -> Option<(u32, usize, &'a [u8])> {
        let id = self.number(usize::from(kind & 3) + 1)? as u32;
        let offset_len = match kind >> 2 & 7 {
            0 => 0,
            more => usize::from(more) + 1,
        };
        let offset = usize::try_from(self.number(offset_len)?).ok()?;
        let bytes = if kind & 0x20 == 0 {
            self.cursor.take_up_to(usize::MAX)
        } else {
            let len = self.number(2)? as usize;
            self.cursor.take_up_to(len)
        };
        Some((id, offset, bytes))
    }
}

impl<'a> Iterator for Crypto<'a> {
    type Item = (usize, &'a [u8]);

    /// The next piece, behind padding and pings; whatever else comes first ends them.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.cursor.u8()? {
                0 | 7 => {}
                8 => {
                    let offset = usize::try_from(self.cursor.varint()?).ok()?;
                    let len = usize::try_from(self.cursor.varint()?).ok()?;
                    return Some((offset, self.cursor.take(len)?));
                }
                kind @ 0x80.. => {
                    let (stream, offset, bytes) = self.stream(kind)?;
                    if stream == CRYPTO_STREAM {
                        return Some((offset, bytes));
                    }
                }
                _ => return None,
            }
        }
    }
}

/// A client's hello.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) client: Client,
    pub(super) user_agent: Option<Arc<str>>,
}

impl Hello {
    /// The hello that `message` begins with: a tag, the count of its entries, for each a tag and where its value ends,
    /// then the values; all little-endian.
    pub(super) fn of(message: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(message);
        cursor.array().filter(|tag| tag == b"CHLO")?;
        let count = cursor.u16()?.swap_bytes();
        let _padding = cursor.u16()?;
        let mut values = Cursor::new(message.get(8 + usize::from(count) * 8..)?);
        let mut hello = Hello { client: Client::default(), user_agent: None };
        let mut start = 0;
        for _ in 0..count {
            let tag: [u8; 4] = cursor.array()?;
            let end = cursor.u32()?.swap_bytes() as usize;
            let Some(value) = end.checked_sub(start).and_then(|len| values.take(len)) else { break };
            start = end;
            match &tag {
                b"SNI\0" => hello.client.server_name = name(value),
                b"UAID" => hello.user_agent = Some(shown(value)),
                b"ALPN" => hello.client.alpn = vec![shown(value)],
                _ => {}
            }
        }
        Some(hello)
    }
}
