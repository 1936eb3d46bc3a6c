//! When messages came, and the latest answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dissect::FiveTuple;
use dissect::app::dns::Outline;

use crate::dns::{DnsEvent, DnsFacts};
use crate::message::Origin;

/// When a message came, and between whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) origin: Origin,
    pub(super) protocol: &'static str,
    pub(super) tuple: FiveTuple,
    pub(super) latency: Option<Duration>,
    pub(super) facts: DnsFacts,
}

impl Arrival {
    pub(super) fn event(self, message: &Outline<'_>) -> DnsEvent {
        let Arrival { origin, protocol, tuple, latency, facts } = self;
        let Origin { timestamp, frame, interface, .. } = origin;
        let message = Arc::new(message.message());
        DnsEvent { timestamp, frame, interface, protocol, tuple, message, latency, facts, owner: None, own_lookup: false }
    }
}

/// The latest answers, as they stood on the wire: few of them will be shown.
#[derive(Debug, Default)]
pub(super) struct Recent {
    answers: VecDeque<(Arrival, Vec<u8>)>,
}

impl Recent {
    pub(super) fn push(&mut self, arrival: Arrival, bytes: &[u8], most: usize) {
        let mut kept = Vec::new();
        if self.answers.len() == most
            && let Some((_, oldest)) = self.answers.pop_front()
        {
            kept = oldest;
        }
        kept.clear();
        kept.extend_from_slice(bytes);
        self.answers.push_back((arrival, kept));
    }

    pub(super) fn take(&mut self) -> VecDeque<DnsEvent> {
        let event = |(arrival, bytes): (Arrival, Vec<u8>)| {
            Some(arrival.event(&Outline::again(&bytes, arrival.protocol)?))
        };
        self.answers.drain(..).filter_map(event).collect()
    }
}
