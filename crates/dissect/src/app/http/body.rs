//! Where the body of an HTTP/1 request ends (RFC 9112, section 6.3).

/// Bytes of a body that does not end in what is there, where its head says how many.
pub(super) fn len(content_length: Option<u64>, is_chunked: bool) -> Option<u32> {
    content_length.filter(|_| !is_chunked).and_then(|len| u32::try_from(len).ok())
}

/// What follows a body that begins with `bytes`; `None` if it does not end in them.
pub(super) fn skip(bytes: &[u8], content_length: Option<u64>, is_chunked: bool) -> Option<&[u8]> {
    if is_chunked {
        return chunks(bytes);
    }
    let len = usize::try_from(content_length.unwrap_or(0)).ok()?;
    bytes.get(len..)
}

/// Behind the last chunk and the trailer (section 7.1).
fn chunks(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (line, rest) = line(bytes)?;
        let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
        let size = str::from_utf8(line.get(..digits)?).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return trailer(rest);
        }
        let (end, rest) = self::line(rest.get(size..)?)?;
        if !end.is_empty() {
            return None;
        }
        bytes = rest;
    }
}

fn trailer(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (line, rest) = line(bytes)?;
        if line.is_empty() {
            return Some(rest);
        }
        bytes = rest;
    }
}

/// A line without its end, and what follows.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let line = bytes.get(..end)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), bytes.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_end_where_their_heads_say() {
        assert_eq!(skip(b"abcGET", Some(3), false), Some(&b"GET"[..]));
        assert_eq!(skip(b"abc", Some(4), false), None);
        assert_eq!(skip(b"abc", Some(u64::MAX), false), None);
        assert_eq!(skip(b"GET", None, false), Some(&b"GET"[..]));
        // RFC 9112, section 7.1: size in hexadecimal, extensions, last chunk, trailer.
        assert_eq!(
            skip(b"4;a=b\r\nWiki\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\nGET", None, true),
            Some(&b"GET"[..])
        );
        assert_eq!(skip(b"4\r\nWikiGET", None, true), None);
        assert_eq!(skip(b"ffffffffffffffff\r\nx", None, true), None);
        assert_eq!(skip(b"x", None, true), None);
    }
}
