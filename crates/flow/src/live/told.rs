//! Names and messages of a live capture, which wait until it is known whose they are.

use std::hash::BuildHasher;
use std::sync::Arc;

use dissect::Timestamp;

use super::LiveFlows;
use crate::attribution::Answer;
use crate::dns::DnsEvent;
use crate::key::FlowKey;
use crate::opening::NameEvent;
use crate::owner::Owner;
use crate::store::FlowStore;

/// Pairs of flow and name of which it is known that they were told.
const MAX_NAMED: usize = 65_536;
/// Nanoseconds that a name waits for the translation that its flow may have passed.
const NAME_PATIENCE: u64 = 500_000_000;
/// So long a DNS message waits for the process that asked, in nanoseconds …
const DNS_PATIENCE: i64 = 2_000_000_000;
/// … unless so many wait.
const MAX_MESSAGES: usize = 16_384;

impl LiveFlows {
    /// Keeps a name until it is known whether its flow was translated.
    pub(crate) fn keep_name(&mut self, event: NameEvent) {
        self.names.push_back(event);
    }

    /// Takes the names that are heard for the first time and have waited long enough by `now`, in order.
    pub(crate) fn take_names(&mut self, now: Option<Timestamp>) -> Vec<NameEvent> {
        let mut ready = Vec::new();
        while let Some(event) = self.names.front() {
            let waited = now.is_none_or(|now| now.0.abs_diff(event.timestamp.0) > NAME_PATIENCE);
            if !waited && self.names.len() <= MAX_NAMED {
                break;
            }
            let Some(event) = self.names.pop_front() else { break };
            if self.hears_first(&event) {
                ready.push(event);
            }
        }
        ready
    }

    /// Whether a flow's client is heard to ask for a name for the first time, on whatever interface. Beyond
    /// [`MAX_NAMED`], those before are forgotten.
    fn hears_first(&mut self, event: &NameEvent) -> bool {
        let (key, _) = FlowKey::of_tuple(&event.tuple);
        let key = self.aliases.get(&key).map_or(key, |alias| alias.key);
        if self.named.len() >= MAX_NAMED {
            self.named.clear();
        }
        let said = self.named.hasher().hash_one((key, event.source, &event.name));
        self.named.insert(said)
    }

    /// Keeps a message until it is known who asked.
    pub(crate) fn keep_message(&mut self, event: DnsEvent) {
        self.messages.push_back(event);
    }

    /// Whether names or messages are kept.
    pub(crate) fn keeps_any(&self) -> bool {
        !self.names.is_empty() || !self.messages.is_empty()
    }

    /// Takes the messages, in order, up to the first one that still has reason to wait at `now`.
    pub(crate) fn take_messages(&mut self, flows: &FlowStore, now: Option<Timestamp>) -> Vec<DnsEvent> {
        let mut ready = Vec::new();
        while let Some(event) = self.messages.front() {
            let answer = self.owner(flows, &event.tuple);
            // Clocks may be set back, and those of network cards may be wrong.
            let waited = now.is_none_or(|now| now.0.abs_diff(event.timestamp.0) > DNS_PATIENCE as u64);
            if answer.is_none() && !waited && self.messages.len() <= MAX_MESSAGES {
                break;
            }
            let owner = answer.and_then(Answer::owner).map(Arc::<Owner>::clone);
            let Some(event) = self.messages.pop_front() else { break };
            ready.push(DnsEvent { owner, ..event });
        }
        ready
    }
}
