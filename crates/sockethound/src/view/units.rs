//! Byte counts and rates as people read them.

use clap::ValueEnum;

/// How byte counts are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Units {
    /// Powers of 1024, labelled B KB MB GB TB.
    #[default]
    Auto,
    /// Powers of 1024, labelled B KiB MiB GiB TiB.
    Iec,
    /// Powers of 1000, labelled B kB MB GB TB.
    Si,
    /// Bits, in powers of 1000.
    Bits,
    /// Bytes, not scaled.
    Raw,
}

impl Units {
    /// A number of bytes.
    pub(super) fn amount(self, bytes: u64) -> String {
        match self {
            Units::Auto => scaled(bytes as f64, 1024.0, ["B", "KB", "MB", "GB", "TB"]),
            Units::Iec => scaled(bytes as f64, 1024.0, ["B", "KiB", "MiB", "GiB", "TiB"]),
            Units::Si => scaled(bytes as f64, 1000.0, ["B", "kB", "MB", "GB", "TB"]),
            Units::Bits => scaled(8.0 * bytes as f64, 1000.0, ["bit", "kbit", "Mbit", "Gbit", "Tbit"]),
            Units::Raw => format!("{bytes} B"),
        }
    }

    /// Bytes a second.
    pub(super) fn rate(self, bytes: f64) -> String {
        // A conversion from float to integer saturates.
        let text = self.amount(bytes.round() as u64);
        format!("{text}/s")
    }
}

/// Two decimals, but for the smallest unit, which is whole.
fn scaled(value: f64, base: f64, labels: [&str; 5]) -> String {
    let (mut value, mut labels) = (value, labels.as_slice());
    let mut decimals = 0;
    // What two decimals would round up to the base belongs to the next unit.
    while let [_, rest @ ..] = labels
        && !rest.is_empty()
        && value >= base - if decimals == 0 { 0.0 } else { 0.005 }
    {
        (value, labels, decimals) = (value / base, rest, 2);
    }
    format!("{value:.decimals$} {}", labels[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_1024() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KB"),
            (412_600, "402.93 KB"),
            (1024 * 1024 - 1, "1.00 MB"),
            (4_435_476, "4.23 MB"),
            (1 << 30, "1.00 GB"),
            (3 << 40, "3.00 TB"),
            (5 << 50, "5120.00 TB"),
        ] {
            assert_eq!(Units::Auto.amount(bytes), text);
        }
        assert_eq!(Units::Iec.amount(1536), "1.50 KiB");
    }

    #[test]
    fn powers_of_1000() {
        assert_eq!(Units::Si.amount(999), "999 B");
        assert_eq!(Units::Si.amount(1000), "1.00 kB");
        assert_eq!(Units::Si.amount(999_999), "1.00 MB");
        assert_eq!(Units::Bits.amount(124), "992 bit");
        assert_eq!(Units::Bits.amount(125_000), "1.00 Mbit");
    }

    #[test]
    fn rates() {
        assert_eq!(Units::Auto.rate(412_600.3), "402.93 KB/s");
        assert_eq!(Units::Bits.rate(125.0), "1.00 kbit/s");
        assert_eq!(Units::Raw.rate(0.4), "0 B/s");
        assert_eq!(Units::Raw.rate(f64::INFINITY), format!("{} B/s", u64::MAX));
    }
}
