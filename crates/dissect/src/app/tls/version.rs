//! Versions of SSL, TLS and DTLS.

use std::fmt;

/// A protocol version, as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub u16);

impl Version {
    /// SSL 2.0, as its hello writes it.
    pub const SSL2: Version = Version(0x0002);
    /// TLS 1.2.
    pub const TLS12: Version = Version(0x0303);
    /// TLS 1.3.
    pub const TLS13: Version = Version(0x0304);
    /// DTLS 1.2.
    pub const DTLS12: Version = Version(0xfefd);
    /// DTLS 1.3.
    pub const DTLS13: Version = Version(0xfefc);

    /// Whether a hello may have it as its own version: SSL 3.0 and TLS, or DTLS.
    pub(super) fn plausible(self) -> bool {
        let [major, minor] = self.0.to_be_bytes();
        major == 3 && minor <= 4 || major == 0xfe && minor >= 0xf0 || self.0 == 0x0100
    }

    /// Whether everything behind its server's hello is encrypted, certificates included.
    pub(super) fn hides_certificates(self) -> bool {
        let [major, minor] = self.0.to_be_bytes();
        self == Self::TLS13 || self == Self::DTLS13 || matches!(major, 0x7f | 0xfb) && minor > 0
    }
}

impl Version {
    /// The protocol's name and the number of its version, as records have them.
    pub(super) fn parts(self) -> (&'static str, String) {
        let shown = self.to_string();
        let number = |protocol: &str| shown.strip_prefix(protocol).map(str::to_owned);
        let known = [("tls", "TLS "), ("dtls", "DTLS "), ("ssl", "SSL ")];
        let found = known.iter().find_map(|(name, protocol)| Some((*name, number(protocol)?)));
        found.unwrap_or(("tls", shown))
    }
}

impl fmt::Display for Version {
    /// As people write it: `TLS 1.3`, `TLS 1.3 draft 28`; a number that nobody assigned in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0x0002 => f.write_str("SSL 2.0"),
            0x0300 => f.write_str("SSL 3.0"),
            0x0301..=0x0304 => write!(f, "TLS 1.{}", self.0 - 0x0301),
            // The drafts of RFC 8446: 0x7f and their number; Facebook numbered its own from 0xfb.
            0x7f01..=0x7f1c | 0xfb01..=0xfb1c => write!(f, "TLS 1.3 draft {}", self.0 & 0xff),
            0xfeff => f.write_str("DTLS 1.0"),
            0xfefc | 0xfefd => write!(f, "DTLS 1.{}", 0xfeff - self.0),
            // OpenSSL's first DTLS, before there was an RFC.
            0x0100 => f.write_str("DTLS 1.0 (OpenSSL)"),
            other => write!(f, "0x{other:04x}"),
        }
    }
}

/// Whether `value` is one that clients throw in so that servers learn to ignore what they do not know
/// (GREASE; RFC 8701, section 2).
pub(in crate::app) fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 15 == 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_people_do() {
        let shown = [0x0002, 0x0300, 0x0301, 0x0304, 0x7f1c, 0xfeff, 0xfefd, 0xfefc, 0x1234]
            .map(|v| Version(v).to_string());
        assert_eq!(
            shown,
            [
                "SSL 2.0",
                "SSL 3.0",
                "TLS 1.0",
                "TLS 1.3",
                "TLS 1.3 draft 28",
                "DTLS 1.0",
                "DTLS 1.2",
                "DTLS 1.3",
                "0x1234"
            ]
        );
    }

    #[test]
    fn sixteen_values_are_grease() {
        assert_eq!((0..=u16::MAX).filter(|v| is_grease(*v)).count(), 16);
        assert!(is_grease(0x0a0a) && is_grease(0xfafa) && !is_grease(0x0a1a));
    }
}
