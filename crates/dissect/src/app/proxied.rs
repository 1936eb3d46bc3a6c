//! What a proxy passes on behind a line of its own: the PROXY protocol, versions 1 and 2.
//!
//! The proxy says first who connected to it (<https://www.haproxy.org/download/1.8/doc/proxy-protocol.txt>, sections 2.1
//! and 2.2), then passes on all bytes. Whoever reads these is asked as if nothing stood before them.

use super::{App, AppDissector, Begins, Candidates, End, Opening, Past, Port, Reading};

/// The words that version 1 begins with.
const LINE: &[u8] = b"PROXY ";
/// Longest line of version 1, with its end, in bytes.
const LONGEST_LINE: usize = 107;
/// What version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, and the length of what follows.
const HEADER: usize = SIGNATURE.len() + 4;

/// The PROXY protocol.
#[derive(Debug)]
pub(super) struct Proxied;

impl AppDissector for Proxied {
    fn name(&self) -> &'static str {
        "haproxy"
    }

    fn ports(&self) -> &'static [Port] {
        &[]
    }

    fn transports(&self) -> &'static [u8] {
        &[6]
    }

    fn begins(&self) -> Begins {
        Begins::of(b"P\r")
    }

    fn continues(&self) -> Begins {
        Begins::of(b"R\n")
    }

    fn dissect(&self, opening: &Opening<'_>) -> Reading {
        let (end, len) = match before(opening) {
            Before::Other => return Reading::NotMine,
            Before::Cut if opening.is_last => return Reading::NotMine,
            Before::Cut => return Reading::NeedMore,
            Before::Header(end, len) => (end, len),
        };
        let inner = behind(opening, end, len);
        let unknown = || App::of(self.name());
        if inner.said(end).is_empty() {
            return if opening.is_last { Reading::Is(unknown()) } else { Reading::Partly(unknown()) };
        }
        let mut needs_more = false;
        for (_, dissector) in candidates(&inner).each() {
            match dissector.dissect(&inner) {
                Reading::NotMine => {}
                Reading::NeedMore => needs_more = true,
                told => return told,
            }
        }
        if needs_more { Reading::Partly(unknown()) } else { Reading::Is(unknown()) }
    }

    /// What is passed on can spare, and the header with it: whoever reads that goes on alone.
    fn past(&self, opening: &Opening<'_>) -> [Past; 2] {
        let Before::Header(end, len) = before(opening) else { return [Past::None; 2] };
        let inner = behind(opening, end, len);
        let mut spared = candidates(&inner).each().map(|(_, dissector)| dissector.past(&inner));
        let Some([initiator, responder]) = spared.find(|past| *past != [Past::None; 2]) else {
            return [Past::None; 2];
        };
        let with_header = |past| match past {
            Past::None => Past::First(len as u32),
            Past::First(first) => Past::First(first.saturating_add(len as u32)),
            Past::All => Past::All,
        };
        match end {
            End::Initiator => [with_header(initiator), responder],
            End::Responder => [initiator, with_header(responder)],
        }
    }

    /// What is passed on may.
    fn recurs(&self) -> bool {
        true
    }
}

/// What stands before what is passed on.
enum Before {
    Other,
    Cut,
    /// Who sent it, and its length.
    Header(End, usize),
}

fn before(opening: &Opening<'_>) -> Before {
    let mut is_cut = false;
    for (end, said) in opening.sides() {
        match header(said.bytes()) {
            Header::Len(len) => return Before::Header(end, len),
            Header::Cut => is_cut |= !said.is_empty(),
            Header::None => {}
        }
    }
    if is_cut { Before::Cut } else { Before::Other }
}

/// What an end begins with.
enum Header {
    None,
    Cut,
    Len(usize),
}

fn header(bytes: &[u8]) -> Header {
    if LINE.starts_with(bytes) || SIGNATURE.starts_with(bytes) {
        return Header::Cut;
    }
    if bytes.starts_with(LINE) {
        let line = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
        return match memchr::memmem::find(line, b"\r\n") {
            Some(at) => Header::Len(at + 2),
            None if bytes.len() < LONGEST_LINE => Header::Cut,
            None => Header::None,
        };
    }
    let Some(rest) = bytes.strip_prefix(SIGNATURE) else { return Header::None };
    match *rest {
        // Version 2, and a command that is known.
        [0x20 | 0x21, _, high, low, ..] => {
            let len = HEADER + usize::from(u16::from_be_bytes([high, low]));
            if len <= bytes.len() { Header::Len(len) } else { Header::Cut }
        }
        [0x20 | 0x21, ..] | [] => Header::Cut,
        _ => Header::None,
    }
}

/// The opening without the header that `end` sent.
fn behind<'a>(opening: &Opening<'a>, end: End, len: usize) -> Opening<'a> {
    let mut inner = *opening;
    match end {
        End::Initiator => inner.initiator = inner.initiator.behind(len),
        End::Responder => inner.responder = inner.responder.behind(len),
    }
    inner
}

/// Who may read what is passed on. One header stands before it, not several.
fn candidates(inner: &Opening<'_>) -> Candidates {
    let of = |said: &[u8]| Candidates::of(inner.transport, said, inner.ports);
    let all = of(inner.initiator.bytes()).or(of(inner.responder.bytes()));
    let proxied = all.each().filter(|(_, dissector)| dissector.name() == "haproxy");
    proxied.fold(all, |all, (one, _)| all.without(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{Said, tls::build};

    /// A hello in a record.
    fn hello() -> Vec<u8> {
        build::record(22, &build::Hello::asking_for("proxied.example").message())
    }

    fn read(client: &[u8], server: &[u8]) -> Reading {
        let (initiator, responder) = (Said::stream(client), Said::stream(server));
        Proxied.dissect(&Opening {
            transport: 6,
            ports: [40000, 443],
            initiator,
            responder,
            ..Opening::default()
        })
    }

    /// The examples of section 2.1, and section 2.2 for a connection over IPv4 and for one of the proxy's own.
    const HEADERS: [&[u8]; 4] = [
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        b"PROXY UNKNOWN\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x9c\x40\x01\xbb",
        b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    ];

    #[test]
    fn what_is_passed_on_is_read_as_if_nothing_stood_before_it() {
        for header in HEADERS {
            for end in 1..header.len() {
                assert_eq!(read(&header[..end], b""), Reading::NeedMore);
            }
            let Reading::Partly(app) = read(header, b"") else { panic!("more is to come") };
            assert_eq!(app.protocol, "haproxy");
            let app = read(&[header, &hello()].concat(), b"").app().unwrap();
            assert_eq!((app.protocol, &*app.names[0].name), ("tls", "proxied.example"));
            let request = [header, b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n"].concat();
            let app = read(&request, b"HTTP/1.1 200 OK\r\n\r\n").app().unwrap();
            assert_eq!((app.protocol, &*app.names[0].name), ("http", "web.example"));
        }
    }

    #[test]
    fn other_bytes_are_not_its_own() {
        for other in [
            &b"PROPFIND / HTTP/1.1\r\n"[..],
            b"\r\n\r\n\0\r\nQUIT\n\x31",
            &[b"PROXY ", &[b'x'; 200][..]].concat(),
        ] {
            assert_eq!(read(other, b""), Reading::NotMine);
        }
        let Reading::Is(app) = read(&[HEADERS[0], b"\xfe\xfe\xfe\xfe"].concat(), b"") else { panic!() };
        assert_eq!(app.protocol, "haproxy");
    }
}
