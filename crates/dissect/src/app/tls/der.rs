//! Distinguished encoding (X.690): just enough to walk through a certificate, of any bytes.

use super::super::cursor::Cursor;

/// Tags of what a certificate is made of.
pub(super) mod tag {
    pub(in super::super) const INTEGER: u8 = 0x02;
    pub(in super::super) const OCTETS: u8 = 0x04;
    pub(in super::super) const OBJECT: u8 = 0x06;
    pub(in super::super) const SEQUENCE: u8 = 0x30;
    /// `[0]`, constructed.
    pub(in super::super) const CONTEXT_0: u8 = 0xa0;
    /// `[2]`, primitive.
    pub(in super::super) const CONTEXT_2: u8 = 0x82;
    /// `[3]`, constructed.
    pub(in super::super) const CONTEXT_3: u8 = 0xa3;
}

/// One value: its tag, and its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// Whether all of `content` is there.
    pub(super) whole: bool,
}

/// Values one after the other.
#[derive(Clone, Debug)]
pub(super) struct Values<'a>(Cursor<'a>);

impl<'a> Values<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Values(Cursor::new(bytes))
    }

    /// What is inside the next value, if it has this tag; another one is left where it is.
    pub(super) fn enter(&mut self, tag: u8) -> Option<Values<'a>> {
        let mut ahead = self.clone();
        let value = ahead.next().filter(|value| value.tag == tag)?;
        *self = ahead;
        Some(Values::of(value.content))
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    /// Takes a value of which at least tag and length are there. Tags beyond 30 and open lengths end the walk:
    /// certificates have neither.
    fn next(&mut self) -> Option<Value<'a>> {
        let mut ahead = self.0;
        let tag = ahead.u8().filter(|tag| tag & 0x1f != 0x1f)?;
        let len = match ahead.u8()? {
            short @ ..=0x7f => short.into(),
            0x81 => ahead.u8()?.into(),
            0x82 => ahead.u16()?.into(),
            0x83 => ahead.u24()? as usize,
            _ => return None,
        };
        let content = ahead.take_up_to(len);
        self.0 = ahead;
        Some(Value { tag, content, whole: content.len() == len })
    }
}
