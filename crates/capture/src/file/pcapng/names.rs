//! Names of addresses (draft-ietf-opsawg-pcapng, section 4.5).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::notes::Subject;
use super::options::{Fields, keep_options};
use super::{Finds, Parsed, Pcapng, block};

impl Pcapng {
    /// Name Resolution Block (section 4.5): addresses, each with one or more names.
    pub(super) fn names(&self, mut body: Fields<'_>, finds: &mut Finds<'_>) -> Parsed<()> {
        while !body.bytes.is_empty() {
            let (Some(kind), Some(length)) = (body.u16(), body.u16()) else {
                return Err(block("a name record's header runs over the block's end"));
            };
            let length = usize::from(length);
            let padded = body
                .take(length.next_multiple_of(4))
                .ok_or_else(|| block("a name record runs over the block's end"))?;
            let mut value = Fields { bytes: padded.get(..length).unwrap_or_default(), big_endian: false };
            let addr = match kind {
                0 => break,
                1 => value.array().map(|a: [u8; 4]| Ipv4Addr::from(a).into()),
                2 => value.array().map(|a: [u8; 16]| Ipv6Addr::from(a).into()),
                _ => continue,
            };
            let addr = addr.ok_or_else(|| block("a name record is too short for its address"))?;
            let Some((names, 0)) = value.bytes.split_last().map(|(last, names)| (names, *last)) else {
                if value.bytes.is_empty() {
                    continue;
                }
                return Err(block("a name has no end"));
            };
            for name in names.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
                finds.notes.name(addr, name);
            }
        }
        keep_options(body, finds.notes, Subject::Names(self.sections.saturating_sub(1)), |_, _| false)
            .map_err(block)
    }
}
