//! Text for terminals: harmless, and as wide as its place.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for the part that was cut out.
const ELLIPSIS: &str = "…";

/// `text` with everything escaped that a terminal would act on, or that would not be seen.
///
/// Names come from packets: whoever sent them chose their bytes.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if !is_hidden(c) {
            shown.push(c);
        } else if u32::from(c) <= 0xff {
            let _ = write!(shown, "\\x{:02x}", u32::from(c));
        } else {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        }
    }
    Cow::Owned(shown)
}

/// Controls; characters that turn the writing direction round (UAX #9, section 2); separators of lines; invisible
/// characters that stand alone: fillers, joiners, variation selectors, tags.
pub(crate) fn is_hidden(c: char) -> bool {
    !matches!(c, ' '..='~')
        && (c.is_control()
            || matches!(
                c,
                '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}'
            )
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(c, '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}')
            || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'))
}

/// Columns that `text` takes.
pub(super) fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

/// `text`, and spaces up to `columns`.
pub(super) fn left(text: &str, columns: usize) -> String {
    format!("{text}{:1$}", "", columns.saturating_sub(width(text)))
}

/// Spaces, and `text` up to `columns`.
pub(super) fn right(text: &str, columns: usize) -> String {
    format!("{:1$}{text}", "", columns.saturating_sub(width(text)))
}

/// At most `columns` of the beginning.
pub(super) fn cut_end(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}{ELLIPSIS}", head(text, columns.saturating_sub(1))))
}

/// At most `columns` of the end: the part of a name that says whose it is.
pub(super) fn cut_start(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{ELLIPSIS}{}", tail(text, columns.saturating_sub(1))))
}

/// At most `columns`, of both ends.
pub(super) fn cut_middle(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let kept = columns.saturating_sub(1);
    Cow::Owned(format!("{}{ELLIPSIS}{}", head(text, kept.div_ceil(2)), tail(text, kept / 2)))
}

fn head(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > columns
    });
    &text[..end.map_or(text.len(), |(at, _)| at)]
}

fn tail(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let start = text.char_indices().rev().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > columns
    });
    &text[start.map_or(0, |(at, c)| at + c.len_utf8())..]
}

/// A space at which no line is broken.
pub(super) const NO_BREAK: char = '\u{a0}';

/// Lines of at most `columns`, broken at spaces; all but the first begin with `indent` spaces.
pub(super) fn wrap(text: &str, columns: usize, indent: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split(' ') {
        let word = cut_middle(word, columns.saturating_sub(indent));
        if line.is_empty() {
            line.push_str(&word);
        } else if width(&line) + 1 + width(&word) <= columns {
            line.push(' ');
            line.push_str(&word);
        } else {
            lines.push(line);
            line = format!("{:indent$}{word}", "");
        }
    }
    lines.push(line);
    lines.into_iter().map(|line| line.replace(NO_BREAK, " ")).collect()
}

/// `1 flow`, `2 flows`.
pub(crate) fn count(n: u64, one: &str, more: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_do_not_pass() {
        assert_eq!(visible("plain-näme.例え"), "plain-näme.例え");
        assert_eq!(visible("a\u{1b}[31mb\u{7f}\u{9b}"), "a\\x1b[31mb\\x7f\\x9b");
        assert_eq!(visible("a\u{202e}b\u{2066}\u{200d}\u{e0041}"), "a\\u{202e}b\\u{2066}\\u{200d}\\u{e0041}");
        assert_eq!(visible("e\u{301}\n\t"), "e\u{301}\\x0a\\x09");
    }

    #[test]
    fn cuts_fit() {
        assert_eq!(cut_start("very.long.example", 8), "…example");
        assert_eq!(cut_end("very.long.example", 8), "very.lo…");
        assert_eq!(cut_middle("2001:db8::1:2:3", 9), "2001…:2:3");
        assert_eq!(cut_middle("例例例例", 6), "例…例");
        for columns in 0..20 {
            for cut in [cut_start, cut_end, cut_middle] {
                assert!(width(&cut("例え.very.long.例え", columns)) <= columns.max(1));
            }
        }
    }

    #[test]
    fn wraps_at_spaces() {
        assert_eq!(wrap("aa bb cc dd", 5, 2), ["aa bb", "  cc", "  dd"]);
        assert_eq!(wrap("aa bb\u{a0}c dd", 6, 2), ["aa", "  bb c", "  dd"]);
        assert_eq!(wrap("aaaaaaaaaa b", 5, 2), ["a…a b"].map(String::from));
    }
}
