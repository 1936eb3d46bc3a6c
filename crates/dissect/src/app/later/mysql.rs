//! MySQL's protocol (version 10; MySQL Internals, "Connection Phase"): the server greets, the client logs in or asks for
//! TLS first.

use super::{Before, HELLO, Later};
use crate::app::cursor::Cursor;
use crate::app::opening::span;
use crate::app::{Mark, Opening, Port};

/// First bytes of messages of plausible lengths; the greeting is not shorter.
static FIRST: [u8; 224] = span(32);

pub(in crate::app) static MYSQL: Later = Later {
    name: "mysql",
    ports: &[Port::Tcp(3306)],
    begins: &FIRST,
    mark: Some(Mark::new(HEADER, &[VERSION])),
    before,
    server: Some(("mysql.server.version", version)),
};

/// Length, which is little-endian, and number of a message.
const HEADER: usize = 4;
/// What a greeting begins with.
const VERSION: u8 = 10;
/// Bytes behind the header of a client that asks for TLS: its login up to the user's name.
const REQUEST: usize = 32;
/// The client's wish, among its capabilities.
const SSL: u16 = 0x0800;

fn before(opening: &Opening<'_>) -> Before {
    let [initiator, responder] = opening.sides().map(|(_, said)| said.bytes());
    match (greeting(initiator), greeting(responder)) {
        (Greeting::Ends(at), _) => behind(initiator, at, responder, |server, client| [server, client]),
        (_, Greeting::Ends(at)) => behind(responder, at, initiator, |server, client| [client, server]),
        (Greeting::Cut, _) | (_, Greeting::Cut) if !opening.is_last => Before::NeedMore,
        // A client's login alone could be anything.
        _ => Before::NotMine,
    }
}

/// Where TLS begins, if the client asks for it behind the greeting that ends `at` so many bytes.
fn behind(
    server: &[u8],
    at: usize,
    client: &[u8],
    order: fn(Option<usize>, Option<usize>) -> [Option<usize>; 2],
) -> Before {
    let mut cursor = Cursor::new(client);
    let head = cursor.array::<HEADER>().zip(cursor.array::<2>());
    let Some(([len, high, higher, _number], capabilities)) = head else {
        return Before::Mine { clear: [None; 2], over: false };
    };
    let asks = usize::from(len) == REQUEST
        && [high, higher] == [0, 0]
        && u16::from_le_bytes(capabilities) & SSL != 0;
    let follows =
        |bytes: &[u8], at: usize| bytes.get(at..).is_some_and(|rest| rest.starts_with(&HELLO)).then_some(at);
    let clear = if asks { order(follows(server, at), follows(client, HEADER + REQUEST)) } else { [None; 2] };
    Before::Mine { clear, over: !asks }
}

/// What an end begins with.
enum Greeting {
    /// A server's greeting, which ends after so many bytes.
    Ends(usize),
    /// The beginning of one.
    Cut,
    /// Something else, or nothing.
    Other,
}

fn greeting(bytes: &[u8]) -> Greeting {
    let mut cursor = Cursor::new(bytes);
    let Some([low, middle, high, number, version]) = cursor.array() else {
        return Greeting::Other;
    };
    let len = usize::from(u16::from_le_bytes([low, middle]));
    if [high, number, version] != [0, 0, VERSION] || !(32..1024).contains(&len) {
        return Greeting::Other;
    }
    let release = cursor.rest().split(|byte| *byte == 0).next().unwrap_or_default();
    let plausible =
        release.first().is_some_and(u8::is_ascii_digit) && release.iter().all(u8::is_ascii_graphic);
    match (plausible, bytes.len() >= HEADER + len) {
        (true, true) => Greeting::Ends(HEADER + len),
        (true, false) => Greeting::Cut,
        (false, _) => Greeting::Other,
    }
}

/// The version in a first packet of protocol 10: behind its length and number, up to a zero.
fn version(bytes: &[u8]) -> Option<&str> {
    let [_, _, _, 0, VERSION, rest @ ..] = bytes else { return None };
    let end = rest.iter().take(64).position(|&byte| byte == 0)?;
    let version = str::from_utf8(rest.get(..end)?).ok()?;
    Some(version).filter(|version| !version.is_empty() && version.chars().all(|c| c.is_ascii_graphic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_has_the_version() {
        assert_eq!(version(b"\x36\0\0\0\x0a5.5.2-m2\0\x0b\0\0\0"), Some("5.5.2-m2"));
        assert_eq!(version(b"\x36\0\0\0\x0a5.5"), None);
    }
}
