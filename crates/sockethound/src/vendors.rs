//! Who made a network interface, by its link-layer address and a table that the system may have: Wireshark's, the IEEE's
//! (Debian's `ieee-data`), or nmap's.

use std::path::Path;
use std::sync::OnceLock;

/// Where tables are looked for; the first that is there counts. The first one knows the small blocks, too.
pub const TABLES: [&str; 4] = [
    "/usr/share/wireshark/manuf",
    "/usr/share/ieee-data/oui.txt",
    "/var/lib/ieee-data/oui.txt",
    "/usr/share/nmap/nmap-mac-prefixes",
];
/// Lengths of the blocks that are assigned, in bits, the smallest block first (MA-S, MA-M, MA-L).
const LENGTHS: [u32; 3] = [36, 28, 24];
const MAC_BITS: u32 = 48;

/// A table that is laid out when somebody asks it.
#[derive(Debug, Default)]
pub struct Vendors {
    text: String,
    rows: OnceLock<Vec<Row>>,
}

/// Block length in bits, its first address, and where in the text its owner stands.
type Row = (u32, u64, (u32, u32));

impl Vendors {
    /// Reads the first of `tables` that is there; without any, nobody is known.
    pub fn read(tables: &[&str]) -> Self {
        let bytes = tables.iter().find_map(|path| std::fs::read(Path::new(path)).ok());
        bytes.map_or_else(Self::default, |bytes| Self::of(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn of(text: String) -> Self {
        Vendors { text, rows: OnceLock::new() }
    }

    /// Who made the interface with this address; `None` where its address was not assigned by the IEEE, or nobody is known.
    pub fn name(&self, mac: [u8; 6]) -> Option<&str> {
        /// Of addresses that somebody made up (IEEE 802, section 8.4).
        const LOCAL: u8 = 2;
        if mac[0] & LOCAL != 0 {
            return None;
        }
        let rows = self.rows.get_or_init(|| rows(&self.text));
        let mac = mac.iter().fold(0, |all, &byte| all << 8 | u64::from(byte));
        LENGTHS.iter().find_map(|&len| {
            let first = mac >> (MAC_BITS - len) << (MAC_BITS - len);
            let at = rows.binary_search_by_key(&(len, first), |&(len, first, _)| (len, first)).ok()?;
            let (start, end) = rows.get(at)?.2;
            self.text.get(start as usize..end as usize)
        })
    }
}

fn rows(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = text.lines().filter_map(|line| row(text, line)).collect();
    // Stable: the first one of a block counts.
    rows.sort_by_key(|&(len, first, _)| (len, first));
    rows.dedup_by_key(|&mut (len, first, _)| (len, first));
    rows
}

/// `00:00:0C⇥Cisco⇥Cisco Systems, Inc`, with `/28` behind small blocks; `00-00-0C   (hex)⇥⇥Cisco Systems, Inc`;
/// `00000C Cisco Systems`.
fn row(text: &str, line: &str) -> Option<Row> {
    let (block, rest) = line.split_once(char::is_whitespace)?;
    let (digits, len) = match block.split_once('/') {
        Some((digits, len)) => (digits, len.parse().ok()?),
        None => (block, 0),
    };
    let (mut first, mut bits) = (0u64, 0);
    for digit in digits.chars().filter(|c| !matches!(c, ':' | '-' | '.')) {
        first = first << 4 | u64::from(digit.to_digit(16)?);
        bits += 4;
        if bits > MAC_BITS {
            return None;
        }
    }
    let len = if len == 0 { bits } else { len };
    if !LENGTHS.contains(&len) || bits < 24 {
        return None;
    }
    let rest = rest.trim_start().strip_prefix("(hex)").unwrap_or(rest);
    let name = rest.rsplit('\t').next()?.split('#').next()?.trim();
    let start = name.as_ptr() as usize - text.as_ptr() as usize;
    let place = (u32::try_from(start).ok()?, u32::try_from(start + name.len()).ok()?);
    (!name.is_empty()).then_some((len, first << (MAC_BITS - bits), place))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as these files have them.
    #[test]
    fn every_table_is_read() {
        let tables = [
            "# comment\n00:00:0C\tCisco\tCisco Systems, Inc\n00:1B:C5\tIEEERegi\tIEEE Registration Authority\n00:1B:C5:00:00:00/36\tConverging\tConverging Systems Inc.\n",
            "OUI/MA-L  Organization\n00-00-0C   (hex)\t\tCisco Systems, Inc\n00000C     (base 16)\t\tCisco Systems, Inc\n\t\t\t\t80 West Tasman Drive\n00-1B-C5   (hex)\t\tConverging Systems Inc.\n",
            "# comment\n00000C Cisco Systems, Inc\n001BC5 Converging Systems Inc.\n",
        ];
        for table in tables {
            let vendors = Vendors::of(table.to_owned());
            assert_eq!(vendors.name([0, 0, 0x0c, 1, 2, 3]), Some("Cisco Systems, Inc"), "{table}");
            assert_eq!(vendors.name([0, 0x1b, 0xc5, 0, 0, 7]), Some("Converging Systems Inc."), "{table}");
            assert_eq!(vendors.name([0, 0, 0x0d, 1, 2, 3]), None);
            assert_eq!(vendors.name([2, 0, 0x0c, 1, 2, 3]), None, "made up");
        }
        let small = Vendors::of(tables[0].to_owned());
        assert_eq!(small.name([0, 0x1b, 0xc5, 0, 0x10, 7]), Some("IEEE Registration Authority"));
        assert_eq!(Vendors::read(&["/nonexistent"]).name([0, 0, 0x0c, 1, 2, 3]), None);
    }
}
