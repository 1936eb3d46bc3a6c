//! Times of day and spans of time, as people read them.

use std::time::Duration;
use std::{env, fs};

use dissect::Timestamp;
use jiff::Zoned;
use jiff::tz::TimeZone;

/// Where the clock stands that times are told by.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    zone: TimeZone,
    utc: bool,
}

impl Clock {
    /// UTC, or the system's time zone (TZ is honoured).
    pub(super) fn new(utc: bool) -> Self {
        Clock { zone: if utc { TimeZone::UTC } else { local() }, utc }
    }

    #[cfg(test)]
    fn in_zone(zone: TimeZone) -> Self {
        Clock { zone, utc: false }
    }

    fn zoned(&self, at: Timestamp) -> Zoned {
        // Nanoseconds in an i64 span the years 1677 to 2262, all of which are valid here.
        let at = jiff::Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or_default();
        at.to_zoned(self.zone.clone())
    }

    /// `12:30:06`; `--:--:--` if it is not known.
    pub(super) fn time(&self, at: Timestamp) -> String {
        if at == Timestamp::UNKNOWN {
            return "--:--:--".to_owned();
        }
        self.zoned(at).strftime("%H:%M:%S").to_string()
    }

    /// `2026-11-22 12:30:06`, and `UTC` if it is.
    pub(super) fn date_time(&self, at: Timestamp) -> String {
        let text = self.zoned(at).strftime("%Y-%m-%d %H:%M:%S").to_string();
        if self.utc { text + " UTC" } else { text }
    }
}

/// The system's time zone. The file that says so is read at once, unless `TZ` names another one: to find out what it is
/// called, all names of the database would be listed first.
fn local() -> TimeZone {
    const LOCAL: &str = "/etc/localtime";
    let rules = || fs::read(LOCAL).ok().and_then(|rules| TimeZone::tzif("", &rules).ok());
    let named = env::var_os("TZ").is_some();
    if named { None } else { rules() }.unwrap_or_else(TimeZone::system)
}

/// `0 s`, `812 µs`, `88.1 ms`, `10.8 s`, `12m04s`, `3h04m`, `12d07h`.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        _ if duration.is_zero() => "0 s".to_owned(),
        ..0.000_999_5 => format!("{:.0} µs", seconds * 1e6),
        ..0.099_95 => format!("{:.1} ms", seconds * 1e3),
        ..0.999_5 => format!("{:.0} ms", seconds * 1e3),
        ..59.95 => format!("{seconds:.1} s"),
        _ => long_span(seconds.round() as u64),
    }
}

fn long_span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if hours == 0 {
        format!("{minutes}m{:02}s", seconds % 60)
    } else if days == 0 {
        format!("{hours}h{:02}m", minutes % 60)
    } else {
        format!("{days}d{:02}h", hours % 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (nanos, text) in [
            (0, "0 s"),
            (812_300, "812 µs"),
            (999_700, "1.0 ms"),
            (88_100_000, "88.1 ms"),
            (451_000_000, "451 ms"),
            (10_752_000_000, "10.8 s"),
            (59_960_000_000, "1m00s"),
            (724_000_000_000, "12m04s"),
            (11_040_000_000_000, "3h04m"),
            (1_062_000_000_000_000, "12d07h"),
        ] {
            assert_eq!(span(Duration::from_nanos(nanos)), text);
        }
        assert_eq!(span(Duration::MAX), "213503982334601d07h");
    }

    #[test]
    fn local_time() {
        let at = Timestamp(1_795_350_596_123_456_789);
        assert_eq!(Clock::new(true).date_time(at), "2026-11-22 12:29:56 UTC");
        let tokyo = Clock::in_zone(TimeZone::fixed(jiff::tz::offset(9)));
        assert_eq!(
            (tokyo.date_time(at).as_str(), tokyo.time(at).as_str()),
            ("2026-11-22 21:29:56", "21:29:56")
        );
        for extreme in [i64::MIN, i64::MAX] {
            assert_eq!(Clock::new(true).time(Timestamp(extreme)).len(), 8);
        }
    }
}
