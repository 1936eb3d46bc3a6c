//! Timestamps of pcapng interfaces (draft-ietf-opsawg-pcapng, section 4.2).

use dissect::Timestamp;

/// How an interface's timestamps are to be read (`if_tsresol`, `if_tsoffset`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    unit: Tick,
    /// Seconds to be added.
    pub(super) offset: i64,
}

#[derive(Clone, Copy, Debug)]
enum Tick {
    /// So many nanoseconds.
    Nanos(u64),
    /// So many units are a second.
    PerSecond(u128),
}

impl Clock {
    /// Microseconds, unless the interface says otherwise.
    pub(super) const MICROS: Self = Self { unit: Tick::Nanos(1000), offset: 0 };

    /// `if_tsresol`: the upper bit chooses a power of two, the others are the negative exponent.
    pub(super) fn set_resolution(&mut self, value: u8) {
        let exponent = u32::from(value & 0x7f);
        self.unit = if value & 0x80 != 0 {
            Tick::PerSecond(1 << exponent)
        } else if exponent <= 9 {
            Tick::Nanos(10_u64.pow(9 - exponent))
        } else {
            // Beyond what 128 bits hold every timestamp is 0 anyway.
            Tick::PerSecond(10_u128.checked_pow(exponent).unwrap_or(u128::MAX))
        };
    }

    /// Nanoseconds since the epoch, saturating; never [`Timestamp::UNKNOWN`].
    #[inline]
    pub(super) fn nanos(self, high: u32, low: u32) -> Timestamp {
        let time = (u64::from(high) << 32) | u64::from(low);
        let nanos = match self.unit {
            Tick::Nanos(unit) => u128::from(time) * u128::from(unit),
            Tick::PerSecond(units) => {
                let (seconds, rest) = (u128::from(time) / units, u128::from(time) % units);
                seconds * 1_000_000_000 + (rest * 1_000_000_000) / units
            }
        };
        let nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
        let since_epoch = nanos.saturating_add(self.offset.saturating_mul(1_000_000_000));
        Timestamp(since_epoch.max(Timestamp::UNKNOWN.0 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(resolution: u8, offset: i64) -> Clock {
        let mut clock = Clock { offset, ..Clock::MICROS };
        clock.set_resolution(resolution);
        clock
    }

    fn nanos(clock: Clock, time: u64) -> i64 {
        clock.nanos((time >> 32) as u32, time as u32).0
    }

    #[test]
    fn resolutions_are_powers_of_ten_or_two() {
        assert_eq!(nanos(Clock::MICROS, 1_500_000), 1_500_000_000);
        assert_eq!(nanos(clock(0, 0), 7), 7_000_000_000);
        assert_eq!(nanos(clock(9, 0), 7), 7);
        assert_eq!(nanos(clock(12, 0), 7_999), 7);
        assert_eq!(nanos(clock(0x8a, 0), 1536), 1_500_000_000);
        assert_eq!(nanos(clock(0xa0, 0), (5 << 32) | 0x4000_0000), 5_250_000_000);
    }

    #[test]
    fn extremes_saturate() {
        assert_eq!(nanos(clock(0, 0), u64::MAX), i64::MAX);
        assert_eq!(nanos(clock(127, 0), u64::MAX), 0);
        assert_eq!(nanos(clock(0xff, 0), u64::MAX), 0);
        assert_eq!(nanos(clock(6, i64::MIN), 0), i64::MIN + 1);
        assert_eq!(nanos(clock(6, 10), 1_000_000), 11_000_000_000);
    }
}
