//! Records (RFC 8446, section 5.1; RFC 5246, section 6.2.1): what carries handshake messages over a stream.

use std::borrow::Cow;

use super::super::cursor::Cursor;

/// Content types (IANA).
pub(super) mod content {
    pub(in crate::app) const CHANGE_CIPHER_SPEC: u8 = 20;
    pub(in crate::app) const HANDSHAKE: u8 = 22;
    /// Heartbeat (RFC 6520): the last one that runs over a stream.
    pub(in crate::app) const HEARTBEAT: u8 = 24;
}

/// Type, version and length.
pub(super) const HEADER: usize = 5;
/// Longest fragment that any version allows, in bytes: 2^14 of text and 2,048 that protect it.
const LONGEST: u16 = (1 << 14) + 2048;
/// Records whose fragments are put together: more than a hello is ever cut into, unless to waste time.
const MOST: usize = 1024;

/// The header of one record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) content: u8,
    len: u16,
}

impl Header {
    /// The header in front; `None` where there is none, or not all of it.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let [content, major, minor] = cursor.array()?;
        let len = cursor.u16()?;
        (begins(&[content, major, minor]) && len <= LONGEST).then_some(Header { content, len })
    }

    /// Bytes behind the header.
    pub(super) fn len(self) -> usize {
        self.len.into()
    }
}

/// Whether `bytes`, of which there are any, may begin a record.
#[inline]
pub(super) fn begins(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [content::CHANGE_CIPHER_SPEC..=content::HEARTBEAT]
            | [content::CHANGE_CIPHER_SPEC..=content::HEARTBEAT, 3]
    ) || matches!(bytes, [content::CHANGE_CIPHER_SPEC..=content::HEARTBEAT, 3, 0..=4, ..])
}

/// What the records in front carry of the handshake.
#[derive(Debug)]
pub(super) struct Run<'a> {
    /// Handshake messages, one after the other; the last may be cut.
    pub(super) messages: Cow<'a, [u8]>,
    /// What follows.
    pub(super) end: End<'a>,
}

/// What ends a run of handshake records.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End<'a> {
    /// The bytes are at their end.
    Cut,
    /// A change of cipher, and the records behind it.
    Change(&'a [u8]),
    /// Another kind of record, or something else.
    Other,
}

/// The handshake messages in front of `bytes`: no byte is copied unless they are cut into records.
pub(super) fn run(bytes: &[u8]) -> Run<'_> {
    let mut messages = Cow::Borrowed(&[][..]);
    let mut cursor = Cursor::new(bytes);
    for _ in 0..MOST {
        let Some(header) = Header::of(cursor.rest()) else {
            let cut = cursor.rest().len() < HEADER && (cursor.is_empty() || begins(cursor.rest()));
            return Run { messages, end: if cut { End::Cut } else { End::Other } };
        };
        if header.content != content::HANDSHAKE {
            let behind = cursor.rest().get(HEADER + usize::from(header.len)..).unwrap_or_default();
            let change = header.content == content::CHANGE_CIPHER_SPEC;
            return Run { messages, end: if change { End::Change(behind) } else { End::Other } };
        }
        cursor.take_up_to(HEADER);
        let fragment = cursor.take_up_to(header.len.into());
        match &mut messages {
            Cow::Borrowed([]) => messages = Cow::Borrowed(fragment),
            joined => joined.to_mut().extend_from_slice(fragment),
        }
        if fragment.len() < header.len.into() {
            return Run { messages, end: End::Cut };
        }
    }
    Run { messages, end: End::Other }
}

/// One handshake message (RFC 8446, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) struct Message<'a> {
    /// Its type (IANA number).
    pub(in crate::app) kind: u8,
    /// Its bytes, behind type and length.
    pub(in crate::app) body: &'a [u8],
    /// Whether all of them are there.
    pub(in crate::app) whole: bool,
}

impl<'a> Message<'a> {
    /// Takes the message in front of `cursor`; `None` where not even its length is there.
    pub(in crate::app) fn next(cursor: &mut Cursor<'a>) -> Option<Self> {
        let mut ahead = *cursor;
        let kind = ahead.u8()?;
        let len = ahead.u24()? as usize;
        let body = ahead.take_up_to(len);
        *cursor = ahead;
        Some(Message { kind, body, whole: body.len() == len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_put_together_from_records() {
        let bytes = [22, 3, 1, 0, 2, b'a', b'b', 22, 3, 3, 0, 1, b'c', 20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 9];
        let whole = run(&bytes);
        assert_eq!((&*whole.messages, whole.end), (&b"abc"[..], End::Change(&bytes[19..])));
        let cut = run(&bytes[..6]);
        assert_eq!((&*cut.messages, cut.end), (&b"a"[..], End::Cut));
        assert!(matches!(cut.messages, Cow::Borrowed(_)));
        assert_eq!(run(&bytes[..9]).end, End::Cut);
        assert_eq!(run(&bytes[19..]).end, End::Other);
        assert_eq!(run(b"\x16\x03\x01\x00\x01aGET ").end, End::Other);
    }

    #[test]
    fn a_message_may_be_cut() {
        let mut cursor = Cursor::new(&[1, 0, 0, 2, 7, 8, 2, 0, 0, 2, 9]);
        assert_eq!(Message::next(&mut cursor), Some(Message { kind: 1, body: &[7, 8], whole: true }));
        assert_eq!(Message::next(&mut cursor), Some(Message { kind: 2, body: &[9], whole: false }));
        assert_eq!(Message::next(&mut cursor), None);
    }
}
