//! How fast flows are, interval by interval.

/// Intervals that are remembered of each flow.
pub const RECENT: usize = 18;
/// So many of them have their place beside the flow: most flows are over before they have more.
const LATE: usize = 9;

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
    /// The pace of a flow without packets, so many intervals on.
    pub(crate) fn later(mut self, intervals: u32) -> Self {
        pass(&mut self.recent, intervals);
        self
    }
}

/// The pace of a flow that goes on, in less room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pacing {
    pub(crate) now: f64,
    peak: f64,
    /// The latest last. Unused once there is `all`.
    late: [u64; LATE],
    /// All that is remembered, where more than these had any bytes.
    all: Option<Box<[u64; RECENT]>>,
}

impl Pacing {
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
    pub(crate) fn skip(&mut self, intervals: u32) {
        if intervals > 0 {
            self.pass(intervals);
            self.now = 0.0;
        }
    }

    /// What stands now.
    pub(crate) fn pace(&self) -> Pace {
        Pace { now: self.now, peak: self.peak, recent: self.recent() }
    }

    fn put(&mut self, bytes: u64) {
        self.pass(1);
        match &mut self.all {
            Some(all) => all[RECENT - 1] = bytes,
            None => self.late[LATE - 1] = bytes,
        }
    }

    fn pass(&mut self, intervals: u32) {
        let leaves_any = self.late[..LATE.min(intervals as usize)].iter().any(|&bytes| bytes > 0);
        if self.all.is_none() && leaves_any {
            self.all = Some(Box::new(self.recent()));
        }
        match &mut self.all {
            Some(all) => pass(&mut **all, intervals),
            None => pass(&mut self.late, intervals),
        }
    }

    fn recent(&self) -> [u64; RECENT] {
        self.all.as_deref().copied().unwrap_or_else(|| {
            let mut recent = [0; RECENT];
            recent[RECENT - LATE..].copy_from_slice(&self.late);
            recent
        })
    }
}

/// So many intervals pass without packets.
fn pass(recent: &mut [u64], intervals: u32) {
    let intervals = recent.len().min(intervals as usize);
    recent.copy_within(intervals.., 0);
    let left = recent.len() - intervals;
    recent[left..].fill(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_not_fast() {
        let mut pacing = Pacing::default();
        pacing.take(10, 2.0);
        pacing.take(40, 2.0);
        let pace = pacing.pace();
        assert_eq!((pace.now, pace.peak, &pace.recent[RECENT - 3..]), (20.0, 20.0, &[0, 10, 40][..]));
        pacing.close(7);
        let pace = pacing.pace();
        assert_eq!((pace.now, pace.peak, &pace.recent[RECENT - 3..]), (0.0, 20.0, &[10, 40, 7][..]));
        assert_eq!(pace.later(0), pace);
        assert_eq!(pace.later(2).recent[RECENT - 4..], [40, 7, 0, 0]);
        assert_eq!(pace.later(1000).recent, [0; RECENT]);
    }

    #[test]
    fn intervals_without_packets_may_be_left_out_meanwhile() {
        let (mut left_out, mut taken) = (Pacing::default(), Pacing::default());
        for intervals in [0, 1, 2, RECENT as u32 - 1, RECENT as u32, 1000] {
            for pace in [&mut left_out, &mut taken] {
                pace.take(30, 1.5);
            }
            left_out.skip(intervals);
            (0..intervals).for_each(|_| taken.take(0, 1.5));
            assert_eq!(left_out.pace(), taken.pace(), "{intervals}");
        }
    }

    #[test]
    fn what_is_remembered_is_the_same_in_whatever_room() {
        for idle in 0..RECENT + 2 {
            let (mut pacing, mut all) = (Pacing::default(), Vec::new());
            for bytes in 1..=2 * RECENT as u64 {
                pacing.take(bytes, 1.0);
                pacing.skip(idle as u32);
                all.push(bytes);
                all.resize(all.len() + idle, 0);
                let before = vec![0; RECENT.saturating_sub(all.len())];
                let last = &all[all.len().saturating_sub(RECENT)..];
                assert_eq!(pacing.pace().recent[..], [&before, last].concat(), "{bytes} {idle}");
            }
        }
    }
}
