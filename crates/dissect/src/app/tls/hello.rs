//! The client's hello (RFC 8446, section 4.1.2; RFC 6347, section 4.2.1 for DTLS).

use std::sync::Arc;

use super::super::Depth;
use super::super::cursor::Cursor;
use super::super::ja4::{self, Ja4};
use super::extension::{Extensions, numbers};
use super::record::Message;
use super::version::Version;

/// Longest session id, in bytes.
const LONGEST_SESSION: u8 = 32;
const RANDOM: usize = 32;
/// Versions that are kept of what a client offers; there are not so many.
const MOST_VERSIONS: usize = 16;

/// What a client says of itself, and whom it asks for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Client {
    /// The name that it asks for (RFC 6066, section 3), as it wrote it: UTF-8 without controls.
    pub server_name: Option<Arc<str>>,
    /// The name in a second hello, which a server asked for, where that is another one: it should not be (RFC 8446, section
    /// 4.1.2).
    pub second_name: Option<Arc<str>>,
    /// An encrypted hello comes along: `server_name` may be only the outer one, of who will decrypt it. Many clients
    /// send one that nobody can decrypt (GREASE), and no observer can tell which it is.
    pub encrypted_hello: bool,
    /// Application protocols that it offers, best first (RFC 7301), 32 at most; what is not printable is escaped.
    pub alpn: Vec<Arc<str>>,
    /// Versions that it offers, in its order, 16 at most. Before TLS 1.3, only the highest is said.
    pub versions: Vec<Version>,
    /// Its fingerprint; `None` where the hello is cut or malformed, and for SSL 2.0.
    pub ja4: Option<Ja4>,
}

/// Over what a hello came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Over {
    /// A stream.
    Stream,
    /// Datagrams: DTLS.
    Datagrams,
    /// QUIC.
    Quic,
}

/// A client's hello, laid out.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Hello<'a> {
    pub(in crate::app) legacy_version: Version,
    ciphers: &'a [u8],
    pub(in crate::app) extensions: Extensions<'a>,
    /// Nothing is cut, nothing is left over.
    well_formed: bool,
}

impl<'a> Hello<'a> {
    /// The hello that `message` is; `None` if it cannot be one.
    pub(in crate::app) fn of(message: Message<'a>, over: Over) -> Option<Self> {
        let mut cursor = Cursor::new(message.body);
        let cut = |legacy_version| Hello {
            legacy_version,
            ciphers: &[],
            extensions: Extensions::of(&[]),
            well_formed: false,
        };
        let Some(version) = cursor.u16().map(Version) else {
            return (!message.whole).then(|| cut(Version::TLS12));
        };
        if !version.plausible() || cursor.rest().get(RANDOM).is_some_and(|len| *len > LONGEST_SESSION) {
            return None;
        }
        match Self::rest(version, cursor, message.whole, over) {
            Some(hello) => Some(hello),
            None => (!message.whole).then(|| cut(version)),
        }
    }

    fn rest(legacy_version: Version, mut cursor: Cursor<'a>, whole: bool, over: Over) -> Option<Self> {
        let _random: [u8; RANDOM] = cursor.array()?;
        let _session = cursor.vec8()?;
        if over == Over::Datagrams {
            let _cookie = cursor.vec8()?;
        }
        let ciphers = cursor.vec16()?;
        let _compression = cursor.vec8()?;
        // Extensions may be absent altogether (RFC 5246, section 7.4.1.2).
        let len = cursor.u16();
        let listed = cursor.take_up_to(len.unwrap_or(0).into());
        let extensions = Extensions::of(listed);
        let well_formed = whole
            && ciphers.len().is_multiple_of(2)
            && listed.len() == len.unwrap_or(0).into()
            && cursor.is_empty()
            && extensions.well_formed();
        Some(Hello { legacy_version, ciphers, extensions, well_formed })
    }

    /// The cipher suites (IANA numbers), in the client's order.
    pub(in crate::app) fn ciphers(&self) -> impl Iterator<Item = u16> + Clone {
        numbers(self.ciphers)
    }

    /// What it says; to [`Depth::Names`], without versions and fingerprint.
    pub(in crate::app) fn client(&self, over: Over, depth: Depth) -> Client {
        let names = Client {
            server_name: self.extensions.server_name(),
            encrypted_hello: self.extensions.encrypted_hello(),
            alpn: self.extensions.protocols(),
            ..Client::default()
        };
        if depth == Depth::Names {
            return names;
        }
        let mut versions: Vec<_> = self.extensions.versions().take(MOST_VERSIONS).collect();
        if versions.is_empty() {
            versions.push(self.legacy_version);
        }
        Client { versions, ja4: self.well_formed.then(|| ja4::of(self, over)), ..names }
    }
}
