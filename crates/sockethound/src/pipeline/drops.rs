//! What is said of packets that the rings had no room for.

use std::time::{Duration, Instant};

use crate::view::text::count;

/// How long nothing more is said after a warning, at least.
const SILENCE: Duration = Duration::from_secs(10);
/// The unit of `--ring`.
const MIB: f64 = 1024.0 * 1024.0;

/// Warns of drops, now and then.
#[derive(Debug)]
pub(super) struct Drops {
    ring_bytes: usize,
    /// When the last warning was given, or the run began; packets seen and dropped by then.
    since: Instant,
    seen: u64,
    dropped: u64,
    warned: bool,
}

impl Drops {
    /// Of rings that have so many bytes together.
    pub(super) fn new(ring_bytes: usize, now: Instant) -> Self {
        Drops { ring_bytes, since: now, seen: 0, dropped: 0, warned: false }
    }

    /// The rings have `seen` packets by now, of which they `dropped` so many; gives what is to be said of it.
    pub(super) fn heed(&mut self, seen: u64, dropped: u64, now: Instant) -> Option<String> {
        let took = now.saturating_duration_since(self.since);
        if dropped <= self.dropped || (self.warned && took < SILENCE) {
            return None;
        }
        let (lost, of) = (dropped - self.dropped, seen.saturating_sub(self.seen).max(1));
        *self = Drops { since: now, seen, dropped, warned: true, ..*self };
        let ring = self.ring_bytes as f64 / MIB;
        Some(format!(
            "warning: the kernel dropped {lost} of {} ({:.1}%) in {:.1} s; try --ring {} (now {ring})",
            count(of, "packet", "packets"),
            lost as f64 * 100.0 / of as f64,
            took.as_secs_f64(),
            ring * 2.0,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_told_of_now_and_then() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut drops = Drops::new(32 << 20, start);
        assert_eq!(drops.heed(1000, 0, at(1)), None);
        assert_eq!(
            drops.heed(88_120, 1204, at(2)).unwrap(),
            "warning: the kernel dropped 1204 of 88120 packets (1.4%) in 2.0 s; try --ring 64 (now 32)"
        );
        assert_eq!(drops.heed(90_000, 1300, at(3)), None, "not again at once");
        assert_eq!(
            drops.heed(98_120, 2204, at(12)).unwrap(),
            "warning: the kernel dropped 1000 of 10000 packets (10.0%) in 10.0 s; try --ring 64 (now 32)"
        );
        assert_eq!(drops.heed(200_000, 2204, at(100)), None, "nothing new");
    }
}
