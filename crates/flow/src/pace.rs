//! How fast flows are, interval by interval.

/// Intervals that are remembered of each flow.
pub const RECENT: usize = 18;

/// Bytes and packets a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// IP bytes a second.
    pub bytes: f64,
    /// Packets a second.
    pub packets: f64,
}

/// How fast a flow has been lately.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// IP bytes a second over the last interval.
    pub now: f64,
    /// The most of any interval.
    pub peak: f64,
    /// IP bytes of the last intervals, the latest last.
    pub recent: [u64; RECENT],
}

impl Pace {
    /// Takes note of the next interval.
    pub(crate) fn take(&mut self, bytes: u64, seconds: f64) {
        self.put(bytes);
        self.now = bytes as f64 / seconds;
        self.peak = self.peak.max(self.now);
    }

    /// The flow is over, with so many bytes since the last interval.
    pub(crate) fn close(&mut self, bytes: u64) {
        self.put(bytes);
        self.now = 0.0;
    }

    /// So many intervals have passed without packets.
    pub(crate) fn skip(&mut self, intervals: usize) {
        if intervals > 0 {
            *self = self.later(intervals);
            self.now = 0.0;
        }
    }

    fn put(&mut self, bytes: u64) {
        self.recent.copy_within(1.., 0);
        self.recent[RECENT - 1] = bytes;
    }

    /// The pace of a flow without packets, so many intervals on.
    pub(crate) fn later(mut self, intervals: usize) -> Self {
        let intervals = intervals.min(RECENT);
        self.recent.copy_within(intervals.., 0);
        self.recent[RECENT - intervals..].fill(0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_not_fast() {
        let mut pace = Pace::default();
        pace.take(10, 2.0);
        pace.take(40, 2.0);
        assert_eq!((pace.now, pace.peak, &pace.recent[RECENT - 3..]), (20.0, 20.0, &[0, 10, 40][..]));
        pace.close(7);
        assert_eq!((pace.now, pace.peak, &pace.recent[RECENT - 3..]), (0.0, 20.0, &[10, 40, 7][..]));
        assert_eq!(pace.later(0), pace);
        assert_eq!(pace.later(2).recent[RECENT - 4..], [40, 7, 0, 0]);
        assert_eq!(pace.later(1000).recent, [0; RECENT]);
    }

    #[test]
    fn intervals_without_packets_may_be_left_out_meanwhile() {
        let (mut left_out, mut taken) = (Pace::default(), Pace::default());
        for intervals in [0, 1, 2, RECENT - 1, RECENT, 1000] {
            for pace in [&mut left_out, &mut taken] {
                pace.take(30, 1.5);
            }
            left_out.skip(intervals);
            (0..intervals).for_each(|_| taken.take(0, 1.5));
            assert_eq!(left_out, taken, "{intervals}");
        }
    }
}
