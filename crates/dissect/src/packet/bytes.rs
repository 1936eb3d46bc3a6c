//! Checked reads shared by every dissector file.

use crate::Stop;

/// Splits a fixed header off `bytes`, or says which layer was cut short.
#[inline]
pub(super) fn header<'a, const N: usize>(
    layer: &'static str,
    bytes: &'a [u8],
) -> Result<(&'a [u8; N], &'a [u8]), Stop> {
    bytes.split_first_chunk::<N>().ok_or(Stop::Truncated { layer, need: N, have: bytes.len() })
}

/// What follows the first `len` bytes, or says which layer was cut short.
#[inline]
pub(super) fn after<'a>(layer: &'static str, bytes: &'a [u8], len: usize) -> Result<&'a [u8], Stop> {
    bytes.get(len..).ok_or(Stop::Truncated { layer, need: len, have: bytes.len() })
}

/// The byte at `at`; 0 beyond the end.
#[inline]
pub(super) fn u8_at(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// The big-endian 16 bits at `at`; 0 beyond the end.
#[inline]
pub(super) fn be16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_be_bytes(*b))
}

/// The big-endian 32 bits at `at`; 0 beyond the end.
#[inline]
pub(super) fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_be_bytes(*b))
}

/// The big-endian 128 bits at `at`; 0 beyond the end.
#[inline]
pub(super) fn be128(bytes: &[u8], at: usize) -> u128 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u128::from_be_bytes(*b))
}

/// The little-endian 16 bits at `at`; 0 beyond the end.
#[inline]
pub(super) fn le16(bytes: &[u8], at: usize) -> u16 {
    be16(bytes, at).swap_bytes()
}

/// The little-endian 32 bits at `at`; 0 beyond the end.
#[inline]
pub(super) fn le32(bytes: &[u8], at: usize) -> u32 {
    be32(bytes, at).swap_bytes()
}

/// Unwraps a read, or ends the dissector with its stop.
macro_rules! tri {
    ($read:expr) => {
        match $read {
            Ok(value) => value,
            Err(stop) => return $crate::packet::Step::Stop(stop),
        }
    };
}
pub(super) use tri;
