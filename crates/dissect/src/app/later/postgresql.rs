//! PostgreSQL's frontend/backend protocol (version 3; PostgreSQL documentation, "Message Formats").

use super::{Before, HELLO, Later};
use crate::app::{Mark, Opening, Port};

pub(in crate::app) static POSTGRESQL: Later = Later {
    name: "postgresql",
    ports: &[Port::Tcp(5432)],
    begins: b"\0",
    mark: Some(MARK),
    before,
    server: None,
};

/// Second byte of a code or a version: whoever asks says one of them behind a length. A server says nothing before.
const MARK: Mark = Mark::new(5, &[0xd2, 3]);

/// Asks for TLS: a length of eight bytes, and the code.
const SSL_REQUEST: [u8; 8] = *b"\0\0\0\x08\x04\xd2\x16\x2f";
/// Asks for GSSAPI encryption; a client may do so first.
const GSS_REQUEST: [u8; 8] = *b"\0\0\0\x08\x04\xd2\x16\x30";
/// Version 3.0 in the message that begins a session in clear, behind its length.
const VERSION: [u8; 4] = [0, 3, 0, 0];
/// Longest message of that kind, in bytes.
const LONGEST: u32 = 10_000;

fn before(opening: &Opening<'_>) -> Before {
    let sides = opening.sides().map(|(_, said)| said.bytes());
    let asked = sides.map(requests);
    let [client, server] = match asked {
        [Asked::Other, Asked::Other] => return Before::NotMine,
        // A server says nothing before it is asked.
        [Asked::Other, _] | [_, Asked::Other] if sides.iter().any(|bytes| bytes.is_empty()) => {
            return Before::NotMine;
        }
        // One end has to ask; what the other says is read by the answers that this takes.
        [Asked::Other, _] => [1, 0],
        _ => [0, 1],
    };
    let mut clear = [None; 2];
    let (answers, in_clear) = match asked.get(client) {
        Some(Asked::Requests(count)) => (*count, false),
        Some(Asked::Session) => (0, true),
        _ if opening.is_last => return Before::NotMine,
        _ => return Before::NeedMore,
    };
    for (end, len) in [(client, answers * SSL_REQUEST.len()), (server, answers)] {
        let follows =
            sides.get(end).and_then(|bytes| bytes.get(len..)).is_some_and(|rest| rest.starts_with(&HELLO));
        if let (Some(slot), true) = (clear.get_mut(end), follows) {
            *slot = Some(len);
        }
    }
    Before::Mine { clear, over: in_clear }
}

/// What an end begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Nothing, or the beginning of something.
    Open,
    /// So many requests for encryption.
    Requests(usize),
    /// A session in clear.
    Session,
    /// Something else: a server's answers.
    Other,
}

fn requests(bytes: &[u8]) -> Asked {
    let (messages, rest) = bytes.as_chunks();
    let count = messages.iter().take_while(|m| **m == SSL_REQUEST || **m == GSS_REQUEST).count();
    if count > 0 {
        return Asked::Requests(count);
    }
    let Some((len, rest_of_it)) = bytes.split_first_chunk() else {
        return if rest.iter().all(|byte| *byte == 0) { Asked::Open } else { Asked::Other };
    };
    let len = u32::from_be_bytes(*len);
    match rest_of_it.first_chunk() {
        Some(version) if *version == VERSION && (9..LONGEST).contains(&len) => Asked::Session,
        None if (8..LONGEST).contains(&len) => Asked::Open,
        _ => Asked::Other,
    }
}
