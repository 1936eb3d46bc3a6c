//! What a capture file says beside its packets: names, comments, options.

use std::borrow::Cow;
use std::net::IpAddr;

/// Bytes of notes that are kept; a file can carry a comment on every packet.
const NOTE_BYTES: usize = 1 << 20;
/// Bytes of names that are kept until they are taken.
const NAME_BYTES: usize = 8 << 20;

/// A name that a pcapng file gives to an address (Name Resolution Block).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The address.
    pub addr: IpAddr,
    /// Its name.
    pub name: String,
}

/// Addresses of interfaces that are kept until they are taken.
const MOST_OWN: usize = 1 << 16;

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A section, numbered from 0.
    Section(u32),
    /// An interface, by its index in [`crate::Batch::interfaces`].
    Interface(u32),
    /// A packet, numbered from 1.
    Packet(u64),
    /// A block of names, of the section with this number.
    Names(u32),
}

/// One option of a pcapng block, as it stands there.
///
/// Only options that no field of a record or interface carries are kept:
/// comments, what the writer says of itself and its machine, custom options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub subject: Subject,
    /// Option code, relative to the block; 1 is a comment in all of them.
    pub code: u16,
    /// Private Enterprise Number of a custom option (codes 2988, 2989, 19372, 19373).
    pub enterprise: Option<u32>,
    /// The option's bytes, without the enterprise number.
    pub value: Vec<u8>,
}

impl Note {
    /// Option code of a comment.
    pub const COMMENT: u16 = 1;

    /// The value as text; comments are UTF-8, unless the writer did it wrong.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.value)
    }
}

/// Names and notes of one file, bounded.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) names: Vec<Name>,
    pub(super) kept: Vec<Note>,
    /// Addresses that the interfaces had.
    pub(super) own: Vec<IpAddr>,
    bytes: usize,
    name_bytes: usize,
    /// Notes, names and addresses that there was no room for.
    pub(super) lost: u64,
}

impl Notes {
    pub(super) fn name(&mut self, addr: IpAddr, name: &[u8]) {
        let size = name.len() + size_of::<Name>();
        if self.name_bytes + size <= NAME_BYTES {
            self.name_bytes += size;
            self.names.push(Name { addr, name: String::from_utf8_lossy(name).into_owned() });
        } else {
            self.lost += 1;
        }
    }

    pub(super) fn own(&mut self, addr: IpAddr) {
        if self.own.len() < MOST_OWN {
            self.own.push(addr);
        } else {
            self.lost += 1;
        }
    }

    /// Takes the names.
    pub(super) fn take_names(&mut self) -> Vec<Name> {
        self.name_bytes = 0;
        std::mem::take(&mut self.names)
    }

    pub(super) fn note(&mut self, subject: Subject, code: u16, enterprise: Option<u32>, value: &[u8]) {
        let size = value.len() + size_of::<Note>();
        if self.bytes + size > NOTE_BYTES {
            self.lost += 1;
            return;
        }
        self.bytes += size;
        self.kept.push(Note { subject, code, enterprise, value: value.to_vec() });
    }
}
