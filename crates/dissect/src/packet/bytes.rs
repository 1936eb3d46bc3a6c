//! Checked reads shared by every dissector file.

use super::Claim;
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

/// The EtherType of an IP packet that only its version tells apart; `None` for any other first nibble.
#[inline]
pub(super) fn ip_by_version(bytes: &[u8]) -> Option<Claim> {
    match u8_at(bytes, 0) >> 4 {
        4 => Some(Claim::EtherType(0x0800)),
        6 => Some(Claim::EtherType(0x86dd)),
        _ => None,
    }
}

/// Whether an IP packet of at most `len` bytes may begin here: for carriers that anything could be.
pub(super) fn plausibly_ip(bytes: &[u8], len: usize) -> bool {
    let first = u8_at(bytes, 0);
    match first >> 4 {
        4 => {
            let header_len = usize::from(first & 15) * 4;
            header_len >= 20
                && bytes.len() >= header_len
                && (header_len..=len).contains(&be16(bytes, 2).into())
        }
        6 => bytes.len() >= 40 && 40 + usize::from(be16(bytes, 4)) <= len,
        _ => false,
    }
}

/// Whether an IP packet of at most `len` bytes begins here, beyond doubt: for carriers whose own header
/// cannot be told from chance.
pub(super) fn surely_ip(bytes: &[u8], len: usize) -> bool {
    let header = bytes.get(..usize::from(u8_at(bytes, 0) & 15) * 4).unwrap_or_default();
    plausibly_ip(bytes, len) && (u8_at(bytes, 0) >> 4 == 6 || checksum(header) == 0)
}

/// Whether this is an Ethernet frame of at most `len` bytes, with at most one VLAN tag, that surely carries IP.
pub(super) fn surely_ethernet(frame: &[u8], len: usize) -> bool {
    let at = if matches!(be16(frame, 12), 0x8100 | 0x88a8) { 18 } else { 14 };
    let Some(packet) = frame.get(at..) else { return false };
    matches!(be16(frame, at - 2), 0x0800 | 0x86dd) && surely_ip(packet, len.saturating_sub(at))
}

/// Internet checksum (RFC 1071) of an even number of bytes; 0 over a header that carries its own.
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks_exact(2).map(|pair| u32::from(be16(pair, 0))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}
