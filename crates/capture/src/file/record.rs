//! The header that stands before each packet of a pcap file (draft-ietf-opsawg-pcap, section 5).

use dissect::Timestamp;

/// Its bytes, in the usual form; some variants have more behind them.
pub(crate) const HEADER: usize = 16;

/// What it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) seconds: u32,
    pub(crate) fraction: u32,
    pub(crate) captured: u32,
    pub(crate) wire: u32,
}

impl Header {
    #[inline(always)]
    pub(crate) fn little(bytes: &[u8; HEADER]) -> Self {
        Self::of(bytes, u32::from_le_bytes)
    }

    #[inline(always)]
    pub(crate) fn big(bytes: &[u8; HEADER]) -> Self {
        Self::of(bytes, u32::from_be_bytes)
    }

    #[inline(always)]
    fn of(bytes: &[u8; HEADER], word: impl Fn([u8; 4]) -> u32) -> Self {
        let [s0, s1, s2, s3, f0, f1, f2, f3, c0, c1, c2, c3, w0, w1, w2, w3] = *bytes;
        Header {
            seconds: word([s0, s1, s2, s3]),
            fraction: word([f0, f1, f2, f3]),
            captured: word([c0, c1, c2, c3]),
            wire: word([w0, w1, w2, w3]),
        }
    }

    /// A fraction above a second carries; in 32 bits, as Wireshark has it.
    #[inline(always)]
    pub(crate) fn timestamp(&self, unit: u32) -> Timestamp {
        let nanos = self.fraction.wrapping_mul(unit);
        Timestamp(i64::from(self.seconds) * 1_000_000_000 + i64::from(nanos))
    }
}
