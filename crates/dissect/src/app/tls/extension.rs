//! Extensions of a hello (RFC 8446, section 4.2): those that are read, and the list of all.

use std::sync::{Arc, LazyLock};

use super::super::cursor::Cursor;
use super::super::told::{name, shown};
use super::version::{Version, is_grease};

/// Extension types (IANA).
pub(in crate::app) mod kind {
    /// RFC 6066, section 3.
    pub(in crate::app) const SERVER_NAME: u16 = 0;
    /// RFC 8446, section 4.2.3.
    pub(in crate::app) const SIGNATURE_ALGORITHMS: u16 = 13;
    /// RFC 7301.
    pub(in crate::app) const ALPN: u16 = 16;
    /// RFC 8446, section 4.2.1.
    pub(in crate::app) const SUPPORTED_VERSIONS: u16 = 43;
    /// The drafts of encrypted hellos up to the seventh.
    pub(in crate::app) const ENCRYPTED_SERVER_NAME: u16 = 0xffce;
    /// Encrypted hellos, from their eighth draft on; the last of these is RFC 9849.
    pub(in crate::app) const ENCRYPTED_CLIENT_HELLO: std::ops::RangeInclusive<u16> = 0xfe08..=0xfe0d;
}

/// Application protocols that are kept: a flow keeps them as long as it lasts, and sixteen kilobytes may list eight thousand.
const MOST_PROTOCOLS: usize = 32;

/// What nearly every client offers (RFC 9113, RFC 9112, RFC 9114), made once for all.
static USUAL_PROTOCOLS: LazyLock<[Arc<str>; 3]> = LazyLock::new(|| ["h2", "http/1.1", "h3"].map(Arc::from));

/// The extensions of a hello, in their order.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Extensions<'a> {
    bytes: &'a [u8],
}

/// One extension.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Extension<'a> {
    /// Its type (IANA number).
    pub(in crate::app) kind: u16,
    /// What it says.
    pub(in crate::app) data: &'a [u8],
    /// Whether all of `data` is there.
    pub(in crate::app) whole: bool,
}

impl<'a> Extensions<'a> {
    /// Those at the start of `bytes`.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Extensions { bytes }
    }

    /// Each of them; the last may be cut.
    pub(in crate::app) fn each(self) -> Each<'a> {
        Each { rest: Cursor::new(self.bytes) }
    }

    /// The first one of a type, if all of it is there.
    pub(in crate::app) fn get(self, kind: u16) -> Option<&'a [u8]> {
        self.each().find(|e| e.kind == kind && e.whole).map(|e| e.data)
    }

    /// Whether they end where their list does, and nothing is cut.
    pub(super) fn well_formed(self) -> bool {
        let mut each = self.each();
        each.by_ref().all(|e| e.whole) && each.rest.is_empty()
    }

    /// The name of the server that the client asks for.
    pub(super) fn server_name(self) -> Option<Arc<str>> {
        let data = self.each().find(|e| e.kind == kind::SERVER_NAME)?.data;
        let mut names = Cursor::new(data);
        let _list_len = names.u16()?;
        // Only one type of name was ever defined: host names.
        let (0, bytes) = (names.u8()?, names.vec16()?) else { return None };
        name(bytes)
    }

    /// The application protocols: what the client offers, or the one that the server took.
    pub(in crate::app) fn alpn(self) -> impl Iterator<Item = &'a [u8]> {
        let mut list = Cursor::new(self.get(kind::ALPN).unwrap_or_default());
        let _list_len = list.u16();
        std::iter::from_fn(move || list.vec8()).filter(|protocol| !protocol.is_empty())
    }

    /// The first application protocols as text, those without meaning (RFC 8701) left out.
    pub(super) fn protocols(self) -> Vec<Arc<str>> {
        let meant = |protocol: &&[u8]| {
            <[u8; 2]>::try_from(*protocol).is_ok_and(|pair| is_grease(u16::from_be_bytes(pair)))
        };
        self.alpn().filter(|p| !meant(p)).take(MOST_PROTOCOLS).map(protocol).collect()
    }

    /// The versions that the client offers, those without meaning left out.
    pub(in crate::app) fn versions(self) -> impl Iterator<Item = Version> {
        let list =
            Cursor::new(self.get(kind::SUPPORTED_VERSIONS).unwrap_or_default()).vec8().unwrap_or_default();
        numbers(list).filter(|v| !is_grease(*v)).map(Version)
    }

    /// The version that the server took.
    pub(super) fn version(self) -> Option<Version> {
        Cursor::new(self.get(kind::SUPPORTED_VERSIONS)?).u16().map(Version)
    }

    /// The client's signature algorithms, in its order.
    pub(in crate::app) fn signature_algorithms(self) -> impl Iterator<Item = u16> {
        let data = self.get(kind::SIGNATURE_ALGORITHMS).unwrap_or_default();
        numbers(Cursor::new(data).vec16().unwrap_or_default())
    }

    /// Whether the client brings an encrypted hello.
    pub(super) fn encrypted_hello(self) -> bool {
        self.each()
            .any(|e| kind::ENCRYPTED_CLIENT_HELLO.contains(&e.kind) || e.kind == kind::ENCRYPTED_SERVER_NAME)
    }
}

/// Extensions that are not read yet.
#[derive(Clone, Debug)]
pub(in crate::app) struct Each<'a> {
    rest: Cursor<'a>,
}

impl<'a> Iterator for Each<'a> {
    type Item = Extension<'a>;

    fn next(&mut self) -> Option<Extension<'a>> {
        let mut ahead = self.rest;
        let (kind, len) = (ahead.u16()?, ahead.u16()?.into());
        let data = ahead.take_up_to(len);
        self.rest = ahead;
        Some(Extension { kind, data, whole: data.len() == len })
    }
}

/// Big-endian numbers of 16 bits, one after the other.
pub(super) fn numbers(bytes: &[u8]) -> impl Iterator<Item = u16> + Clone {
    bytes.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair))
}

/// An application protocol as text.
fn protocol(name: &[u8]) -> Arc<str> {
    let usual = USUAL_PROTOCOLS.iter().find(|usual| usual.as_bytes() == name);
    usual.map_or_else(|| shown(name), Arc::clone)
}
