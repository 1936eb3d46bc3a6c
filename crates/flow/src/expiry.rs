//! When flows of a live capture end: closed and quiet, or idle for long.

use std::time::Duration;

use dissect::Timestamp;

use crate::flow::Flow;
use crate::store::{FlowParts, FlowStore};

/// Calls within which every flow is looked at.
pub const ROUNDS: usize = 4;
/// Flows that are looked at in every call, if there are as many.
const AT_LEAST: usize = 1024;

const TCP: u8 = 6;

/// How long after its last packet a flow ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP that was closed by both sides or reset.
    pub tcp_closed: Duration,
    /// Other TCP.
    pub tcp_idle: Duration,
    /// Everything else.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            tcp_closed: Duration::from_secs(5),
            tcp_idle: Duration::from_secs(900),
            idle: Duration::from_secs(120),
        }
    }
}

impl Timeouts {
    fn of(&self, flow: &Flow) -> Duration {
        match flow.tcp() {
            Some(tcp) if tcp.is_over() => self.tcp_closed,
            Some(_) => self.tcp_idle,
            None if flow.key.protocol() == TCP => self.tcp_idle,
            None => self.idle,
        }
    }
}

/// Looks for flows that have ended.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    hand: usize,
    /// Those that have.
    pub(crate) ended: Vec<FlowParts>,
}

impl Expiry {
    /// Looks at the next flows.
    pub(crate) fn pass(&mut self, flows: &mut FlowStore, timeouts: &Timeouts, now: Timestamp) {
        let places = flows.places();
        for _ in 0..places.div_ceil(ROUNDS).max(AT_LEAST).min(places) {
            self.hand = (self.hand + 1) % places;
            let Some((number, flow)) = flows.at_hand(self.hand) else { continue };
            let idle = u64::try_from(now.0.saturating_sub(flow.last.0)).unwrap_or(0);
            if Duration::from_nanos(idle) >= timeouts.of(flow) {
                self.ended.push(flows.remove(number));
            }
        }
    }
}
