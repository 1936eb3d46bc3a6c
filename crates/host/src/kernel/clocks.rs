//! Two clocks: that of events, which runs since the host was started, and that of packets, which can be set.

use dissect::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// What both show at a moment, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// Since the host was started, whether it slept or not.
    pub events: i64,
    /// Since the Unix epoch.
    pub packets: i64,
}

impl Clocks {
    /// What they show now.
    pub fn now() -> Self {
        let read = |clock| {
            let time = clock_gettime(clock);
            time.tv_sec * 1_000_000_000 + time.tv_nsec
        };
        // What passes between the two has packets seem earlier than they were, never later.
        let events = read(ClockId::Boottime);
        Self { events, packets: read(ClockId::Realtime) }
    }

    /// What the clock of events showed when a packet was stamped. `None` for what is not: a stamp that is still to come is
    /// of a clock that is wrong, as network cards' may be.
    pub(super) fn event_at(self, packet: Timestamp) -> Option<u64> {
        let ago = self.packets.checked_sub(packet.0)?;
        (ago >= 0).then(|| self.events.saturating_sub(ago).max(0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_as_long_ago_by_either_clock() {
        let clocks = Clocks { events: 5_000, packets: 1_700_000_000_000 };
        let at = |packet| clocks.event_at(Timestamp(packet));
        assert_eq!(at(clocks.packets - 300), Some(4_700));
        assert_eq!(at(clocks.packets), Some(5_000));
        assert_eq!(at(0), Some(0), "before the host was started");
        assert_eq!(at(clocks.packets + 1), None);
        assert_eq!(clocks.event_at(Timestamp::UNKNOWN), None);
    }
}
