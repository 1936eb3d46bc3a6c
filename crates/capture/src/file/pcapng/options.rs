//! Fields and options of blocks (draft-ietf-opsawg-pcapng, section 3.5).

use super::super::notes::{Notes, Subject};

const OPT_END: u16 = 0;
pub(super) const OPT_COMMENT: u16 = 1;
/// Custom options: text or bytes, to be copied by rewriters or not.
pub(super) const OPT_CUSTOM: [u16; 4] = [2988, 2989, 19372, 19373];

/// Bytes of which the next are taken, in one byte order.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) big_endian: bool,
}

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*taken)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        let big = self.big_endian;
        self.array().map(|b| if big { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
    }

    #[inline]
    pub(super) fn u32(&mut self) -> Option<u32> {
        let big = self.big_endian;
        self.array().map(|b| if big { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
    }

    /// The next option: code and value. `None` after the last.
    pub(super) fn option(&mut self) -> Result<Option<(u16, &'a [u8])>, &'static str> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let (Some(code), Some(length)) = (self.u16(), self.u16()) else {
            return Err("an option's header runs over the block's end");
        };
        let length = usize::from(length);
        let padded = self.take(length.next_multiple_of(4)).ok_or("an option runs over the block's end")?;
        Ok(if code == OPT_END { None } else { Some((code, padded.get(..length).unwrap_or_default())) })
    }
}

/// Keeps every option that `read` does not take for itself.
pub(super) fn keep_options(
    mut options: Fields<'_>,
    notes: &mut Notes,
    subject: Subject,
    mut read: impl FnMut(u16, &[u8]) -> bool,
) -> Result<(), &'static str> {
    while let Some((code, value)) = options.option()? {
        if !read(code, value) {
            keep(notes, subject, code, value, options.big_endian)?;
        }
    }
    Ok(())
}

pub(super) fn keep(
    notes: &mut Notes,
    subject: Subject,
    code: u16,
    value: &[u8],
    big_endian: bool,
) -> Result<(), &'static str> {
    if !OPT_CUSTOM.contains(&code) {
        notes.note(subject, code, None, value);
        return Ok(());
    }
    let mut fields = Fields { bytes: value, big_endian };
    let enterprise = fields.u32().ok_or("a custom option is too short for its enterprise number")?;
    notes.note(subject, code, Some(enterprise), fields.bytes);
    Ok(())
}
