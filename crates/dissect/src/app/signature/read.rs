//! Checked reads of first bytes.

use super::Tells;

/// Bytes, read without a panic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn len(self) -> usize {
        self.0.len()
    }

    pub(super) fn u8(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }

    pub(super) fn be16(self, at: usize) -> Option<usize> {
        self.array(at).map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    pub(super) fn be24(self, at: usize) -> Option<usize> {
        self.array(at).map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]) as usize)
    }

    pub(super) fn be32(self, at: usize) -> Option<usize> {
        self.array(at).map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    pub(super) fn le16(self, at: usize) -> Option<usize> {
        self.array(at).map(|bytes| usize::from(u16::from_le_bytes(bytes)))
    }

    pub(super) fn le32(self, at: usize) -> Option<usize> {
        self.array(at).map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    /// `what` stands at `at`.
    pub(super) fn has(self, at: usize, what: &[u8]) -> bool {
        self.0.get(at..).is_some_and(|bytes| bytes.starts_with(what))
    }

    /// Whether `what` is the beginning; more is wanted where only a part of it is there.
    pub(super) fn begin(self, what: &[u8]) -> Tells {
        if self.0.starts_with(what) {
            Tells::Yes
        } else if what.starts_with(self.0) {
            Tells::More
        } else {
            Tells::No
        }
    }

    /// The same of any of several.
    pub(super) fn begin_any(self, several: &[&[u8]]) -> Tells {
        let mut tells = Tells::No;
        for what in several {
            match self.begin(what) {
                Tells::Yes => return Tells::Yes,
                Tells::More => tells = Tells::More,
                Tells::No => {}
            }
        }
        tells
    }

    /// The first line without its end, if it is text and whole.
    pub(super) fn line(self) -> Option<&'a str> {
        let end = memchr::memchr(b'\n', self.0.get(..1024).unwrap_or(self.0))?;
        let line = self.0.get(..end)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        str::from_utf8(line).ok().filter(|line| !line.contains(|c: char| c.is_control() && c != '\t'))
    }

    /// `what` stands somewhere in the first `within` bytes, in whatever case.
    pub(super) fn contains(self, what: &[u8], within: usize) -> bool {
        let bytes = self.0.get(..within).unwrap_or(self.0);
        bytes.windows(what.len()).any(|window| window.eq_ignore_ascii_case(what))
    }

    /// A BER or DER element at `at` (X.690, section 8.1): its tag, where its content begins, and its length.
    pub(super) fn ber(self, at: usize) -> Option<(u8, usize, usize)> {
        let tag = self.u8(at)?;
        match self.u8(at + 1)? {
            len @ 0..=0x7f => Some((tag, at + 2, usize::from(len))),
            0x81 => Some((tag, at + 3, usize::from(self.u8(at + 2)?))),
            0x82 => Some((tag, at + 4, self.be16(at + 2)?)),
            0x83 => Some((tag, at + 5, self.be24(at + 2)?)),
            0x84 => Some((tag, at + 6, self.be32(at + 2)?)),
            _ => None,
        }
    }
}
