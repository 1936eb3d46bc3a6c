//! Writes JSON (RFC 8259) by hand: a record costs no allocation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dissect::Timestamp;

use super::text::is_hidden;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// `00`, `01`, … `99`.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// Digits of the largest number.
const MOST_DIGITS: usize = 20;

/// `0.`, `1.`, … `255.`, each behind its length.
static OCTETS: [(usize, [u8; 4]); 256] = {
    let mut octets = [(0, *b"...."); 256];
    let mut n = 0;
    while n < octets.len() {
        let digits = [b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
        let [a, b, c] = digits;
        octets[n] = match n {
            0..=9 => (2, [c, b'.', 0, 0]),
            10..=99 => (3, [b, c, b'.', 0]),
            _ => (4, [a, b, c, b'.']),
        };
        n += 1;
    }
    octets
};

/// JSON text that grows.
#[derive(Debug, Default)]
pub(super) struct Json {
    text: Vec<u8>,
    /// Days since the epoch of `date`; most timestamps of a capture share a day.
    day: Option<i64>,
    date: [u8; 10],
}

impl Json {
    /// What was written since the last [`Self::clear`].
    pub(super) fn bytes(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
    }

    /// Text that is JSON already: punctuation, names of members.
    #[inline(always)] // Its length is known where it is written: so it is copied without a call.
    pub(super) fn raw(&mut self, text: &str) -> &mut Self {
        self.text.extend_from_slice(text.as_bytes());
        self
    }

    /// A number.
    #[inline]
    pub(super) fn integer(&mut self, mut n: u64) -> &mut Self {
        let len = n.checked_ilog10().map_or(1, |log| log as usize + 1);
        let mut digits = [0; MOST_DIGITS];
        let mut at = len;
        while at > 1 {
            at -= 2;
            digits[at..at + 2].copy_from_slice(&PAIRS[(n % 100) as usize]);
            n /= 100;
        }
        if at > 0 {
            digits[0] = b'0' + n as u8;
        }
        self.first(len, digits)
    }

    /// The first `len` of some bytes: to copy all and forget the others is a few instructions, to copy so many is a call.
    #[inline]
    fn first<const N: usize>(&mut self, len: usize, bytes: [u8; N]) -> &mut Self {
        let before = self.text.len();
        self.text.extend_from_slice(&bytes);
        self.text.truncate(before + len);
        self
    }

    /// A string, with its quotes.
    pub(super) fn string(&mut self, text: &str) -> &mut Self {
        let bytes = text.as_bytes();
        // All bytes are looked at, several at a time: most strings are like this.
        let is_plain = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
        if bytes.iter().fold(true, |plain, &byte| plain & is_plain(byte)) {
            return self.plain(bytes);
        }
        if !text.is_ascii() {
            return self.string_of_any(text);
        }
        self.text.push(b'"');
        let mut written = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            let short = match byte {
                b'"' | b'\\' => byte,
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                0x00..=0x1f | 0x7f => 0,
                _ => continue,
            };
            self.text.extend_from_slice(&bytes[written..at]);
            written = at + 1;
            if short == 0 {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                self.text.extend_from_slice(b"\\u00");
                self.text.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            } else {
                self.text.extend_from_slice(&[b'\\', short]);
            }
        }
        self.text.extend_from_slice(&bytes[written..]);
        self.text.push(b'"');
        self
    }

    /// The same of text with other characters: those that a terminal takes for commands, or that hide, are escaped too.
    fn string_of_any(&mut self, text: &str) -> &mut Self {
        self.text.push(b'"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.text.extend_from_slice(&[b'\\', c as u8]),
                c if is_hidden(c) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        self.text.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                    }
                }
                c => self.text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.text.push(b'"');
        self
    }

    /// A string of ASCII without anything to escape, with its quotes.
    #[inline]
    pub(super) fn plain(&mut self, text: &[u8]) -> &mut Self {
        self.text.push(b'"');
        self.text.extend_from_slice(text);
        self.text.push(b'"');
        self
    }

    /// A link-layer address in the form that RFC 7042, section 2.1 recommends (`00-00-5E-00-53-2A`), with its quotes.
    pub(super) fn mac(&mut self, mac: [u8; 6]) -> &mut Self {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        let mut text = *b"\"00-00-00-00-00-00\"";
        for (byte, place) in mac.into_iter().zip((1..).step_by(3)) {
            text[place] = HEX[usize::from(byte >> 4)];
            text[place + 1] = HEX[usize::from(byte & 15)];
        }
        self.text.extend_from_slice(&text);
        self
    }

    /// An address in its canonical form (RFC 5952), with its quotes.
    pub(super) fn address(&mut self, addr: IpAddr) -> &mut Self {
        self.text.push(b'"');
        match addr {
            IpAddr::V4(addr) => self.ipv4(addr),
            IpAddr::V6(addr) => self.ipv6(addr),
        }
        self.text.push(b'"');
        self
    }

    #[inline]
    fn ipv4(&mut self, addr: Ipv4Addr) {
        for (n, octet) in addr.octets().into_iter().enumerate() {
            let (len, text) = OCTETS[usize::from(octet)];
            // Without the dot behind the last one.
            self.first(len - usize::from(n == 3), text);
        }
    }

    fn ipv6(&mut self, addr: Ipv6Addr) {
        if let Some(v4) = addr.to_ipv4_mapped() {
            self.raw("::ffff:").ipv4(v4);
            return;
        }
        let groups = addr.segments();
        let zeros = longest_zeros(&groups);
        let mut at = 0;
        while at < groups.len() {
            if at == zeros.0 && zeros.1 > 1 {
                self.raw("::");
                at += zeros.1;
                continue;
            }
            if at > 0 && at != zeros.0 + zeros.1 {
                self.raw(":");
            }
            self.hex(groups[at]);
            at += 1;
        }
    }

    fn hex(&mut self, group: u16) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let digits = (16 - (group | 1).leading_zeros()).div_ceil(4);
        for place in (0..digits).rev() {
            self.text.push(HEX[usize::from(group >> (4 * place) & 15)]);
        }
    }

    /// A time in UTC with nanoseconds (RFC 3339), with its quotes; `null` if it is not known.
    pub(super) fn time(&mut self, at: Timestamp) -> &mut Self {
        if at == Timestamp::UNKNOWN {
            return self.raw("null");
        }
        let (seconds, nanos) = (at.0.div_euclid(NANOS_PER_SECOND), at.0.rem_euclid(NANOS_PER_SECOND));
        let (day, second) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        if self.day != Some(day) {
            (self.day, self.date) = (Some(day), date(day));
        }
        let mut text = *b"\"0000-00-00T00:00:00.000000000Z\"";
        text[1..11].copy_from_slice(&self.date);
        for (place, pair) in [(12, second / 3600), (15, second / 60 % 60), (18, second % 60)] {
            text[place..place + 2].copy_from_slice(&PAIRS[pair as usize]);
        }
        text[21] = b'0' + (nanos / 100_000_000) as u8;
        let mut rest = nanos % 100_000_000;
        for place in [28, 26, 24, 22] {
            text[place..place + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
            rest /= 100;
        }
        self.text.extend_from_slice(&text);
        self
    }
}

/// Where the longest run of zero groups begins, and how long it is; the first of equals (RFC 5952, section 4.2.3).
fn longest_zeros(groups: &[u16; 8]) -> (usize, usize) {
    let (mut longest, mut run) = ((0, 0), (0, 0));
    for (at, &group) in groups.iter().enumerate() {
        run = if group != 0 { (at + 1, 0) } else { (run.0, run.1 + 1) };
        if run.1 > longest.1 {
            longest = run;
        }
    }
    // A single group is written out (section 4.2.2).
    if longest.1 > 1 { longest } else { (groups.len(), 0) }
}

/// `YYYY-MM-DD` of a day since 1970-01-01, in the Gregorian calendar.
///
/// Years are counted from March, so that a leap day is the last of its year; 400 years have 146,097 days.
fn date(day: i64) -> [u8; 10] {
    let from_era = day + 719_468;
    let (era, in_era) = (from_era.div_euclid(146_097), from_era.rem_euclid(146_097));
    let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * in_year + 2) / 153;
    let day_of_month = in_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let mut text = *b"0000-00-00";
    for (place, pair) in [(0, year / 100), (2, year % 100), (5, month), (8, day_of_month)] {
        text[place..place + 2].copy_from_slice(&PAIRS[pair as usize]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Json)) -> String {
        let mut json = Json::default();
        write(&mut json);
        String::from_utf8(json.bytes().to_vec()).unwrap()
    }

    #[test]
    fn integers() {
        for n in [0, 9, 10, 99, 100, 101, 12_345, 1_000_000, u64::MAX] {
            assert_eq!(written(|j| _ = j.integer(n)), n.to_string());
        }
    }

    #[test]
    fn strings_come_back() {
        let all: String = (0..0x250).filter_map(char::from_u32).chain("\u{202e}\u{2028}😀".chars()).collect();
        let each = all.chars().map(|c| format!("of twenty bytes and{c}more"));
        let some = ["", "plain", "\"", "a\\b", "\u{1b}[31m", "\u{7f}", &all].map(str::to_owned);
        for text in each.chain(some) {
            let json = written(|j| _ = j.string(&text));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            assert!(!json.chars().any(is_hidden), "{json}");
        }
    }

    #[test]
    fn link_layer_addresses_have_two_digits_a_byte() {
        for mac in [[0, 0, 0x5e, 0, 0x53, 0x2a], [0xff; 6], [0, 1, 9, 10, 16, 0xa0]] {
            let digits = mac.map(|byte| format!("{byte:02X}")).join("-");
            assert_eq!(written(|j| _ = j.mac(mac)), format!("\"{digits}\""));
        }
    }

    #[test]
    fn addresses_are_canonical() {
        for (addr, text) in [
            ("0.0.0.0", "0.0.0.0"),
            ("255.10.9.100", "255.10.9.100"),
            ("::", "::"),
            ("::1", "::1"),
            ("1::", "1::"),
            ("fe80:0:0:0:200:86ff:fe05:80da", "fe80::200:86ff:fe05:80da"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("0:0:1:2:3:4:0:0", "::1:2:3:4:0:0"),
            ("1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("0:1:2:3:4:5:6:0", "0:1:2:3:4:5:6:0"),
            ("64:ff9b::c000:201", "64:ff9b::c000:201"),
        ] {
            let addr: IpAddr = addr.parse().unwrap();
            assert_eq!(written(|j| _ = j.address(addr)), format!("\"{text}\""));
            assert_eq!(addr.to_string(), text);
        }
    }

    #[test]
    fn times_agree_with_a_calendar() {
        let mut json = Json::default();
        let step = (i64::MAX / 4001) as usize;
        for nanos in
            (i64::MIN + 1..i64::MAX).step_by(step).chain([0, -1, 1, 951_782_400_000_000_000, i64::MAX])
        {
            json.clear();
            json.time(Timestamp(nanos));
            let expected = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
            assert_eq!(json.bytes(), format!("\"{expected:.9}\"").as_bytes());
        }
    }
}
