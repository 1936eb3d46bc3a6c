//! What a reader of a direction's first bytes answers, and the text that it takes from them.

use std::sync::Arc;

/// Longest name that is taken from a packet, in bytes: as long as a domain name (RFC 1035, section 2.3.4).
const LONGEST_TEXT: usize = 255;

/// What the first bytes of one direction are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told<T> {
    /// Another protocol's.
    NotMine,
    /// Perhaps this one's: too few bytes to tell.
    NeedMore,
    /// This one's, and this much is known; bytes that follow may say more.
    Partly(T),
    /// This one's, and nothing more is to be known.
    Is(T),
}

impl<T> Told<T> {
    /// What is known.
    pub fn found(self) -> Option<T> {
        match self {
            Told::NotMine | Told::NeedMore => None,
            Told::Partly(found) | Told::Is(found) => Some(found),
        }
    }

    /// The same of something else.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Told<U> {
        match self {
            Told::NotMine => Told::NotMine,
            Told::NeedMore => Told::NeedMore,
            Told::Partly(found) => Told::Partly(f(found)),
            Told::Is(found) => Told::Is(f(found)),
        }
    }
}

/// A name as a packet has it: UTF-8 without controls, not empty and not longer than a domain name; else `None`.
pub(super) fn name(bytes: &[u8]) -> Option<Arc<str>> {
    let text = str::from_utf8(bytes).ok()?;
    let fits = (1..=LONGEST_TEXT).contains(&text.len());
    (fits && !text.chars().any(char::is_control)).then(|| text.into())
}

/// Text that may be anything: what is not printable ASCII is escaped as in a Rust literal.
pub(super) fn shown(bytes: &[u8]) -> Arc<str> {
    let is_plain = |&byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'\\' | b'\'' | b'"');
    if bytes.iter().all(is_plain)
        && let Ok(text) = str::from_utf8(bytes)
    {
        return text.into();
    }
    bytes.escape_ascii().to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text() {
        assert_eq!(name(b"server4:443").as_deref(), Some("server4:443"));
        assert_eq!(name("bücher.example".as_bytes()).as_deref(), Some("bücher.example"));
        for odd in [&b""[..], b"a\nb", b"a\0", b"\xff.example", &[b'a'; 256]] {
            assert_eq!(name(odd), None, "{odd:?}");
        }
    }
}
