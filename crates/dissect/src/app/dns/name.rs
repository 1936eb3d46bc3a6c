//! Names in presentation form.

use std::fmt::Write;
use std::sync::Arc;

/// Longest name in presentation form, in bytes: 255 on the wire (RFC 1035, section 2.3.4).
pub(super) const LONGEST_NAME: usize = 253;

/// Puts `label` behind the `len` bytes of `text` and gives the new length; `None` where it does not fit.
#[inline]
pub(super) fn append(text: &mut [u8; LONGEST_NAME], len: usize, label: &[u8]) -> Option<usize> {
    let mut room = text.get_mut(len..)?;
    if len > 0 {
        let (dot, rest) = room.split_first_mut()?;
        *dot = b'.';
        room = rest;
    }
    room.get_mut(..label.len())?.copy_from_slice(label);
    Some(len + usize::from(len > 0) + label.len())
}

/// A name's text as [`Question::name`] says.
pub(super) fn shown(text: &[u8]) -> Arc<str> {
    // Without an early end the check runs many bytes at once.
    if text.iter().fold(true, |plain, b| plain & matches!(b, b' '..=b'~'))
        && let Ok(plain) = str::from_utf8(text)
    {
        return plain.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            // Writing to a string cannot fail.
            let _ = match c {
                '\x07' => shown.write_str("\\a"),
                '\x08' => shown.write_str("\\b"),
                '\t' => shown.write_str("\\t"),
                '\n' => shown.write_str("\\n"),
                '\x0b' => shown.write_str("\\v"),
                '\x0c' => shown.write_str("\\f"),
                '\r' => shown.write_str("\\r"),
                '\0'..='\x1f' | '\x7f' => write!(shown, "\\{:03o}", c as u32),
                _ if !shows_nothing(c) => shown.write_char(c),
                '\0'..='\u{ffff}' => write!(shown, "\\u{:04X}", c as u32),
                _ => write!(shown, "\\U{:08X}", c as u32),
            };
        }
        if !chunk.invalid().is_empty() {
            shown.push(char::REPLACEMENT_CHARACTER);
        }
    }
    shown.into()
}

/// Control, format and no characters (Unicode categories Cc, Cf and the noncharacters of the first
/// plane), some of which would reorder a terminal's line.
fn shows_nothing(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}
