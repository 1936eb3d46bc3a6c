//! Times as people type them: a clock time, a date and time, or an offset.

use std::str::FromStr;

use dissect::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

/// A point in a capture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// Nanoseconds after the first packet.
    Offset(i64),
    /// An instant.
    At(Timestamp),
    /// A date and time of the zone that times are shown in.
    Civil(DateTime),
    /// A time of the day on which the first packet was captured, in that zone.
    Clock(Time),
}

impl When {
    /// The instant, in a capture whose first packet came at `first`; `utc` says which zone times are in.
    ///
    /// A time that the zone has no instant for is the nearest one after it.
    pub fn resolve(self, first: Timestamp, utc: bool) -> Timestamp {
        let zone = if utc { TimeZone::UTC } else { TimeZone::system() };
        let nanos = |civil: DateTime| {
            let zoned = civil.to_zoned(zone.clone()).ok();
            zoned.and_then(|z| i64::try_from(z.timestamp().as_nanosecond()).ok()).map(Timestamp)
        };
        match self {
            When::Offset(offset) => Timestamp(first.0.saturating_add(offset)),
            When::At(at) => at,
            // What no timestamp holds lies before or after all of them.
            When::Civil(civil) => {
                nanos(civil).unwrap_or(Timestamp(if civil.year() < 1970 { i64::MIN } else { i64::MAX }))
            }
            When::Clock(time) => {
                let day = jiff::Timestamp::from_nanosecond(i128::from(first.0));
                let day = day.map(|t| t.to_zoned(zone.clone()).date());
                day.ok().and_then(|day| nanos(day.to_datetime(time))).unwrap_or(first)
            }
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(offset) = text.strip_prefix('+') {
            return offset_nanos(offset)
                .map(When::Offset)
                .ok_or_else(|| format!("{text:?} is not an offset such as +90s, +5m or +1h30m"));
        }
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            let nanos =
                i64::try_from(instant.as_nanosecond()).map_err(|_| format!("{text:?} is out of range"))?;
            return Ok(When::At(Timestamp(nanos)));
        }
        // A bare time must not be read as a date.
        if let Ok(time) = text.parse::<Time>() {
            return Ok(When::Clock(time));
        }
        text.parse::<DateTime>().map(When::Civil).map_err(|_| {
            format!("{text:?} is not a time such as 12:30, 2026-11-22T12:30:00, 2026-11-22T12:30:00Z or +90s")
        })
    }
}

/// `90`, `1.5s`, `5m`, `1h30m`, in nanoseconds.
fn offset_nanos(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "" | "s" => 1e9,
                "ms" => 1e6,
                "m" | "min" => 60e9,
                "h" => 3600e9,
                "d" => 86_400e9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    (!text.is_empty() && total < 9e18).then_some(total as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_700_000_000_000_000_000); // 2023-11-14T22:13:20Z

    fn resolve(text: &str) -> i64 {
        text.parse::<When>().unwrap().resolve(NOON, true).0
    }

    #[test]
    fn every_form() {
        assert_eq!(resolve("+90"), NOON.0 + 90_000_000_000);
        assert_eq!(resolve("+1h30m"), NOON.0 + 5_400_000_000_000);
        assert_eq!(resolve("+0.5s"), NOON.0 + 500_000_000);
        assert_eq!(resolve("22:13:21"), NOON.0 + 1_000_000_000);
        assert_eq!(resolve("22:14"), NOON.0 + 40_000_000_000);
        assert_eq!(resolve("2023-11-14T22:13:21Z"), NOON.0 + 1_000_000_000);
        assert_eq!(resolve("2023-11-14T23:13:21+01:00"), NOON.0 + 1_000_000_000);
        assert_eq!(resolve("2023-11-14 22:13:21"), NOON.0 + 1_000_000_000);
    }

    #[test]
    fn what_is_no_time() {
        for text in ["", "+", "+5x", "noon", "25:00", "2023-13-01T00:00"] {
            assert!(text.parse::<When>().is_err(), "{text:?}");
        }
    }
}
