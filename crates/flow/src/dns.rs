//! DNS messages as events, and answers joined to their queries.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use dissect::app::dns::Message;
use dissect::{FiveTuple, Timestamp};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::key::{FlowKey, Side};
use crate::ledger::InterfaceId;

/// Queries that wait for their answer; the oldest makes room.
const MAX_WAITING: usize = 65_536;

/// One DNS, mDNS or LLMNR message.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsEvent {
    /// When the packet that completes it was captured.
    pub timestamp: Timestamp,
    /// Number of that packet in its capture, from 1.
    pub frame: u64,
    /// Where that packet was seen.
    pub interface: InterfaceId,
    /// `dns`, `mdns` or `llmnr`.
    pub protocol: &'static str,
    /// Who sent it to whom.
    pub tuple: FiveTuple,
    /// What it says.
    pub message: Arc<Message>,
    /// Of an answer: how long after its query it passed the capture point; `None` if no query was seen.
    pub latency: Option<Duration>,
}

/// A seeded hash of who asked whom, under which number, for what type and name. Two of the queries that wait at once
/// agree by chance once in 10¹⁰ runs.
type Asked = u64;

/// Queries that were not answered yet.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    queries: HashMap<Asked, Timestamp>,
    order: VecDeque<Asked>,
    seed: RandomState,
}

impl Waiting {
    /// Remembers a query, or gives an answer its latency.
    ///
    /// A query that is sent again keeps its first time: that is how long the asker waited. Multicast queries are not
    /// remembered: whoever answers them, it is not the address that was asked.
    pub(crate) fn join(&mut self, event: &mut DnsEvent) {
        let Some(question) = event.message.questions.first() else { return };
        if event.tuple.dst.addr.is_multicast() {
            return;
        }
        let (key, sender) = FlowKey::of_tuple(&event.tuple);
        let asker = if event.message.answer { sender.other() } else { sender };
        let mut asked = self.seed.build_hasher();
        (key, asker, event.message.id, question.kind).hash(&mut asked);
        // Names are compared without regard to case (RFC 4343); some resolvers change it.
        question.name.bytes().for_each(|b| asked.write_u8(b.to_ascii_lowercase()));
        let asked = asked.finish();
        if event.message.answer {
            let sent = self.queries.remove(&asked);
            let nanos = sent.map(|sent| u64::try_from(event.timestamp.0.saturating_sub(sent.0)).unwrap_or(0));
            event.latency = nanos.map(Duration::from_nanos);
        } else if self.queries.try_insert(asked, event.timestamp).is_ok() {
            self.order.push_back(asked);
            if self.order.len() > MAX_WAITING
                && let Some(oldest) = self.order.pop_front()
            {
                self.queries.remove(&oldest);
            }
        }
    }
}
