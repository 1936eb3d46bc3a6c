//! What a file's link type field means.
//!
//! Values: <https://www.tcpdump.org/linktypes.html>. The field's upper 16
//! bits hold the length of the frame check sequence (pcap draft, section 4);
//! they are masked off: a trailing FCS lies behind the IP packet, where its
//! own length ends it.

use dissect::LinkType;

use crate::batch::Record;

/// Link type of a file that may carry a system's own DLT_ number instead.
///
/// The two are equal but for a few early ones, whose DLT_ numbers differ
/// between systems; where those contradict each other, the common one is taken.
pub(super) fn link_type(field: u32) -> LinkType {
    LinkType(match field as u16 {
        11 => 100,      // DLT_ATM_RFC1483
        12 | 14 => 101, // DLT_RAW, elsewhere and on OpenBSD
        15 => 102,      // DLT_SLIP_BSDOS
        16 => 103,      // DLT_PPP_BSDOS
        19 => 106,      // DLT_ATM_CLIP
        other => other,
    })
}

/// AIX writes interface types (RFC 1573) instead, in files of version 2.2.
pub(super) fn aix_link_type(field: u32) -> Option<LinkType> {
    match field {
        6 => Some(LinkType(1)),
        9 => Some(LinkType(6)),
        15 => Some(LinkType(10)),
        24 => Some(LinkType(0)),
        _ => None,
    }
}

/// Longest captured length that is believed, whatever the snaplen says.
///
/// 256 KiB is what libpcap and Wireshark take for anything but D-Bus, USB and EBHSCR.
pub(super) fn longest(link_type: LinkType) -> u32 {
    match link_type.0 {
        189 | 220 | 231 | 249 => 128 << 20,
        279 => 8 << 20,
        _ => 256 << 10,
    }
}

/// A stored wire length, bounded as Wireshark bounds it: none above is meant.
#[inline]
pub(crate) fn wire_len(stored: u32) -> u32 {
    stored.min(i32::MAX as u32)
}

/// What stands before a frame that never was on the wire, and so is no part of its wire length.
///
/// Only link types whose metadata takes the place of hardware state are here;
/// radiotap, PPI, SLL and their like count as the frame, as everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    None,
    /// Bytes that the stored lengths include.
    Fixed(u8),
    /// An Endace record header, with a time and a wire length of its own.
    Erf,
}

impl Lead {
    pub(super) fn of(link_type: LinkType) -> Self {
        match link_type.0 {
            123 | 139 | 201 | 254 => Self::Fixed(4), // SunATM, MTP2, Bluetooth HCI, Linux monitor
            144 | 177 => Self::Fixed(16),            // IrDA, LAPD
            196 | 209 => Self::Fixed(5),             // SITA, I2C
            245 => Self::Fixed(2),                   // NFC LLCP
            204 => Self::Fixed(1),                   // PPP with direction
            197 => Self::Erf,
            _ => Self::None,
        }
    }

    /// Corrects a record's wire length (and time); false if its bytes are too few for the lead.
    pub(super) fn settle(self, record: &mut Record, bytes: &[u8]) -> bool {
        match self {
            Self::None => true,
            Self::Fixed(len) => {
                record.wire_len = record.wire_len.saturating_sub(len.into());
                bytes.len() >= usize::from(len)
            }
            Self::Erf => {
                let Some(head) = bytes.first_chunk::<16>() else { return false };
                let [t0, t1, t2, t3, t4, t5, t6, t7, .., w0, w1] = *head;
                let time = u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
                let nanos = ((time & 0xffff_ffff) * 1_000_000_000) >> 32;
                record.timestamp.0 = ((time >> 32) * 1_000_000_000 + nanos) as i64;
                record.wire_len = u16::from_be_bytes([w0, w1]).into();
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_and_flagged_numbers_are_understood() {
        assert_eq!(link_type(0x3000_00a4), LinkType(164));
        assert_eq!(link_type(12), LinkType::RAW);
        assert_eq!(aix_link_type(15), Some(LinkType(10)));
    }
}
