//! JA4, the fingerprint of a TLS client (FoxIO's technical description, BSD 3-Clause; <https://github.com/FoxIO-LLC/ja4>).
//!
//! Values without meaning (GREASE, RFC 8701) are left out everywhere. Of the
//! other methods of that family none is here: their licence is another.

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};

use super::tls::{ClientHello, Over, Version, extension_kind, is_grease};

/// Length of a fingerprint, in characters.
const LEN: usize = 36;
/// Characters of each hash.
const HASH: usize = 12;

/// A JA4 fingerprint, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ja4([u8; LEN]);

impl Ja4 {
    /// As text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The fingerprint of who sent `hello`.
pub(super) fn of(hello: &ClientHello<'_>, over: Over) -> Ja4 {
    let meant = |value: &u16| !is_grease(*value);
    let mut ciphers: Vec<u16> = hello.ciphers().filter(meant).collect();
    let mut extensions: Vec<u16> = hello.extensions.each().map(|e| e.kind).filter(meant).collect();
    let algorithms: Vec<u16> = hello.extensions.signature_algorithms().filter(meant).collect();
    let [alpn_first, alpn_last] = alpn(hello.extensions.alpn().next());
    let mut text = String::with_capacity(LEN);
    let wrote = write!(
        text,
        "{}{}{}{:02}{:02}{alpn_first}{alpn_last}_",
        match over {
            Over::Stream => 't',
            Over::Datagrams => 'd',
            Over::Quic => 'q',
        },
        version(hello),
        if extensions.contains(&extension_kind::SERVER_NAME) { 'd' } else { 'i' },
        ciphers.len().min(99),
        extensions.len().min(99),
    );
    extensions.retain(|e| ![extension_kind::SERVER_NAME, extension_kind::ALPN].contains(e));
    ciphers.sort_unstable();
    extensions.sort_unstable();
    hash(&mut text, &ciphers, &[]);
    text.push('_');
    hash(&mut text, &extensions, &algorithms);
    debug_assert!(wrote.is_ok() && text.len() == LEN, "{text}");
    Ja4(text.as_bytes().first_chunk().copied().unwrap_or([b'0'; LEN]))
}

/// Two characters for the version: the highest number among those offered, which for DTLS is the oldest.
fn version(hello: &ClientHello<'_>) -> &'static str {
    let highest = hello.extensions.versions().map(|v| v.0).max();
    match Version(highest.unwrap_or(hello.legacy_version.0)).0 {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// The first and the last character of the first protocol, or of its hexadecimal form if one of them is neither digit
/// nor letter.
fn alpn(protocol: Option<&[u8]>) -> [char; 2] {
    let Some((first, last)) = protocol.and_then(|p| Some((*p.first()?, *p.last()?))) else { return ['0'; 2] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [first.into(), last.into()];
    }
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    [digit(first >> 4), digit(last & 15)]
}

/// Writes the first characters of the SHA-256 of `values`, and of `more` behind an underscore if there are any; zeros if
/// there are no `values`.
fn hash(text: &mut String, values: &[u16], more: &[u16]) {
    if values.is_empty() {
        text.extend(['0'; HASH]);
        return;
    }
    let mut whole = Vec::with_capacity(5 * (values.len() + more.len()));
    list(&mut whole, values);
    if !more.is_empty() {
        whole.push(b'_');
        list(&mut whole, more);
    }
    for byte in Sha256::digest(&whole).iter().take(HASH / 2) {
        let _ = write!(text, "{byte:02x}");
    }
}

/// Writes `values` in hexadecimal, with commas in between.
fn list(whole: &mut Vec<u8>, values: &[u16]) {
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            whole.push(b',');
        }
        let digit = |shift: u16| match (value >> shift & 15) as u8 {
            digit @ 0..=9 => b'0' + digit,
            letter => b'a' + letter - 10,
        };
        whole.extend([digit(12), digit(8), digit(4), digit(0)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Depth;
    use crate::app::tls::{Hello, build, read};
    use crate::app::told::Told;

    // The example of the technical description, with values without meaning thrown in.
    const CIPHERS: &[u16] = &[
        0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
        0x009c, 0x009d, 0x002f, 0x0035,
    ];
    const EXTENSIONS: &[u16] = &[
        0x1a1a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012,
        0x002b, 0xff01, 0x000b, 0x000a, 0xfafa, 0x0015,
    ];
    const ALGORITHMS: &[u16] = &[0x0403, 0x0804, 0x0401, 0x2a2a, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];

    fn example() -> build::Hello {
        let extension = |kind: &u16| match *kind {
            0x0000 => build::server_name("example.org"),
            0x0010 => build::alpn(&[b"h2", b"http/1.1"]),
            0x000d => build::signature_algorithms(ALGORITHMS),
            0x002b => build::supported_versions(&[0x3a3a, 0x0304, 0x0303]),
            other => (other, vec![]),
        };
        build::Hello {
            version: 0x0303,
            ciphers: CIPHERS.to_vec(),
            extensions: EXTENSIONS.iter().map(extension).collect(),
            cookie: None,
        }
    }

    fn fingerprint(hello: &build::Hello) -> String {
        let Told::Is(Hello::Client(client)) = read(&build::record(22, &hello.message()), Depth::All) else {
            panic!()
        };
        client.ja4.unwrap().to_string()
    }

    #[test]
    fn the_example_of_the_description() {
        assert_eq!(fingerprint(&example()), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    #[test]
    fn without_signature_algorithms() {
        let mut hello = example();
        // The extension counts, but has no list.
        hello.extensions.iter_mut().filter(|(kind, _)| *kind == 13).for_each(|(_, data)| data.clear());
        assert_eq!(fingerprint(&hello), "t13d1516h2_8daaf6152771_6d807ffa2a79");
    }

    #[test]
    fn of_nothing_are_zeros() {
        let bare = build::Hello { version: 0x0301, ..build::Hello::default() };
        assert_eq!(fingerprint(&bare), "t10i000000_000000000000_000000000000");
        let named = build::Hello { extensions: vec![build::server_name("a.example")], ..bare };
        assert_eq!(fingerprint(&named), "t10d000100_000000000000_000000000000");
    }

    #[test]
    fn versions_have_two_characters() {
        let of = |version: u16| fingerprint(&build::Hello { version, ..example() })[1..3].to_owned();
        assert_eq!(of(0x0300), "13");
        let of = |version| fingerprint(&build::Hello { version, ..build::Hello::default() })[1..3].to_owned();
        assert_eq!([0x0300, 0x0302, 0x0303, 0x0304].map(of), ["s3", "11", "12", "13"]);
    }

    #[test]
    fn no_count_has_three_digits() {
        let many = build::Hello { ciphers: (1..=120).collect(), ..example() };
        assert_eq!(&fingerprint(&many)[..8], "t13d9916");
    }

    #[test]
    fn protocols_give_two_characters() {
        // The description's own.
        let examples: [(&[u8], &str); 8] = [
            (b"h2", "h2"),
            (b"http/1.1", "h1"),
            (b"x", "xx"),
            (&[0xab], "ab"),
            (&[0xab, 0xcd], "ad"),
            (&[0x30, 0xab], "3b"),
            (&[0x30, 0x31, 0xab, 0xcd], "3d"),
            (&[0x30, 0xab, 0xcd, 0x31], "01"),
        ];
        for (protocol, expected) in examples {
            assert_eq!(alpn(Some(protocol)).iter().collect::<String>(), expected);
        }
        assert_eq!(alpn(None), ['0', '0']);
    }
}
