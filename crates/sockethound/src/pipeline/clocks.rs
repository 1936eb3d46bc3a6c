//! When a worker does what it does by the clock.

use std::time::{Duration, Instant};

use flow::LATE;

use super::{Job, PATIENCE};

/// How often flows that began are told of, at most: soon, so that their owners are found while they live, …
const NEWS: Duration = Duration::from_millis(50);
/// … but less often where so many begin at once that each telling costs more than it finds.
const MUCH_NEWS: Duration = Duration::from_millis(200);
const MUCH: usize = 64;
/// The same where the kernel tells owners, also of what has ended since.
const NEWS_TOLD: Duration = Duration::from_millis(450);
/// How often flows are looked at that may have ended.
const EXPIRY: Duration = Duration::from_secs(1);
/// How often counts of settled flows are taken, besides at reports.
const COUNTS: Duration = LATE.saturating_sub(PATIENCE);

/// A worker's clocks.
#[derive(Debug)]
pub(super) struct Clocks {
    interval: Option<Duration>,
    next_report: Option<Instant>,
    last_news: Instant,
    /// How long nothing is told of flows that began: of few, and of [`MUCH`].
    pauses: [Duration; 2],
    /// How long it may wait beyond that for packets, to be told with them.
    slack: Duration,
    next_expiry: Instant,
    next_counts: Instant,
    end: Option<Instant>,
}

impl Clocks {
    /// From `start` on. Reports are due of a worker that `asks` for them; `told`: whether the kernel tells owners.
    pub(super) fn new(job: &Job, start: Instant, asks: bool, told: bool) -> Self {
        Self {
            interval: job.interval,
            next_report: job.interval.filter(|_| asks).map(|interval| start + interval),
            last_news: start,
            pauses: if told { [NEWS_TOLD; 2] } else { [NEWS, MUCH_NEWS] },
            slack: if told { PATIENCE } else { Duration::ZERO },
            next_expiry: start + EXPIRY,
            next_counts: start,
            end: job.duration.map(|duration| start + duration),
        }
    }

    /// Whether the run has lasted as long as it was to.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.end.is_some_and(|end| now >= end)
    }

    /// How long there is nothing to do from `now` on, at most `longest`; `begun`: how many flows began of which nothing was told, if there is
    /// anything to tell.
    pub(super) fn rest(&self, now: Instant, begun: Option<usize>, longest: Duration) -> Duration {
        let news = begun.map(|begun| self.last_news + self.pause(begun) + self.slack);
        let next = [self.next_report, self.end, news, Some(self.next_counts)].into_iter().flatten().min();
        next.map_or(longest, |at| longest.min(at.saturating_duration_since(now)))
    }

    /// How long nothing is told while so many flows began.
    fn pause(&self, begun: usize) -> Duration {
        self.pauses[usize::from(begun >= MUCH)]
    }

    /// Whether it is time for a report.
    pub(super) fn is_report_due(&self, now: Instant) -> bool {
        self.next_report.is_some_and(|at| now >= at)
    }

    /// Whether a report is to be made now; it is not due again before the next interval. The final one says the same as one that is due
    /// just before it.
    pub(super) fn take_report(&mut self, now: Instant) -> bool {
        let Some(at) = self.next_report.filter(|at| now >= *at) else { return false };
        self.next_report = self.interval.map(|interval| (at + interval).max(now));
        self.end.is_none_or(|end| end > at + PATIENCE)
    }

    /// Whether to tell now, while so many flows began.
    pub(super) fn is_news_due(&self, now: Instant, begun: usize) -> bool {
        now >= self.last_news + self.pause(begun)
    }

    /// It was told.
    pub(super) fn note_news(&mut self, now: Instant) {
        self.last_news = now;
    }

    /// Whether to look now which flows have ended; it is not due again for a while.
    pub(super) fn take_expiry(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next_expiry;
        if is_due {
            self.next_expiry = now + EXPIRY;
        }
        is_due
    }

    /// Whether counts of settled flows are to be taken besides at reports.
    pub(super) fn are_counts_due(&self, now: Instant) -> bool {
        now >= self.next_counts
    }

    /// They were taken.
    pub(super) fn note_counts(&mut self, now: Instant) {
        self.next_counts = now + COUNTS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn clocks(interval: Option<Duration>, duration: Option<Duration>, told: bool) -> (Clocks, Instant) {
        let job = Job {
            options: flow::Options::default(),
            config: flow::Config::default(),
            names: Vec::new(),
            interval,
            duration,
        };
        let start = Instant::now();
        (Clocks::new(&job, start, true, told), start)
    }

    #[test]
    fn reports_keep_their_interval_unless_they_are_late() {
        let (mut clocks, start) = clocks(Some(SECOND), None, false);
        assert!(!clocks.take_report(start));
        assert!(clocks.is_report_due(start + SECOND) && clocks.take_report(start + SECOND));
        assert!(!clocks.take_report(start + SECOND));
        // A late one moves none but itself, …
        assert!(clocks.take_report(start + SECOND * 5 / 2));
        assert!(clocks.take_report(start + SECOND * 3));
        // … unless it is later than the next.
        assert!(clocks.take_report(start + SECOND * 13 / 2));
        assert!(!clocks.is_report_due(start + SECOND * 6));
        assert!(clocks.take_report(start + SECOND * 13 / 2));
    }

    #[test]
    fn the_final_report_stands_for_one_just_before_it() {
        let (mut clocks, start) = clocks(Some(SECOND), Some(SECOND * 2), false);
        assert!(clocks.take_report(start + SECOND));
        assert!(!clocks.take_report(start + SECOND * 2));
    }

    #[test]
    fn many_flows_are_told_of_less_often() {
        let (mut clocks, start) = clocks(None, None, false);
        clocks.note_news(start);
        let soon = start + NEWS;
        assert!(clocks.is_news_due(soon, 1) && !clocks.is_news_due(soon, MUCH));
        assert!(clocks.is_news_due(start + MUCH_NEWS, MUCH));
        clocks.note_counts(start);
        let rest = |begun| clocks.rest(start, begun, SECOND);
        assert_eq!([Some(1), Some(MUCH), None].map(rest), [NEWS, MUCH_NEWS, SECOND]);
    }

    /// Where the kernel tells owners, nobody waits for the news: they come with the packets.
    #[test]
    fn what_is_told_anyway_may_wait() {
        let (mut clocks, start) = clocks(None, Some(SECOND), true);
        clocks.note_counts(start);
        assert!(!clocks.is_news_due(start + MUCH_NEWS, 1) && clocks.is_news_due(start + NEWS_TOLD, 1));
        assert_eq!(clocks.rest(start, Some(1), 2 * SECOND), NEWS_TOLD + PATIENCE);
        assert_eq!(clocks.rest(start, None, 2 * SECOND), SECOND, "until the end");
        assert!(!clocks.is_over(start) && clocks.is_over(start + SECOND));
    }
}
