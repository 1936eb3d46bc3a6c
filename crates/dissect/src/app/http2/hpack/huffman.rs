//! HPACK's Huffman code (RFC 7541, section 5.2 and appendix B).
//!
//! The code is canonical: codes of one length are consecutive, in the order of their symbols, and follow those of
//! shorter ones. So the lengths say all.

/// Length of each symbol's code, in bits; the last symbol is EOS (appendix B).
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
/// The longest code, and one.
const ENDS: usize = 31;

/// By length of code: the first code, how many there are, and where their symbols begin.
const CODES: [(u32, u32, u16); ENDS] = codes();
/// The symbols in the order of their codes.
const SYMBOLS: [u16; 257] = symbols();

#[expect(clippy::indexing_slicing, reason = "it is run by the compiler, which says so where it fails")]
const fn codes() -> [(u32, u32, u16); ENDS] {
    let mut codes = [(0, 0, 0); ENDS];
    let (mut code, mut place, mut len) = (0, 0, 1);
    while len < ENDS {
        let mut count = 0;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            count += (LENGTHS[symbol] as usize == len) as u32;
            symbol += 1;
        }
        code <<= 1;
        codes[len] = (code, count, place);
        code += count;
        place += count as u16;
        len += 1;
    }
    codes
}

#[expect(clippy::indexing_slicing, reason = "it is run by the compiler, which says so where it fails")]
const fn symbols() -> [u16; 257] {
    let mut symbols = [0; 257];
    let (mut place, mut len) = (0, 1);
    while len < ENDS {
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == len {
                symbols[place] = symbol as u16;
                place += 1;
            }
            symbol += 1;
        }
        len += 1;
    }
    symbols
}

/// Decodes a string. `None` for what no encoder may send: EOS, or padding that is long or not of ones.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(bytes.len() * 8 / 5);
    let (mut code, mut len) = (0, 0);
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |shift| u32::from(byte >> shift & 1))) {
        (code, len) = (code << 1 | bit, len + 1);
        let &(first, count, place) = CODES.get(len)?;
        let within = code.wrapping_sub(first);
        if within < count {
            let symbol = *SYMBOLS.get(usize::from(place) + within as usize)?;
            text.push(u8::try_from(symbol).ok()?);
            (code, len) = (0, 0);
        }
    }
    let is_padding = len < 8 && code == (1 << len) - 1;
    is_padding.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541, appendix C.4 and C.6.
    #[test]
    fn examples_of_the_specification() {
        let examples: [(&[u8], &str); 5] = [
            (&[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff], "www.example.com"),
            (&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache"),
            (&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f], "custom-key"),
            (&[0x64, 0x02], "302"),
            (&[0xae, 0xc3, 0x77, 0x1a, 0x4b], "private"),
        ];
        for (bytes, text) in examples {
            assert_eq!(decode(bytes).as_deref(), Some(text.as_bytes()));
        }
        assert_eq!(decode(&[]), Some(Vec::new()));
    }

    #[test]
    fn what_no_encoder_sends_is_refused() {
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0xff]), None, "EOS");
        assert_eq!(decode(&[0x64, 0x02, 0xff]), None, "eight bits of padding");
        assert_eq!(decode(&[0x00]), None, "padding of zeros");
    }

    #[test]
    fn codes_are_those_of_the_appendix() {
        assert_eq!(SYMBOLS[..5], [48, 49, 50, 97, 99]);
        assert_eq!(SYMBOLS[256], 256);
        let last = CODES[30];
        assert_eq!(last.0 + last.1 - 1, 0x3fff_ffff, "EOS is all ones");
    }
}
