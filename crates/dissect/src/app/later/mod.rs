//! Protocols in which TLS begins later: both ends speak in clear, agree on it, and say their hellos then.
//!
//! STARTTLS in SMTP and LMTP (RFC 3207), IMAP and POP3 (RFC 2595), FTP (RFC 4217), XMPP (RFC 6120, section 5),
//! PostgreSQL and MySQL; and whatever goes through a SOCKS proxy (RFC 1928). What was said before tells the protocol;
//! hellos behind it name whom the client asks for.

mod lines;
mod mysql;
mod postgresql;
mod socks;
#[cfg(test)]
mod tests;
mod xmpp;

pub(super) use self::lines::{FTP, IMAP, POP3, SMTP};
pub(super) use self::mysql::MYSQL;
pub(super) use self::postgresql::POSTGRESQL;
pub(super) use self::socks::SOCKS;
pub(super) use self::xmpp::XMPP;
use super::tls::{self, hellos};
use super::{App, AppDissector, Begins, Depth, Mark, NameSource, Opening, Port, Reading, Said};

/// Content type of a handshake, and the major version: what a hello begins with.
const HELLO: [u8; 2] = [22, 3];

/// Reads what a server says of itself in what it says first.
type Greeting = fn(&[u8]) -> Option<&str>;

/// A protocol in which TLS may begin later.
pub(super) struct Later {
    name: &'static str,
    ports: &'static [Port],
    begins: &'static [u8],
    mark: Option<Mark>,
    before: fn(&Opening<'_>) -> Before,
    /// What its server says of itself: the path that records give it, and how it is read.
    server: Option<(&'static str, Greeting)>,
}

/// What was said before TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// Another protocol.
    NotMine,
    /// Perhaps this one.
    NeedMore,
    /// This one. Of each end, the initiator first: how many bytes it said in clear, where TLS follows them.
    Mine {
        /// Where TLS begins.
        clear: [Option<usize>; 2],
        /// No TLS will follow, or nobody will see where.
        over: bool,
    },
}

impl AppDissector for Later {
    fn name(&self) -> &'static str {
        self.name
    }

    fn ports(&self) -> &'static [Port] {
        self.ports
    }

    fn transports(&self) -> &'static [u8] {
        &[6]
    }

    fn begins(&self) -> Begins {
        Begins::of(self.begins)
    }

    fn mark(&self) -> Option<Mark> {
        self.mark
    }

    fn dissect(&self, opening: &Opening<'_>) -> Reading {
        let (clear, over) = match (self.before)(opening) {
            Before::NotMine => return Reading::NotMine,
            Before::NeedMore => return Reading::NeedMore,
            Before::Mine { clear, over } => (clear, over),
        };
        let mut app = App::of(self.name);
        if let (Some((path, read)), Depth::All) = (self.server, opening.depth)
            && let Some(text) = opening.sides().into_iter().find_map(|(_, said)| read(said.bytes()))
        {
            app.set_text(path, text);
        }
        let [initiator, responder] = clear;
        if clear == [None; 2] {
            return if over || opening.is_last { Reading::Is(app) } else { Reading::Partly(app) };
        }
        let inner = Opening {
            initiator: behind(opening.initiator, initiator),
            responder: behind(opening.responder, responder),
            ..*opening
        };
        match hellos(&inner, app.clone(), NameSource::Tls, |said| tls::read(said.bytes(), said.depth())) {
            Reading::NotMine => Reading::Is(app),
            Reading::NeedMore => Reading::Partly(app),
            reading => reading,
        }
    }
}

/// What an end says behind its first `clear` bytes; nothing, where it says all in clear.
fn behind(said: Said<'_>, clear: Option<usize>) -> Said<'_> {
    clear.map_or(Said::default(), |len| said.behind(len))
}
