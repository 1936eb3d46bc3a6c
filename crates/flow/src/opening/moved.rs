//! QUIC connections that go on from another address or port (RFC 9000, section 9), as behind a router that has forgotten a
//! translation: packets that name a connection as its server named it belong to that server's client.
//!
//! A client that moves on purpose takes an identifier that it was given under encryption (section 9.5): nobody else can tell
//! whose it is.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use dissect::Endpoint;
use dissect::app::{App, End, quic};
use hashbrown::HashMap;

use crate::flow::Flow;
use crate::tally::Observation;

/// Connections that are known at once; the oldest makes room.
const MOST: usize = 4096;
/// Identifiers that are not shorter than this tell connections apart, in bytes.
const LEAST: usize = 4;
/// The two bits that a short header begins with (section 17.3), and the one of them that is set.
const FORM: u8 = 0xc0;
const SHORT: u8 = 0x40;
/// The bit that a long header has set (section 17.2).
const LONG: u8 = 0x80;

/// A server, and how it names a connection.
type Id = (Endpoint, Box<[u8]>);

/// Connections by what their servers call them.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    known: HashMap<Id, (Arc<App>, Endpoint)>,
    order: VecDeque<Id>,
    /// Lengths of identifiers that servers chose, by bit.
    lengths: u32,
}

impl Moved {
    /// Whether a packet may say how a connection is named: none of TCP, and none that begins otherwise.
    #[inline]
    pub(super) fn may_learn(o: &Observation<'_>) -> bool {
        !o.segment.is_some() && o.payload.first().is_some_and(|first| first & LONG != 0)
    }

    /// Remembers how the server of a flow names its connection, if `o` is a packet that says so.
    pub(super) fn learn(&mut self, flow: &Flow, app: &Arc<App>, o: &Observation<'_>) {
        if app.protocol != "quic" || !Self::may_learn(o) {
            return;
        }
        let client = app.names.first().map_or(End::Initiator, |name| name.client);
        let client = if client == End::Initiator { flow.initiator } else { flow.initiator.other() };
        let id = quic::source_id(o.payload).filter(|id| id.len() >= LEAST && o.side != client);
        let Some(id) = id else { return };
        let key: Id = (flow.key.endpoint(client.other()), id.into());
        self.lengths |= 1 << id.len();
        if self.known.insert(key.clone(), (Arc::clone(app), flow.key.endpoint(client))).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Whether a payload may go on with a connection that is known.
    pub(super) fn may_be(&self, o: &Observation<'_>) -> bool {
        self.lengths != 0
            && !o.segment.is_some()
            && o.payload.first().is_some_and(|first| first & FORM == SHORT)
    }

    /// What is known of a flow that begins by going on with a connection.
    pub(super) fn app_of(&self, flow: &Flow, o: &Observation<'_>) -> Option<Arc<App>> {
        if flow.heed.is_told() || !self.may_be(o) {
            return None;
        }
        let (server, ids) = (flow.key.endpoint(o.side.other()), o.payload.get(1..)?);
        let lengths = (LEAST..=quic::LONGEST_ID).filter(|len| self.lengths >> len & 1 != 0);
        let mut found = lengths.filter_map(|len| self.known.get(&(server, ids.get(..len)?.into())));
        let (known, from) = found.find(|(_, from)| *from != flow.key.endpoint(o.side))?;
        let mut app = App::clone(known);
        let client = if o.side == flow.initiator { End::Initiator } else { End::Responder };
        app.names.iter_mut().for_each(|name| name.client = client);
        app.set_text("quic.migrated_from", SocketAddr::new(from.addr, from.port).to_string());
        Some(Arc::new(app))
    }
}
