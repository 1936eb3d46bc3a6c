//! Frames of first packets (RFC 9000, section 19): the handshake's bytes among them.

use super::super::cursor::Cursor;

mod kind {
    pub(super) const PADDING: u64 = 0;
    pub(super) const PING: u64 = 1;
    pub(super) const ACK: u64 = 2;
    /// An acknowledgement with counts of congestion marks.
    pub(super) const ACK_ECN: u64 = 3;
    pub(super) const CRYPTO: u64 = 6;
}

/// Pieces of the handshake in a payload: where each stands, and its bytes. Another frame than a first packet may have
/// ends them.
pub(super) struct Crypto<'a>(Cursor<'a>);

impl<'a> Crypto<'a> {
    pub(super) fn of(payload: &'a [u8]) -> Self {
        Crypto(Cursor::new(payload))
    }
}

impl<'a> Iterator for Crypto<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.0.varint()? {
                // A first packet is mostly padding.
                kind::PADDING => {
                    let rest = self.0.rest();
                    self.0.take_up_to(rest.iter().take_while(|byte| **byte == 0).count());
                }
                kind::PING => {}
                kind::ACK => acknowledgement(&mut self.0, 0)?,
                kind::ACK_ECN => acknowledgement(&mut self.0, 3)?,
                kind::CRYPTO => {
                    let offset = usize::try_from(self.0.varint()?).ok()?;
                    let len = usize::try_from(self.0.varint()?).ok()?;
                    return Some((offset, self.0.take(len)?));
                }
                _ => return None,
            }
        }
    }
}

/// Passes over an acknowledgement with `counts` numbers at its end.
fn acknowledgement(cursor: &mut Cursor<'_>, counts: u64) -> Option<()> {
    let (_largest, _delay) = (cursor.varint()?, cursor.varint()?);
    let ranges = cursor.varint()?;
    // The first range, then a gap and a range each. The cursor's end bounds them, whatever they are said to be.
    for _ in 0..ranges.saturating_mul(2).saturating_add(1 + counts) {
        cursor.varint()?;
    }
    Some(())
}
