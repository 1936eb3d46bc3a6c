//! Flows of QUIC, told by their first packets.

use super::{chosen, read};
use crate::app::tls::add_client;
use crate::app::told::Told;
use crate::app::{App, AppDissector, Begins, Depth, NameSource, Opening, Port, Reading};

/// First bytes of packets that say their version.
///
/// Long headers (RFC 8999, section 5.1), and those of Google's up to Q043, with a version and no reset: any size of
/// connection id and packet number.
#[expect(clippy::indexing_slicing, reason = "at compile time")]
static FIRST: [u8; 128 + 16] = {
    let mut bytes = [0; 128 + 16];
    let mut at = 0;
    while at < 128 {
        bytes[at] = 0x80 | at as u8;
        at += 1;
    }
    while at < bytes.len() {
        let [connection, number] = [(at & 3) as u8, (at >> 2 & 3) as u8];
        bytes[at] = number << 4 | connection << 2 | 1;
        at += 1;
    }
    bytes
};

/// QUIC over UDP.
#[derive(Debug)]
pub(in crate::app) struct Dissector;

impl AppDissector for Dissector {
    fn name(&self) -> &'static str {
        "quic"
    }

    fn ports(&self) -> &'static [Port] {
        &[Port::Udp(443)]
    }

    fn transports(&self) -> &'static [u8] {
        &[17]
    }

    fn begins(&self) -> Begins {
        Begins::of(&FIRST)
    }

    fn dissect(&self, opening: &Opening<'_>) -> Reading {
        let mut app = App::of("quic");
        let mut mine = false;
        for (end, said) in opening.sides() {
            let told = read(said.datagrams(), said.depth());
            let settled = matches!(told, Told::Is(_));
            let Some(quic) = told.found() else { continue };
            mine = true;
            if opening.depth == Depth::Names
                && let Some(client) = &quic.client
            {
                add_client(&mut app, end, NameSource::Quic, client, opening.depth);
                return if settled || opening.is_last { Reading::Is(app) } else { Reading::Partly(app) };
            }
            // Google's servers say no version once they take the client's.
            let chosen = match quic.version {
                Some(version) if version.is_google() => Some(version),
                _ => chosen(opening.said(end.other()).datagrams()),
            };
            if let Some(version) = chosen.or(quic.version) {
                app.set_text("quic.version", version.to_string());
            }
            if let Some(agent) = quic.user_agent {
                app.set_text("user_agent.original", agent);
            }
            if let Some(client) = quic.client {
                add_client(&mut app, end, NameSource::Quic, &client, said.depth());
                let whole = settled && chosen.is_some() || opening.is_last;
                return if whole { Reading::Is(app) } else { Reading::Partly(app) };
            }
        }
        match (mine, opening.is_last) {
            (true, true) => Reading::Is(app),
            (true, false) => Reading::Partly(app),
            (false, _) => Reading::NotMine,
        }
    }
}
