//! Queries and their answers.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::Duration;

use dissect::app::dns::Outline;
use dissect::{Ip, Timestamp};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::key::FlowKey;

/// Queries that are remembered; the oldest makes room.
const MAX_WAITING: usize = 16_384;
/// So long a resolver may take before its asker gives up, in nanoseconds: the default of resolv.conf(5).
const PATIENCE: i64 = 5_000_000_000;

/// A seeded hash of who asked whom, under which number, for what type and name. Two of the queries that are remembered at
/// once agree by chance once in 10¹⁰ runs.
type Asked = u64;

/// What is known of the query of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// So long ago.
    After(Duration),
    /// It was answered before.
    Again,
    /// It may not have been seen.
    Unknown,
    /// It would have been seen.
    Unasked,
}

impl Joined {
    pub(super) fn latency(self) -> Option<Duration> {
        if let Joined::After(latency) = self { Some(latency) } else { None }
    }
}

#[derive(Clone, Copy, Debug)]
struct Query {
    sent: Timestamp,
    is_answered: bool,
}

/// Queries.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queries: HashMap<Asked, Query>,
    order: VecDeque<Asked>,
    /// When the latest query was sent that had to make room.
    forgotten: Option<Timestamp>,
    seed: RandomState,
}

impl Waiting {
    /// Remembers a query; `asked` is a hash of the name, and the type.
    ///
    /// One that is sent again keeps its first time until it is answered: that is how long the asker waited. Multicast
    /// queries are not remembered: whoever answers them, it is not the address that was asked.
    pub(super) fn ask(&mut self, at: Timestamp, ip: &Ip, message: &Outline<'_>, asked: (u64, u16)) {
        if ip.destination().is_multicast() {
            return;
        }
        let (key, asker) = FlowKey::of(ip);
        let asked = self.seed.hash_one((key, asker, message.id(), asked));
        let query = Query { sent: at, is_answered: false };
        if let Err(known) = self.queries.try_insert(asked, query) {
            let known = known.entry.into_mut();
            if known.is_answered {
                *known = query;
            }
            return;
        }
        self.order.push_back(asked);
        if self.order.len() > MAX_WAITING
            && let Some(oldest) = self.order.pop_front()
            && let Some(query) = self.queries.remove(&oldest)
        {
            self.forgotten = self.forgotten.max(Some(query.sent));
        }
    }

    /// Joins an answer to its query. `since` is the first packet that was seen.
    pub(super) fn answer(
        &mut self,
        at: Timestamp,
        since: Timestamp,
        ip: &Ip,
        message: &Outline<'_>,
        asked: (u64, u16),
    ) -> Joined {
        if ip.destination().is_multicast() {
            return Joined::Unknown;
        }
        let (key, sender) = FlowKey::of(ip);
        let asked = self.seed.hash_one((key, sender.other(), message.id(), asked));
        if let Some(query) = self.queries.get_mut(&asked) {
            if query.is_answered {
                return Joined::Again;
            }
            query.is_answered = true;
            if query.sent == Timestamp::UNKNOWN || at == Timestamp::UNKNOWN {
                return Joined::Unknown;
            }
            let nanos = u64::try_from(at.0.saturating_sub(query.sent.0)).unwrap_or(0);
            return Joined::After(Duration::from_nanos(nanos));
        }
        // Its query may have passed before the capture began, or may have been forgotten.
        let is_long_after = |then: Timestamp| at.0.saturating_sub(then.0) > PATIENCE;
        if is_long_after(since) && self.forgotten.is_none_or(is_long_after) {
            Joined::Unasked
        } else {
            Joined::Unknown
        }
    }
}
