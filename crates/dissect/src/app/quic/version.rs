//! Versions of QUIC, and what their first packets are protected with.

use std::fmt;

/// A version of QUIC, as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub u32);

/// What the secrets of first packets are extracted with, so that only who knows the version reads them.
pub(super) type Salt = [u8; 20];

/// How the first packets of a version are laid out and protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scheme {
    pub(super) salt: &'static Salt,
    /// Version 2 numbers packet types otherwise and has its own labels (RFC 9369, section 3).
    pub(super) second: bool,
}

/// Drafts 21 and 22 (draft-ietf-quic-tls-22, section 5.2).
const DRAFT_22: &Salt = b"\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a";
/// Drafts 23 to 28 (draft-ietf-quic-tls-23, section 5.2).
const DRAFT_23: &Salt = b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02";
/// Drafts 29 to 32 (draft-ietf-quic-tls-29, section 5.2).
const DRAFT_29: &Salt = b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99";
/// Version 1, and drafts 33 and 34 (RFC 9001, section 5.2).
const ONE: &Salt = b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a";
/// Version 2 (RFC 9369, section 3.3.1).
const TWO: &Salt = b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9";
/// The drafts of version 2 (draft-ietf-quic-v2-01, section 3.3.1).
const TWO_DRAFT: &Salt = b"\xa7\x07\xc2\x03\xa5\x9b\x47\x18\x4a\x1d\x62\xca\x57\x04\x06\xea\x7a\xe3\xe5\xd3";
/// Google's own versions.
const Q050: &Salt = b"\x50\x45\x74\xef\xd0\x66\xfe\x2f\x9d\x94\x5c\xfc\xdb\xd3\xa7\xf0\xd3\xb5\x6b\x45";
const T050: &Salt = b"\x7f\xf5\x79\xe5\xac\xd0\x72\x91\x55\x80\x30\x4c\x43\xa2\x36\x7c\x60\x48\x83\x10";
const T051: &Salt = b"\x7a\x4e\xde\xf4\xe7\xcc\xee\x5f\xa4\x50\x6c\x19\x12\x4f\xc8\xcc\xda\x6e\x03\x3d";

const fn first(salt: &'static Salt) -> Scheme {
    Scheme { salt, second: false }
}

impl Version {
    /// Version 1 (RFC 9000).
    pub const ONE: Version = Version(1);
    /// Version 2 (RFC 9369).
    pub const TWO: Version = Version(0x6b33_43cf);
    const TWO_DRAFT: Version = Version(0x709a_50c4);
    const Q046: Version = Version(u32::from_be_bytes(*b"Q046"));
    const Q050: Version = Version(u32::from_be_bytes(*b"Q050"));
    const T050: Version = Version(u32::from_be_bytes(*b"T050"));
    const T051: Version = Version(u32::from_be_bytes(*b"T051"));

    /// The number of an IETF draft before version 1.
    fn draft(self) -> Option<u8> {
        let [0xff, 0, 0, draft] = self.0.to_be_bytes() else { return None };
        Some(draft)
    }

    /// Facebook's own versions, each of which follows some draft.
    fn is_mvfst(self) -> bool {
        self.0 >> 8 == 0x00fa_ceb0
    }

    /// What its first packets may be protected with; nothing if they are not, or if it is not known.
    pub(super) fn schemes(self) -> &'static [Scheme] {
        match (self, self.draft()) {
            (Self::ONE, _) | (_, Some(33..=34)) => const { &[first(ONE)] },
            (Self::TWO, _) => const { &[Scheme { salt: TWO, second: true }] },
            (Self::TWO_DRAFT, _) => const { &[Scheme { salt: TWO_DRAFT, second: true }] },
            (_, Some(29..=32)) => const { &[first(DRAFT_29)] },
            (_, Some(23..=28)) => const { &[first(DRAFT_23)] },
            (_, Some(21..=22)) => const { &[first(DRAFT_22)] },
            (Self::Q050, _) => const { &[first(Q050)] },
            (Self::T050, _) => const { &[first(T050)] },
            (Self::T051, _) => const { &[first(T051)] },
            _ if self.is_mvfst() => {
                const { &[first(DRAFT_23), first(DRAFT_29), first(ONE), first(DRAFT_22)] }
            }
            // Reserved to exercise negotiation (RFC 9000, section 15): protected as one of those that are in use.
            _ if self.is_reserved() => const { &[first(ONE), first(DRAFT_29)] },
            _ => &[],
        }
    }

    /// No version, ever.
    fn is_reserved(self) -> bool {
        self.0 & 0x0f0f_0f0f == 0x0a0a_0a0a
    }

    /// Google's QUIC, before TLS.
    pub(super) fn is_google(self) -> bool {
        matches!(self.0.to_be_bytes(), [b'Q', b'0', b'0'..=b'9', b'0'..=b'9'])
    }

    /// Frames are numbered as Google did: before its QUIC took on TLS, and in the first versions that did.
    pub(super) fn has_google_frames(self) -> bool {
        self.is_google() || self == Self::T050 || self == Self::T051
    }

    /// Packets begin as in version 1 (RFC 8999, section 5.1), and each says how long it is.
    pub(super) fn has_long_headers(self) -> bool {
        self.draft().is_some() || !self.schemes().is_empty()
    }

    /// Packets begin with Google's long header, which was in use once.
    pub(super) fn has_google_long_headers(self) -> bool {
        self == Self::Q046
    }

    /// Whether it is one of those that are known to be spoken.
    pub(super) fn is_known(self) -> bool {
        self.has_long_headers() || self.is_google()
    }
}

impl fmt::Display for Version {
    /// As people write it: `1`, `draft-29`, `Q046`; a number that nobody assigned in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, self.draft()) {
            (Self::ONE, _) => f.write_str("1"),
            (Self::TWO, _) => f.write_str("2"),
            (Self::TWO_DRAFT, _) => f.write_str("2 draft"),
            (_, Some(draft)) => write!(f, "draft-{draft}"),
            (Self::T050, _) => f.write_str("T050"),
            (Self::T051, _) => f.write_str("T051"),
            _ if self.is_google() => {
                self.0.to_be_bytes().iter().try_for_each(|b| write!(f, "{}", char::from(*b)))
            }
            _ if self.is_mvfst() => write!(f, "mvfst {:02x}", self.0 & 0xff),
            _ => write!(f, "0x{:08x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_people_do() {
        let shown = [1, 0x6b33_43cf, 0xff00_001d, 0x5130_3436, 0x5430_3531, 0xface_b002, 0xbaba_baba]
            .map(|v| Version(v).to_string());
        assert_eq!(shown, ["1", "2", "draft-29", "Q046", "T051", "mvfst 02", "0xbabababa"]);
    }

    #[test]
    fn other_words_are_no_version() {
        for word in [*b"HTTP", *b"Q0x6", *b"\0\0\0\0", *b"\xff\xff\xff\xff"] {
            assert!(!Version(u32::from_be_bytes(word)).is_known(), "{word:?}");
        }
    }
}
