//! SSH, told by the identification strings of both ends (RFC 4253, section 4.2).
//!
//! A server may send other lines before its own; those are passed over. What follows is not read.

use super::{App, AppDissector, Begins, End, Opening, Port, Reading, Said};

/// The longest identification string, with its line end (RFC 4253, section 4.2).
const MAX_LINE: usize = 255;
/// Bytes of lines before it that are passed over.
const MAX_BEFORE: usize = 4096;

/// The secure shell.
#[derive(Debug)]
pub(super) struct Ssh;

impl AppDissector for Ssh {
    fn name(&self) -> &'static str {
        "ssh"
    }

    fn ports(&self) -> &'static [Port] {
        &[Port::Tcp(22)]
    }

    fn transports(&self) -> &'static [u8] {
        &[6]
    }

    fn begins(&self) -> Begins {
        Begins::of(b"S")
    }

    fn dissect(&self, opening: &Opening<'_>) -> Reading {
        let mut app = App::of("ssh");
        let mut wants_more = false;
        for (end, said) in opening.sides() {
            match identification(said) {
                // The client's string says little of a server, and the other way round: whose it is, is told by the port.
                Line::Is(software) => {
                    app.set_text(if is_server(opening, end) { SERVER } else { CLIENT }, software);
                }
                Line::Cut | Line::None => wants_more = true,
                Line::Other if !said.is_empty() => return Reading::NotMine,
                Line::Other => {}
            }
        }
        match (app.fields.is_empty(), wants_more && !opening.is_last) {
            (true, true) => Reading::NeedMore,
            (true, false) => Reading::NotMine,
            (false, true) => Reading::Partly(app),
            (false, false) => Reading::Is(app),
        }
    }
}

const CLIENT: &str = "ssh.client";
const SERVER: &str = "ssh.server";

/// The responder is the server, unless only the initiator has a well-known port.
fn is_server(opening: &Opening<'_>, end: End) -> bool {
    let [initiator, responder] = opening.ports;
    (end == End::Responder) != (initiator < 1024 && responder >= 1024)
}

/// What an end's first lines hold.
enum Line<'a> {
    /// The identification string behind `SSH-`.
    Is(&'a str),
    /// The beginning of one.
    Cut,
    /// Nothing was sent yet.
    None,
    /// Something else.
    Other,
}

fn identification(said: Said<'_>) -> Line<'_> {
    let bytes = said.bytes();
    if bytes.is_empty() {
        return Line::None;
    }
    let mut rest = bytes.get(..MAX_BEFORE).unwrap_or(bytes);
    while !rest.is_empty() {
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
            let may_be = rest.len() < MAX_LINE && (rest.starts_with(b"SSH-") || b"SSH-".starts_with(rest));
            return if may_be { Line::Cut } else { Line::Other };
        };
        let line = rest.get(..end).unwrap_or_default().trim_ascii_end();
        if let Some(software) = line.strip_prefix(b"SSH-") {
            return match str::from_utf8(software) {
                Ok(software) if software.len() < MAX_LINE => Line::Is(software),
                _ => Line::Other,
            };
        }
        // Only text stands before it.
        if line.iter().any(u8::is_ascii_control) {
            return Line::Other;
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    Line::Cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Value;

    fn read(client: &[u8], server: &[u8]) -> Reading {
        let (initiator, responder) = (Said::stream(client), Said::stream(server));
        Ssh.dissect(&Opening { transport: 6, ports: [40000, 22], initiator, responder, ..Opening::default() })
    }

    const CLIENT_LINE: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";

    #[test]
    fn both_ends_say_what_they_run() {
        let Reading::Partly(app) = read(CLIENT_LINE, b"") else { panic!("one end is enough to know") };
        assert_eq!(app.get("ssh.client"), Some(&Value::Text("2.0-OpenSSH_9.2p1 Debian-2".into())));
        let server = b"Unauthorized use is prohibited.\r\nSSH-2.0-dropbear_2022.83\r\n\x00\x00\x01";
        let Reading::Is(app) = read(CLIENT_LINE, server) else { panic!("nothing is missing") };
        assert_eq!(app.get("ssh.server"), Some(&Value::Text("2.0-dropbear_2022.83".into())));
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(read(b"SIP/2.0 200 OK\r\n", b""), Reading::NeedMore, "text may stand before it");
        assert_eq!(read(b"S\x00\x01\n", b""), Reading::NotMine);
        assert_eq!(read(b"SSH-\xff\xff\r\n", b""), Reading::NotMine);
        assert_eq!(read(&[b'S'; 300], b""), Reading::NotMine);
        for len in 0..CLIENT_LINE.len() {
            assert_eq!(read(&CLIENT_LINE[..len], b""), Reading::NeedMore, "{len} bytes");
        }
    }
}
