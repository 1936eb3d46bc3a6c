//! Who made a network interface, by its link-layer address and a table that the system may have: Wireshark's, the IEEE's
//! (Debian's `ieee-data`), or nmap's.

use std::path::Path;
use std::sync::OnceLock;

/// Where tables are looked for; the first that is there counts, with what stands beside it.
pub const TABLES: [&str; 4] = [
    "/usr/share/wireshark/manuf",
    "/usr/share/ieee-data/oui.txt",
    "/var/lib/ieee-data/oui.txt",
    "/usr/share/nmap/nmap-mac-prefixes",
];
/// Beside the IEEE's table of large blocks: those of medium and small ones.
const SMALLER: [&str; 2] = ["mam.txt", "oui36.txt"];
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
        let read = |path: &Path| std::fs::read(path).ok();
        let found = tables.iter().map(Path::new).find_map(|path| Some((path, read(path)?)));
        let Some((path, mut bytes)) = found else { return Self::default() };
        if path.ends_with("oui.txt") {
            bytes.extend(SMALLER.iter().filter_map(|name| read(&path.with_file_name(name))).flatten());
        }
        Self::of(String::from_utf8_lossy(&bytes).into_owned())
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
    let mut rows = Vec::new();
    let mut large = None;
    for line in text.lines() {
        let Some((block, rest)) = line.split_once(char::is_whitespace) else { continue };
        // Of two lines that say the same, the second one may tell which part of the block is meant.
        if rest.trim_start().starts_with("(hex)") {
            large = digits(block).map(|(first, _)| first);
            continue;
        }
        let Some((len, first)) = range(block, large).or_else(|| self::block(block)) else { continue };
        rows.extend(owner(text, rest).map(|owner| (len, first, owner)));
    }
    // Stable: the first one of a block counts.
    rows.sort_by_key(|&(len, first, _)| (len, first));
    rows.dedup_by_key(|&mut (len, first, _)| (len, first));
    rows
}

/// `00:00:0C`, `00:00:0C:00:00:00/28`, `00000C`, `00000C1`: its length in bits, and its first address.
fn block(block: &str) -> Option<(u32, u64)> {
    let (digits, len) = match block.split_once('/') {
        Some((digits, len)) => (digits, len.parse().ok()?),
        None => (block, 0),
    };
    let (first, bits) = self::digits(digits)?;
    let len = if len == 0 { bits } else { len };
    (LENGTHS.contains(&len) && bits >= 24).then_some((len, first))
}

/// `900000-9FFFFF` within a large block.
fn range(block: &str, large: Option<u64>) -> Option<(u32, u64)> {
    let (from, to) = block.split_once('-').filter(|(from, to)| from.len() == 6 && to.len() == 6)?;
    let [from, to] = [from, to].map(|end| u64::from_str_radix(end, 16).ok());
    let (from, to) = (from?, to?);
    let len = MAC_BITS - (to.checked_sub(from)? + 1).trailing_zeros();
    LENGTHS.contains(&len).then_some((len, large? | from))
}

/// Hexadecimal digits with whatever stands between them, as the first bits of an address; and how many bits they are.
fn digits(text: &str) -> Option<(u64, u32)> {
    let (mut first, mut bits) = (0u64, 0);
    for digit in text.chars().filter(|c| !matches!(c, ':' | '-' | '.')) {
        first = first << 4 | u64::from(digit.to_digit(16)?);
        bits += 4;
        if bits > MAC_BITS {
            return None;
        }
    }
    (bits > 0).then(|| (first << (MAC_BITS - bits), bits))
}

/// Where the owner stands in the rest of a line: `Cisco⇥Cisco Systems, Inc`, `(base 16)⇥⇥Cisco Systems, Inc`,
/// `Cisco Systems`.
fn owner(text: &str, rest: &str) -> Option<(u32, u32)> {
    let name = rest.rsplit('\t').next()?.split('#').next()?.trim();
    let start = name.as_ptr() as usize - text.as_ptr() as usize;
    let place = (u32::try_from(start).ok()?, u32::try_from(start + name.len()).ok()?);
    (!name.is_empty()).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as these files have them.
    #[test]
    fn every_table_is_read() {
        let tables = [
            "# comment\n00:00:0C\tCisco\tCisco Systems, Inc\n00:1B:C5\tIEEERegi\tIEEE Registration Authority\n00:1B:C5:00:00:00/36\tConverging\tConverging Systems Inc.\n",
            "OUI/MA-L  Organization\n00-00-0C   (hex)\t\tCisco Systems, Inc\n00000C     (base 16)\t\tCisco Systems, Inc\n\t\t\t\t80 West Tasman Drive\n00-1B-C5   (hex)\t\tConverging Systems Inc.\n001BC5     (base 16)\t\tConverging Systems Inc.\n",
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
        let parts = "70-B3-D5   (hex)\t\tIEEE Registration Authority\r\n70B3D5     (base 16)\t\tIEEE Registration Authority\r\n\t\t\t\t445 Hoes Lane\r\n\
            70-B3-D5   (hex)\t\tOne Part\r\nF2F000-F2FFFF     (base 16)\t\tOne Part\r\n\t\t\t\tStreet 3\r\n\
            74-1A-E0   (hex)\t\tAnother\r\n900000-9FFFFF     (base 16)\t\tAnother\r\n";
        let parts = Vendors::of(parts.to_owned());
        assert_eq!(parts.name([0x70, 0xb3, 0xd5, 0xf2, 0xf1, 7]), Some("One Part"));
        assert_eq!(parts.name([0x70, 0xb3, 0xd5, 0xf3, 0, 7]), Some("IEEE Registration Authority"));
        assert_eq!(parts.name([0x74, 0x1a, 0xe0, 0x9a, 0, 7]), Some("Another"));
        assert_eq!(parts.name([0x74, 0x1a, 0xe0, 0xaa, 0, 7]), None, "nobody owns the rest");
        assert_eq!(Vendors::read(&["/nonexistent"]).name([0, 0, 0x0c, 1, 2, 3]), None);
    }

    /// Each table that this system has: Debian's packages `wireshark-common`, `ieee-data` and `nmap-common` bring one each.
    #[test]
    #[expect(clippy::print_stderr, reason = "says what it leaves out")]
    fn the_tables_of_the_system_are_read() {
        for path in TABLES {
            if !Path::new(path).exists() {
                eprintln!("skipped: no {path}");
                continue;
            }
            let vendors = Vendors::read(&[path]);
            let begins = |mac, name: &str| {
                let known = vendors.name(mac).map(str::to_lowercase);
                assert!(known.as_ref().is_some_and(|known| known.starts_with(name)), "{path}: {known:?}");
            };
            // Assigned in the eighties and nineties, to owners that still go by these names.
            begins([0, 0, 0x0c, 1, 2, 3], "cisco");
            begins([0, 0, 1, 1, 2, 3], "xerox");
            begins([8, 0, 0x09, 1, 2, 3], "hewlett");
            begins([0, 0x50, 0x56, 1, 2, 3], "vmware");
            assert!(vendors.rows.get().is_some_and(|rows| rows.len() > 25_000), "{path}");
            let blocks = |len| vendors.rows.get().into_iter().flatten().filter(|row| row.0 == len).count();
            // The table of nmap has large blocks alone, as of 7.93.
            let is_whole = !path.contains("nmap");
            assert!(
                !is_whole || blocks(28) > 3000 && blocks(36) > 4000,
                "{path}: {} {}",
                blocks(28),
                blocks(36)
            );
        }
    }
}
