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
        DnsEvent {
            timestamp,
            frame,
            interface,
            protocol,
            tuple,
            message,
            latency,
            facts,
            owner: None,
            own_lookup: false,
        }
    }
}

/// The latest answers, as they stood on the wire: few of them will be shown.
#[derive(Debug, Default)]
pub(super) struct Recent {
    answers: Vec<(Arrival, Vec<u8>)>,
    /// The oldest one's place, once there are as many as are kept: the next one is written over it.
    oldest: usize,
}

impl Recent {
    pub(super) fn push(&mut self, arrival: Arrival, bytes: &[u8], most: usize) {
        if self.answers.len() < most {
            self.answers.push((arrival, bytes.to_vec()));
            return;
        }
        let Some((at, kept)) = self.answers.get_mut(self.oldest) else { return };
        *at = arrival;
        kept.clear();
        kept.extend_from_slice(bytes);
        self.oldest = (self.oldest + 1) % most;
    }

    pub(super) fn take(&mut self) -> VecDeque<DnsEvent> {
        self.answers.rotate_left(self.oldest);
        self.oldest = 0;
        let event = |(arrival, bytes): (Arrival, Vec<u8>)| {
            Some(arrival.event(&Outline::again(&bytes, arrival.protocol)?))
        };
        self.answers.drain(..).filter_map(event).collect()
    }
}
