//! What went wrong with a capture file, on which packet and at which byte.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What went wrong with a capture file.
///
/// Every message is one lowercase line that begins with the file's name.
/// [`Error::is_damage`] tells the two kinds apart: a file that could not be
/// begun, and one that stopped being readable after it had begun, whose
/// packets up to there were handed out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is missing, is a directory, or may not be read.
    #[error("{}: {source}", Shown(path))]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has no bytes at all.
    #[error("{}: empty file", Shown(path))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It is no capture file that is read here.
    #[error("{}: not a pcap or pcapng file{}", Shown(path), Seems(*.seems))]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What its first bytes look like, where they are known.
        seems: Option<&'static str>,
    },
    /// A format version that is not read.
    #[error("{}: {format} version {major}.{minor} is not supported", Shown(path))]
    Version {
        /// The file.
        path: PathBuf,
        /// `pcap` or `pcapng`.
        format: &'static str,
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
    /// It ends inside the file header.
    #[error("{}: cut short in the file header: {} needed, {had} there", Shown(path), Count(*needed, "byte"))]
    Header {
        /// The file.
        path: PathBuf,
        /// Bytes that the header takes.
        needed: u64,
        /// Bytes that are there.
        had: u64,
    },
    /// Reading failed in the middle.
    #[error("{}: packet {packet} at byte {byte}: {source}; stopped, {} read", Shown(path), Count(.packet - 1, "packet"))]
    Read {
        /// The file.
        path: PathBuf,
        /// Number of the packet that was being read, from 1.
        packet: u64,
        /// Offset in the (decompressed) stream.
        byte: u64,
        /// Why.
        source: io::Error,
    },
    /// The file ends inside a packet or block.
    #[error("{}: {} is cut short: {} claimed, {had} there; stopped, {} read",
        Shown(path), Place(*what, *packet, *byte), Count(*needed, "byte"), Count(.packet - 1, "packet"))]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What is incomplete.
        what: Unit,
        /// Number of the packet that was being read, from 1.
        packet: u64,
        /// Offset of the record or block in the (decompressed) stream.
        byte: u64,
        /// Bytes claimed.
        needed: u64,
        /// Bytes there.
        had: u64,
    },
    /// A packet claims more bytes than any packet has.
    #[error("{}: packet {packet} at byte {byte} claims {claimed} bytes, {}; stopped, {} read",
        Shown(path), Bound(*claimed, *snaplen, *most), Count(.packet - 1, "packet"))]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Number of the packet, from 1.
        packet: u64,
        /// Offset of its record in the (decompressed) stream.
        byte: u64,
        /// Captured length that it claims.
        claimed: u32,
        /// Snaplen of the file or interface; 0 where none is stated.
        snaplen: u32,
        /// Longest captured length that is believed for its link type.
        most: u32,
    },
    /// A record or block contradicts itself.
    #[error("{}: {}: {reason}; stopped, {} read", Shown(path), Place(*what, *packet, *byte), Count(.packet - 1, "packet"))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: Unit,
        /// Number of the packet that was being read, from 1.
        packet: u64,
        /// Offset of the record or block in the (decompressed) stream.
        byte: u64,
        /// How.
        reason: String,
    },
    /// The compressed file around the capture is cut short or damaged.
    #[error("{}: {format} {} after byte {byte} of its content{}; stopped, {} read",
        Shown(path), if *cut { "file is cut short" } else { "file is damaged" }, Why(reason), Count(.packet - 1, "packet"))]
    Compression {
        /// The file.
        path: PathBuf,
        /// `gzip`, `zstd` or `lz4`.
        format: &'static str,
        /// It ended too early, as a half-finished download does.
        cut: bool,
        /// What the decompressor said.
        reason: String,
        /// Number of the packet that was being read, from 1.
        packet: u64,
        /// Decompressed bytes that came before.
        byte: u64,
        /// The capture's own header was read.
        begun: bool,
    },
}

/// What a position in a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A packet's record or block.
    Packet,
    /// A pcapng block without a packet.
    Block,
}

impl Error {
    /// The file had begun well: what came before the damage was handed out and counts.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Open { .. }
            | Self::Empty { .. }
            | Self::Foreign { .. }
            | Self::Version { .. }
            | Self::Header { .. } => false,
            Self::Read { .. } | Self::Truncated { .. } | Self::TooLong { .. } | Self::Malformed { .. } => {
                true
            }
            Self::Compression { begun, .. } => *begun,
        }
    }

    /// The file ends too early, rather than contradicting itself.
    pub fn is_truncation(&self) -> bool {
        matches!(
            self,
            Self::Header { .. }
                | Self::Truncated { .. }
                | Self::Compression { cut: true, .. }
                | Self::Read { .. }
        )
    }
}

/// A file's name; `-` is the standard input.
struct Shown<'a>(&'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == Path::new("-") { f.write_str("stdin") } else { self.0.display().fmt(f) }
    }
}

struct Seems(Option<&'static str>);

impl fmt::Display for Seems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |what| write!(f, "; it looks like {what}"))
    }
}

struct Place(Unit, u64, u64);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unit::Packet => write!(f, "packet {} at byte {}", self.1, self.2),
            Unit::Block => write!(f, "block at byte {}", self.2),
        }
    }
}

/// `1 packet`, `2 packets`.
struct Count(u64, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// The bound that a claimed length breaks: the snaplen where it breaks that, too.
struct Bound(u32, u32, u32);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(claimed, snaplen, most) = *self;
        if snaplen != 0 && claimed > snaplen {
            write!(f, "snaplen is {snaplen}")
        } else {
            write!(f, "the most is {most}")
        }
    }
}

struct Why<'a>(&'a str);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " ({})", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_where_and_why() {
        let path = PathBuf::from("trace.pcap");
        let long = Error::TooLong {
            path: path.clone(),
            packet: 1042,
            byte: 81920,
            claimed: 700_000,
            snaplen: 65535,
            most: 262_144,
        };
        assert_eq!(
            long.to_string(),
            "trace.pcap: packet 1042 at byte 81920 claims 700000 bytes, snaplen is 65535; stopped, 1041 packets read"
        );
        let cut = Error::Truncated {
            path: path.clone(),
            what: Unit::Packet,
            packet: 42,
            byte: 4242,
            needed: 1514,
            had: 600,
        };
        assert_eq!(
            cut.to_string(),
            "trace.pcap: packet 42 at byte 4242 is cut short: 1514 bytes claimed, 600 there; stopped, 41 packets read"
        );
        let one = |packet, needed| {
            let (path, what) = (path.clone(), Unit::Packet);
            Error::Truncated { path, what, packet, byte: 40, needed, had: 0 }.to_string()
        };
        assert!(one(2, 1).ends_with(": 1 byte claimed, 0 there; stopped, 1 packet read"), "{}", one(2, 1));
        assert!(one(1, 2).ends_with(": 2 bytes claimed, 0 there; stopped, 0 packets read"), "{}", one(1, 2));
        let foreign = Error::Foreign { path, seems: Some("a JPEG image") };
        assert_eq!(foreign.to_string(), "trace.pcap: not a pcap or pcapng file; it looks like a JPEG image");
        assert_eq!(Error::Empty { path: "-".into() }.to_string(), "stdin: empty file");
        assert!(!foreign.is_damage() && cut.is_damage() && long.is_damage());
    }
}
