//! The head of one HTTP/1 message (RFC 9112): its first line and what its header fields say that is of use here.
//!
//! `httparse` reads what is whole and well-formed. Heads that were cut off and those that it refuses are read line by
//! line: the name of who was asked stands in them all the same.

use std::mem::MaybeUninit;

use httparse::{Request, Status};

/// Header fields of a head that are read.
const MAX_FIELDS: usize = 64;
/// Longest method (those in use have up to 16 bytes).
const MAX_METHOD: usize = 20;
/// Methods that a cut first line is believed to begin (RFC 9110, section 9; RFC 5789; RFC 4918).
const METHODS: [&[u8]; 14] = [
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"CONNECT",
    b"OPTIONS",
    b"DELETE",
    b"PATCH",
    b"TRACE",
    b"PROPFIND",
    b"REPORT",
    b"MKCOL",
    b"LOCK",
    b"SUBSCRIBE",
];

/// What the header fields say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    /// Values of the first `Host` fields; one is allowed.
    pub(super) hosts: [Option<&'a [u8]>; 4],
    pub(super) user_agent: Option<&'a [u8]>,
    pub(super) content_length: Option<u64>,
    pub(super) is_chunked: bool,
    pub(super) upgrade: Option<&'a [u8]>,
}

/// A request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestHead<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    /// Minor version: 0 or 1.
    pub(super) minor: u8,
    pub(super) fields: Fields<'a>,
    /// Bytes up to its end; `None` if it goes on in bytes that are not there.
    pub(super) len: Option<usize>,
}

/// What begins a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start<'a> {
    /// A request line.
    Request { method: &'a str, target: &'a str, minor: u8 },
    /// A status line, with its code.
    Response { minor: u8, code: u16 },
    /// Too few bytes to tell.
    Cut,
    /// Another protocol's.
    Other,
}

/// Reads a first line.
pub(super) fn start(bytes: &[u8]) -> Start<'_> {
    if let Some(rest) = bytes.strip_prefix(b"HTTP/1.") {
        return response(rest);
    }
    if b"HTTP/1.".starts_with(bytes) {
        return Start::Cut;
    }
    let Some(space) = bytes.iter().take(MAX_METHOD + 1).position(|&byte| !is_method(byte)) else {
        let is_begun = METHODS.iter().any(|method| method.starts_with(bytes));
        return if is_begun { Start::Cut } else { Start::Other };
    };
    let (method, rest) = bytes.split_at(space);
    let Some(rest) = rest.strip_prefix(b" ").filter(|_| space >= 3) else { return Start::Other };
    let Some(end) = memchr::memchr(b'\n', rest) else {
        let is_text = !rest.iter().any(u8::is_ascii_control) || rest.ends_with(b"\r");
        return if is_text && METHODS.contains(&method) { Start::Cut } else { Start::Other };
    };
    let line = rest.get(..end).unwrap_or_default().trim_ascii();
    let Some((rest, minor @ (b'0' | b'1'))) = line.split_last().map(|(last, rest)| (rest, *last)) else {
        return Start::Other;
    };
    let Some(target) = rest.strip_suffix(b" HTTP/1.") else { return Start::Other };
    match (str::from_utf8(method), str::from_utf8(target.trim_ascii())) {
        (Ok(method), Ok(target)) if !target.is_empty() => {
            Start::Request { method, target, minor: minor - b'0' }
        }
        _ => Start::Other,
    }
}

/// The method of a request of which not even the first line is whole: one of those that are believed, and the beginning of a
/// target in a form that other protocols with such lines do not have (RFC 9112, sections 3.2.1 and 3.2.2).
pub(super) fn begun_request(bytes: &[u8]) -> Option<&str> {
    let (method, target) = bytes.split_at_checked(memchr::memchr(b' ', bytes)?)?;
    let is_target = target.starts_with(b" /") || target.starts_with(b" http://");
    let method = METHODS.into_iter().find(|known| *known == method).filter(|_| is_target)?;
    str::from_utf8(method).ok()
}

/// What stands behind `HTTP/1.`.
fn response(rest: &[u8]) -> Start<'_> {
    match rest {
        [minor @ (b'0' | b'1'), b' ', a, b, c, ..]
            if [a, b, c].iter().all(|digit| digit.is_ascii_digit()) =>
        {
            let code = [a, b, c].iter().fold(0, |code, &digit| code * 10 + u16::from(digit - b'0'));
            Start::Response { minor: minor - b'0', code }
        }
        [] | [b'0' | b'1'] => Start::Cut,
        [b'0' | b'1', b' ', digits @ ..] if digits.len() < 3 && digits.iter().all(u8::is_ascii_digit) => {
            Start::Cut
        }
        _ => Start::Other,
    }
}

fn is_method(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte == b'-' || byte == b'_'
}

/// Reads a request's head at the start of `bytes`, of which [`start`] says the same.
pub(super) fn request<'a>(bytes: &'a [u8], method: &'a str, target: &'a str, minor: u8) -> RequestHead<'a> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = Request::new(&mut []);
    if let Ok(Status::Complete(len)) = request.parse_with_uninit_headers(bytes, &mut headers) {
        let mut fields = Fields::default();
        request.headers.iter().for_each(|header| fields.take(header.name.as_bytes(), header.value));
        return RequestHead { method, target, minor, fields, len: Some(len) };
    }
    let (fields, len) = by_lines(bytes);
    RequestHead { method, target, minor, fields, len }
}

/// Where a head ends; `None` if it goes on in bytes that are not there.
pub(super) fn end(bytes: &[u8]) -> Option<usize> {
    by_lines(bytes).1
}

/// What a whole response switches to (RFC 9110, section 7.8); `None` if it goes on in bytes that are not there.
pub(super) fn switches_to(bytes: &[u8]) -> Option<&[u8]> {
    let (fields, len) = by_lines(bytes);
    len.map(|_| fields.upgrade.unwrap_or_default())
}

impl<'a> Fields<'a> {
    fn take(&mut self, name: &[u8], value: &'a [u8]) {
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"host") {
            if let Some(slot) = self.hosts.iter_mut().find(|host| host.is_none()) {
                *slot = Some(value);
            }
        } else if name.eq_ignore_ascii_case(b"user-agent") {
            self.user_agent.get_or_insert(value);
        } else if name.eq_ignore_ascii_case(b"content-length") {
            self.content_length = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.is_chunked = value.to_ascii_lowercase().ends_with(b"chunked");
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = Some(value);
        }
    }
}

/// The header fields behind a first line, as far as lines are whole, and where the empty line behind them ends.
fn by_lines(bytes: &[u8]) -> (Fields<'_>, Option<usize>) {
    let mut fields = Fields::default();
    let mut at = 0;
    for (number, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        at += line.len();
        let Some(line) = line.strip_suffix(b"\n") else { return (fields, None) };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if number == 0 {
            continue;
        }
        if line.is_empty() {
            return (fields, Some(at));
        }
        if let Some(colon) = memchr::memchr(b':', line) {
            let (name, value) = line.split_at(colon);
            fields.take(name.trim_ascii_end(), value.get(1..).unwrap_or_default());
        }
    }
    (fields, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_tell_who_speaks() {
        let get = Start::Request { method: "GET", target: "/a b", minor: 1 };
        assert_eq!(start(b"GET /a b HTTP/1.1\r\n"), get);
        assert_eq!(
            start(b"M-SEARCH * HTTP/1.1\n"),
            Start::Request { method: "M-SEARCH", target: "*", minor: 1 }
        );
        assert_eq!(start(b"HTTP/1.0 404 Not Found\r\n"), Start::Response { minor: 0, code: 404 });
        for cut in ["G", "GET", "GET /", "GET /a HTTP/1.1", "GET /a HTTP/1.1\r", "H", "HTTP/1.1 2", "HTTP/1."]
        {
            assert_eq!(start(cut.as_bytes()), Start::Cut, "{cut}");
        }
        let others = [
            "GET",
            "INVITE sip:a@b SIP/2.0\r\n",
            "GET /\r\n",
            "EHLO a",
            "X ",
            "HTTP/1.1 2x",
            "HTTP/3 200",
            "GET\x00/",
        ];
        for other in others.iter().skip(1) {
            assert_eq!(start(other.as_bytes()), Start::Other, "{other}");
        }
    }

    #[test]
    fn a_method_and_a_target_begin_a_request() {
        assert_eq!(begun_request(b"GET /a/long/path"), Some("GET"));
        assert_eq!(begun_request(b"POST http://a.exam"), Some("POST"));
        for other in ["GET", "GET ", "GET a", "OPTIONS sip:a@b", "OPTIONS rtsp://a/", "FETCH /", "RAW /a"] {
            assert_eq!(begun_request(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_is_cut_or_refused_is_read_line_by_line() {
        let (fields, len) = by_lines(b"GET / HTTP/1.1\r\nHost : a.example\r\nbad line\r\nUser-Agent: x");
        assert_eq!((fields.hosts[0], fields.user_agent, len), (Some(&b"a.example"[..]), None, None));
        let whole = b"GET / HTTP/1.1\r\nhost:a.example \r\n\r\nrest";
        let head = request(whole, "GET", "/", 1);
        assert_eq!((head.fields.hosts[0], head.len), (Some(&b"a.example"[..]), Some(whole.len() - 4)));
        assert_eq!(by_lines(whole), (head.fields, head.len), "both ways agree");
    }
}
