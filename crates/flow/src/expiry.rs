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

/// How long after the tables a collector ends a flow that none of them has ended.
const GRACE: Duration = Duration::from_secs(60);
/// How late it may be known that packets passed which the source counts itself.
pub const LATE: Duration = Duration::from_secs(3);

impl Timeouts {
    /// Whether `flow` should have ended before `now`.
    pub(crate) fn has_ended(&self, flow: &Flow, now: Timestamp) -> bool {
        let late = if flow.settled.is_none() { Duration::ZERO } else { LATE };
        idle(flow, now) >= self.of(flow) + late
    }

    /// Whether `flow` should have ended long before `now`, on whatever interface.
    pub(crate) fn is_left_over(&self, flow: &Flow, now: Timestamp) -> bool {
        let idle = idle(flow, now);
        // Asked of all flows at each report: of most, this is enough.
        idle >= GRACE && idle >= self.of(flow) + GRACE
    }

    fn of(&self, flow: &Flow) -> Duration {
        match flow.tcp() {
            Some(tcp) if tcp.is_over() => self.tcp_closed,
            Some(_) => self.tcp_idle,
            None if flow.key.protocol() == TCP => self.tcp_idle,
            None => self.idle,
        }
    }
}

/// How long `flow` has had no packet; none where clocks were set back.
fn idle(flow: &Flow, now: Timestamp) -> Duration {
    Duration::from_nanos(u64::try_from(now.0.saturating_sub(flow.last.0)).unwrap_or(0))
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
            if timeouts.has_ended(flow, now) {
                self.ended.push(flows.remove(number));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dissect::{Tcp, TcpFlags};

    use super::*;
    use crate::key::{FlowKey, Side};
    use crate::tcp::Segment;

    const SECOND: i64 = 1_000_000_000;

    fn flow(hash: u32, flags: &[u8]) -> Flow {
        let mut flow = Flow::new(FlowKey::default().on(hash as u16 + 1), hash, Timestamp(0), Side::Low);
        for &flags in flags {
            let tcp = Tcp { seq: 1, ack: 0, window: 1, flags: TcpFlags(flags), payload_len: 0 };
            flow.observe_tcp(Side::Low, Timestamp(0), &Segment::of(&tcp));
        }
        flow
    }

    #[test]
    fn what_was_closed_ends_first() {
        let timeouts = Timeouts::default();
        for (flags, seconds) in [(&[2, 4][..], 5), (&[2, 0x11], 900), (&[], 120)] {
            let flow = flow(1, flags);
            assert!(!timeouts.has_ended(&flow, Timestamp(seconds * SECOND - 1)), "{flags:?}");
            assert!(timeouts.has_ended(&flow, Timestamp(seconds * SECOND)), "{flags:?}");
            assert!(!timeouts.is_left_over(&flow, Timestamp(seconds * SECOND)));
            assert!(timeouts.is_left_over(&flow, Timestamp((seconds + 60) * SECOND)));
            assert!(!timeouts.has_ended(&flow, Timestamp(i64::MIN)), "the clock was set back");
        }
    }

    #[test]
    fn every_flow_is_looked_at_within_some_calls() {
        let (mut flows, mut expiry) = (FlowStore::default(), Expiry::default());
        let now = Timestamp(1000 * SECOND);
        expiry.pass(&mut flows, &Timeouts::default(), now);
        let count = 5 * AT_LEAST as u32;
        for n in 0..count {
            flows.insert(flow(n, &[]));
        }
        for _ in 0..ROUNDS {
            assert!(expiry.ended.len() < count as usize, "not all at once");
            expiry.pass(&mut flows, &Timeouts::default(), now);
        }
        assert_eq!((expiry.ended.len(), flows.len()), (count as usize, 0));
    }
}
