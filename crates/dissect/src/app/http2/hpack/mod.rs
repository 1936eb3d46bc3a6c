//! Header compression of HTTP/2 (RFC 7541): decoding.
//!
//! Written anew: of the crates that there are, the one that is kept panics on a size that is cut off, and builds a table of
//! the Huffman code for every string. It serves as the tests' encoder.

mod fixed;
mod huffman;

use std::borrow::Cow;
use std::collections::VecDeque;

use self::fixed::FIXED;

/// Size of the dynamic table until its owner changes it (RFC 9113, section 6.5.2).
const SIZE: usize = 4096;
/// The largest size that is followed.
const MAX_SIZE: usize = 16 * 1024;
/// Bytes of names that may be copied within the table: two bytes of a block have a name copied that is as long as the table
/// is large. Names are short, and what is read of a connection is too.
const MAX_COPIED: usize = 64 * 1024;
/// What an entry counts beyond its bytes (RFC 7541, section 4.1).
const OVERHEAD: usize = 32;

type Entry = (Vec<u8>, Vec<u8>);
/// Name and value of a field, and what follows it.
type Literal<'s, 'b> = (Cow<'s, [u8]>, Cow<'s, [u8]>, &'b [u8]);

/// What a decoder keeps from block to block.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The latest entry first.
    entries: VecDeque<Entry>,
    size: usize,
    max_size: usize,
    /// Bytes of names that were copied within the table.
    copied: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder { entries: VecDeque::new(), size: 0, max_size: SIZE, copied: 0 }
    }
}

impl Decoder {
    /// Reads a header block and gives each field to `each`. `None` where a block breaks the rules: what follows cannot be
    /// read either.
    pub(super) fn decode(&mut self, mut block: &[u8], mut each: impl FnMut(&[u8], &[u8])) -> Option<()> {
        while let Some(&first) = block.first() {
            block = match first {
                // Section 6.1: an indexed field.
                0x80.. => {
                    let (index, rest) = integer(block, 7)?;
                    let (name, value) = self.get(index)?;
                    each(name, value);
                    rest
                }
                // Section 6.2.1: with incremental indexing.
                0x40.. => {
                    let (name, value, rest) = self.literal(block, 6)?;
                    each(&name, &value);
                    let copied = if first == 0x40 { 0 } else { name.len() };
                    let entry = (name.into_owned(), value.into_owned());
                    self.copied = self.copied.checked_add(copied).filter(|&copied| copied <= MAX_COPIED)?;
                    self.add(entry);
                    rest
                }
                // Section 6.3: a new size.
                0x20.. => {
                    let (size, rest) = integer(block, 5)?;
                    self.max_size = Some(size).filter(|&size| size <= MAX_SIZE)?;
                    self.evict();
                    rest
                }
                // Sections 6.2.2 and 6.2.3: without indexing, and never indexed.
                _ => {
                    let (name, value, rest) = self.literal(block, 4)?;
                    each(&name, &value);
                    rest
                }
            };
        }
        Some(())
    }

    fn literal<'s, 'b: 's>(&'s self, block: &'b [u8], prefix: u32) -> Option<Literal<'s, 'b>> {
        let (index, rest) = integer(block, prefix)?;
        let (name, rest) = if index == 0 { string(rest)? } else { (Cow::Borrowed(self.get(index)?.0), rest) };
        let (value, rest) = string(rest)?;
        Some((name, value, rest))
    }

    fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let index = index.checked_sub(1)?;
        if let Some(&field) = FIXED.get(index) {
            return Some(field);
        }
        let (name, value) = self.entries.get(index - FIXED.len())?;
        Some((name, value))
    }

    fn add(&mut self, entry: Entry) {
        self.size += size(&entry);
        self.entries.push_front(entry);
        self.evict();
    }

    fn evict(&mut self) {
        while self.size > self.max_size
            && let Some(oldest) = self.entries.pop_back()
        {
            self.size -= size(&oldest);
        }
    }
}

fn size((name, value): &Entry) -> usize {
    name.len() + value.len() + OVERHEAD
}

/// An integer in the last `prefix` bits of the first byte, and in what follows (section 5.1).
fn integer(bytes: &[u8], prefix: u32) -> Option<(usize, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let most = (1 << prefix) - 1;
    let mut value = usize::from(first) & most;
    if value < most {
        return Some((value, rest));
    }
    // Four bytes more hold whatever makes sense here.
    for shift in [0, 7, 14, 21] {
        let (&byte, next) = rest.split_first()?;
        value += usize::from(byte & 0x7f) << shift;
        rest = next;
        if byte & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}

/// A string, of bytes or of Huffman codes (section 5.2).
fn string(bytes: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let is_coded = bytes.first()? & 0x80 != 0;
    let (len, rest) = integer(bytes, 7)?;
    let (text, rest) = rest.split_at_checked(len)?;
    let text = if is_coded { Cow::Owned(huffman::decode(text)?) } else { Cow::Borrowed(text) };
    Some((text, rest))
}

#[cfg(test)]
mod tests;
