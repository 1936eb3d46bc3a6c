//! The server's side: its hello (RFC 8446, section 4.1.3), and its certificate as long as those were sent in clear.

use std::sync::Arc;

use super::super::Depth;
use super::super::cursor::Cursor;
use super::super::told::{Told, shown};
use super::certificate::Certificate;
use super::extension::Extensions;
use super::record::Message;
use super::version::Version;

/// Message types (IANA).
pub(in crate::app) mod kind {
    pub(in crate::app) const CLIENT_HELLO: u8 = 1;
    pub(in crate::app) const SERVER_HELLO: u8 = 2;
    /// DTLS only.
    pub(in crate::app) const HELLO_VERIFY_REQUEST: u8 = 3;
    pub(in crate::app) const CERTIFICATE: u8 = 11;
    pub(in crate::app) const SERVER_KEY_EXCHANGE: u8 = 12;
    pub(in crate::app) const SERVER_HELLO_DONE: u8 = 14;
}

const RANDOM: usize = 32;
/// The random of a server that asks for another hello: SHA-256 of "HelloRetryRequest" (RFC 8446, section 4.1.3).
const RETRY: [u8; RANDOM] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What a server chose, and who it says to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The version that both speak from here on.
    pub version: Version,
    /// Cipher suite (IANA number); [`super::cipher_name`] has its name.
    pub cipher: u16,
    /// The application protocol that it took (RFC 7301), where this is said in clear: before TLS 1.3.
    pub alpn: Option<Arc<str>>,
    /// It asked for a second hello first (HelloRetryRequest).
    pub retried: bool,
    /// Its certificate, where this passes in clear: before TLS 1.3, and unless a former session goes on.
    pub certificate: Option<Certificate>,
}

impl Server {
    /// What the hello in `message` says; `None` if it is none.
    fn of(message: Message<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(message.body);
        let legacy = Version(cursor.u16()?);
        let random: [u8; RANDOM] = cursor.array()?;
        let _session = cursor.vec8().filter(|id| id.len() <= 32)?;
        let cipher = cursor.u16()?;
        let _compression = cursor.u8()?;
        let extensions = Extensions::of(cursor.vec16().unwrap_or_default());
        legacy.plausible().then(|| Server {
            version: extensions.version().unwrap_or(legacy),
            cipher,
            alpn: extensions.alpn().next().map(shown),
            retried: random == RETRY,
            certificate: None,
        })
    }

    /// Takes what another message says, and whether that was the last thing to know.
    fn follow(&mut self, message: Message<'_>) -> bool {
        match message.kind {
            kind::CERTIFICATE => {
                let mut list = Cursor::new(message.body);
                let len = list.u24().and_then(|_list_len| list.u24()).map(|len| len as usize);
                let der = list.take_up_to(len.unwrap_or(0));
                self.certificate = Certificate::of(der);
                message.whole || len == Some(der.len())
            }
            kind::SERVER_KEY_EXCHANGE | kind::SERVER_HELLO_DONE => true,
            _ => false,
        }
    }
}

/// Whether `messages` begin with a hello that only asks for another one.
pub(in crate::app) fn asks_again(messages: &[u8]) -> bool {
    Message::next(&mut Cursor::new(messages)).and_then(Server::of).is_some_and(|server| server.retried)
}

/// What the handshake messages of a server say, of which the first has to be its hello. `ended`: nothing follows
/// them in clear. To [`Depth::Names`], its certificate is left alone.
pub(in crate::app) fn read(messages: &[u8], ended: bool, depth: Depth) -> Told<Server> {
    let mut cursor = Cursor::new(messages);
    let more = || if ended { Told::NotMine } else { Told::NeedMore };
    let Some(first) = Message::next(&mut cursor) else { return more() };
    if !first.whole {
        return more();
    }
    let Some(mut server) = Server::of(first) else { return Told::NotMine };
    let (mut settled, mut awaited) = (ended, server.retried);
    while let Some(message) = Message::next(&mut cursor) {
        if message.kind == kind::SERVER_HELLO && server.retried {
            let Some(hello) = Server::of(message) else { break };
            (server, awaited) = (Server { retried: true, ..hello }, false);
        } else if awaited {
            // Nothing else may come before its second hello (RFC 8446, section 4.1.4).
            (settled, awaited) = (true, false);
            break;
        } else if depth == Depth::All && server.follow(message) {
            settled = true;
            break;
        }
    }
    // A server that asks again chooses in its second hello.
    settled |= (depth == Depth::Names || server.version.hides_certificates()) && !awaited;
    if settled { Told::Is(server) } else { Told::Partly(server) }
}
