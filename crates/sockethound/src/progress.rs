//! How far a long reading has come, on a terminal's standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::pipeline::Watch;

/// Readings shorter than this show nothing.
const QUIET: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(250);

/// A line that is painted over and over, and wiped at the end.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Bytes to read, as stored.
    total: Option<u64>,
    started: Instant,
    painted: Option<Instant>,
    enabled: bool,
}

impl Progress {
    /// Of `total` bytes; says nothing unless standard error is a terminal.
    pub(crate) fn new(total: Option<u64>, quiet: bool) -> Self {
        let enabled = !quiet && total.is_some() && io::stderr().is_terminal();
        Self { total, started: Instant::now(), painted: None, enabled }
    }

    /// Paints the line, if it is time.
    pub(crate) fn tick(&mut self, watch: &Watch) {
        let now = Instant::now();
        let early = now - self.started < QUIET || self.painted.is_some_and(|at| now - at < EVERY);
        if !self.enabled || early {
            return;
        }
        let packets = watch.packets.load(Ordering::Relaxed);
        let consumed = watch.consumed.load(Ordering::Relaxed);
        let line = line(consumed, self.total.unwrap_or(0), packets, now - self.started);
        paint(&line);
        self.painted = Some(now);
    }

    /// Wipes the line.
    pub(crate) fn clear(&mut self) {
        if self.painted.take().is_some() {
            paint("");
        }
    }
}

fn paint(line: &str) {
    // A terminal that does not take it shall not stop the reading.
    let _ = write!(io::stderr(), "\r{line}\x1b[K");
}

fn line(consumed: u64, total: u64, packets: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let share = if total == 0 { 1.0 } else { (consumed as f64 / total as f64).min(1.0) };
    let left = if share > 0.0 { seconds / share - seconds } else { 0.0 };
    format!(
        "{:3.0} %  {:.2} of {:.2} GB  {:.2} M packets  {:.2} M packets/s  {left:.0} s left",
        share * 100.0,
        consumed as f64 / 1e9,
        total as f64 / 1e9,
        packets as f64 / 1e6,
        packets as f64 / 1e6 / seconds,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_way() {
        assert_eq!(
            line(500_000_000, 1_000_000_000, 3_000_000, Duration::from_secs(2)),
            " 50 %  0.50 of 1.00 GB  3.00 M packets  1.50 M packets/s  2 s left"
        );
    }
}
