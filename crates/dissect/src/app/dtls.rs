//! DTLS 1.0, 1.2 and 1.3 (RFC 4347, RFC 6347, RFC 9147): the hellos of both sides, put together from datagrams.
//!
//! What a server sends to make a client prove its address (`HelloVerifyRequest`) is passed over. Not handled:
//! whatever is encrypted, such as everything behind a DTLS 1.3 server's hello.

use super::cursor::Cursor;
use super::pieces::join;
use super::tls::{ClientHello, Hello, Message, Over, hellos, message_kind, read_server};
use super::told::Told;
use super::{App, AppDissector, Begins, Depth, NameSource, Opening, Port, Reading};

/// Content types (IANA) of records that begin with this header; an acknowledgement (26) is the last.
const CONTENT: std::ops::RangeInclusive<u8> = 20..=26;
const HANDSHAKE: u8 = 22;
/// Type, version, epoch, sequence number, length (RFC 6347, section 4.1).
const RECORD_HEADER: usize = 13;
/// Messages of one direction that are put together: a server sends six before it encrypts.
const MOST_MESSAGES: u16 = 16;
/// Longest message that is put together, in bytes: nothing longer fits in what is kept of a flow.
const LONGEST: usize = 1 << 16;

/// DTLS over UDP.
#[derive(Debug)]
pub(super) struct Dtls;

impl AppDissector for Dtls {
    fn name(&self) -> &'static str {
        "dtls"
    }

    fn ports(&self) -> &'static [Port] {
        &[]
    }

    fn transports(&self) -> &'static [u8] {
        &[17]
    }

    fn begins(&self) -> Begins {
        Begins::of(&[20, 21, HANDSHAKE, 23, 24, 25, 26])
    }

    fn dissect(&self, opening: &Opening<'_>) -> Reading {
        hellos(opening, App::of("dtls"), NameSource::Dtls, |said| read(said.datagrams(), said.depth()))
    }

    /// Behind STUN, or behind a relay's own messages.
    fn follows_others(&self) -> bool {
        true
    }
}

/// Reads the first datagrams of one direction, to `depth`.
pub fn read<'a>(datagrams: impl Iterator<Item = &'a [u8]> + Clone, depth: Depth) -> Told<Hello> {
    if !datagrams.clone().any(begins) {
        return if datagrams.clone().next().is_none() { Told::NeedMore } else { Told::NotMine };
    }
    let fragments: Vec<_> = datagrams.flat_map(Records::of).flat_map(Fragments::of).collect();
    match fragments.iter().map(|f| f.kind).find(|kind| *kind != message_kind::HELLO_VERIFY_REQUEST) {
        Some(message_kind::CLIENT_HELLO) => client(&fragments, depth).map(Hello::Client),
        Some(message_kind::SERVER_HELLO) => match read_server(&messages(&fragments), false, depth) {
            Told::NotMine => Told::NotMine,
            Told::NeedMore => Told::Partly(Hello::Neither),
            told => told.map(Hello::Server),
        },
        _ => Told::Partly(Hello::Neither),
    }
}

/// Whether `bytes` begin a record of this protocol: no is soon said of most of anything else.
#[inline]
pub(super) fn begins(bytes: &[u8]) -> bool {
    matches!(bytes, [kind, 0xfe, 0xff | 0xfd, ..] | [kind, 1, 0, ..] if CONTENT.contains(kind))
}

/// The first hello of a client of which all is there; else what is there of one.
fn client(fragments: &[Fragment<'_>], depth: Depth) -> Told<super::tls::Client> {
    let mut cut = None;
    for seq in 0..MOST_MESSAGES {
        let Some((len, body)) = message(fragments, seq, message_kind::CLIENT_HELLO) else { continue };
        let whole = body.len() == len;
        let message = Message { kind: message_kind::CLIENT_HELLO, body: &body, whole };
        let Some(hello) = ClientHello::of(message, Over::Datagrams) else { continue };
        let client = hello.client(Over::Datagrams, depth);
        if whole {
            return Told::Is(client);
        }
        cut.get_or_insert(client);
    }
    cut.map_or(Told::NotMine, Told::Partly)
}

/// A server's messages in their order, up to the first one that is not there, as TLS writes them.
fn messages(fragments: &[Fragment<'_>]) -> Vec<u8> {
    let mut all = Vec::new();
    for seq in 0..MOST_MESSAGES {
        let Some(kind) = fragments.iter().find(|f| f.seq == seq).map(|f| f.kind) else {
            // A server may begin at 1: the request to prove an address had 0, and may not be here.
            if all.is_empty() {
                continue;
            }
            break;
        };
        if kind == message_kind::HELLO_VERIFY_REQUEST {
            continue;
        }
        let Some((len, body)) = message(fragments, seq, kind) else { break };
        let [_, len @ ..] = (len as u32).to_be_bytes();
        all.push(kind);
        all.extend(len);
        all.extend(body);
    }
    all
}

/// The length of a message, and as much of its beginning as is there.
fn message(fragments: &[Fragment<'_>], seq: u16, kind: u8) -> Option<(usize, Vec<u8>)> {
    let of_it = |f: &&Fragment<'_>| f.seq == seq && f.kind == kind;
    let len = fragments.iter().find(of_it)?.len;
    let same = fragments.iter().filter(of_it).filter(|f| f.len == len);
    let mut body = join(same.map(|f| (f.offset, f.bytes)));
    body.truncate(len);
    Some((len, body))
}

/// The handshake records in a datagram that are not encrypted.
struct Records<'a>(Cursor<'a>);

impl<'a> Records<'a> {
    fn of(datagram: &'a [u8]) -> Self {
        Records(Cursor::new(datagram))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while begins(self.0.rest()) {
            let mut ahead = self.0;
            let header: [u8; RECORD_HEADER - 2] = ahead.array()?;
            let len = ahead.u16()?.into();
            let fragment = ahead.take_up_to(len);
            self.0 = ahead;
            // Epoch 0 is in clear.
            if matches!(header, [HANDSHAKE, _, _, 0, 0, ..]) {
                return Some(fragment);
            }
        }
        None
    }
}

/// A piece of a handshake message (RFC 6347, section 4.2.2).
#[derive(Clone, Copy, Debug)]
struct Fragment<'a> {
    kind: u8,
    len: usize,
    seq: u16,
    offset: usize,
    bytes: &'a [u8],
}

/// The pieces in a record, one after the other.
struct Fragments<'a>(Cursor<'a>);

impl<'a> Fragments<'a> {
    fn of(record: &'a [u8]) -> Self {
        Fragments(Cursor::new(record))
    }
}

impl<'a> Iterator for Fragments<'a> {
    type Item = Fragment<'a>;

    fn next(&mut self) -> Option<Fragment<'a>> {
        let kind = self.0.u8()?;
        let len = self.0.u24()? as usize;
        let seq = self.0.u16()?;
        let (offset, here) = (self.0.u24()? as usize, self.0.u24()? as usize);
        let bytes = self.0.take_up_to(here);
        (len <= LONGEST && offset + here <= len).then_some(Fragment { kind, len, seq, offset, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tls::{Client, Version, build};

    const FINISHED: u8 = 20;

    /// A piece of a handshake message.
    fn fragment(message: &[u8], seq: u16, from: usize, to: usize) -> Vec<u8> {
        let number = |n: usize| (n as u32).to_be_bytes()[1..].to_vec();
        let (head, body) = message.split_at(4);
        [head, &seq.to_be_bytes(), &number(from), &number(to - from), &body[from..to]].concat()
    }

    fn record(epoch: u16, payload: &[u8]) -> Vec<u8> {
        let len = (payload.len() as u16).to_be_bytes();
        [&[HANDSHAKE, 0xfe, 0xfd][..], &epoch.to_be_bytes(), &[0; 6], &len, payload].concat()
    }

    fn whole(message: &[u8], seq: u16) -> Vec<u8> {
        record(0, &fragment(message, seq, 0, message.len() - 4))
    }

    fn hello(cookie: &[u8]) -> Vec<u8> {
        let mut hello = build::Hello::asking_for("peer.example");
        hello.version = 0xfefd;
        hello.cookie = Some(cookie.to_vec());
        hello.message()
    }

    fn read_all(datagrams: &[Vec<u8>]) -> Told<Hello> {
        read(datagrams.iter().map(Vec::as_slice), Depth::All)
    }

    fn is_client(told: Told<Hello>) -> Client {
        let Told::Is(Hello::Client(client)) = told else { panic!("{told:?}") };
        client
    }

    #[test]
    fn a_client_says_whom_it_asks_for() {
        let client = is_client(read_all(&[whole(&hello(b""), 0)]));
        assert_eq!(client.server_name.as_deref(), Some("peer.example"));
        assert_eq!(client.versions, [Version::DTLS12]);
        assert!(client.ja4.unwrap().as_str().starts_with("dd2d010100_"));
    }

    #[test]
    fn a_hello_may_be_cut_into_fragments_in_any_order() {
        let message = hello(b"");
        let len = message.len() - 4;
        let part = |from, to| fragment(&message, 0, from, to);
        let one = record(0, &part(50, len));
        let two = [record(0, &part(20, 60)), record(0, &part(0, 30))].concat();
        assert!(
            matches!(read_all(std::slice::from_ref(&one)), Told::Partly(Hello::Client(c)) if c.ja4.is_none())
        );
        let expected = is_client(read_all(&[whole(&message, 0)]));
        assert_eq!(is_client(read_all(&[one.clone(), two.clone()])), expected);
        assert_eq!(is_client(read_all(&[two.clone(), two, one])), expected);
        // Two pieces in one record.
        assert_eq!(is_client(read_all(&[record(0, &[part(0, 9), part(9, len)].concat())])), expected);
    }

    #[test]
    fn a_second_hello_brings_the_cookie() {
        let (first, second) = (whole(&hello(b""), 0), whole(&hello(b"cookie"), 1));
        let half = first[..first.len() - 40].to_vec();
        let client = is_client(read_all(&[half, second.clone()]));
        assert_eq!(client, is_client(read_all(&[first, second])));
    }

    #[test]
    fn what_a_server_asks_first_is_passed_over() {
        let verify = build::message(message_kind::HELLO_VERIFY_REQUEST, b"\xfe\xff\x06cookie");
        let mut chosen = build::server_hello([1; 32], 0xc02f, &[]);
        chosen[4..6].copy_from_slice(&[0xfe, 0xfd]);
        let done = build::message(message_kind::SERVER_HELLO_DONE, b"");
        let told = read_all(&[whole(&verify, 0), whole(&chosen, 1), whole(&done, 2)]);
        let Told::Is(Hello::Server(server)) = told else { panic!("{told:?}") };
        assert_eq!((server.version, server.cipher), (Version::DTLS12, 0xc02f));
        // Without the request, and from DTLS 1.3, nothing changes.
        assert!(matches!(read_all(&[whole(&chosen, 1)]), Told::Partly(Hello::Server(_))));
        assert_eq!(read_all(&[whole(&verify, 0)]), Told::Partly(Hello::Neither));
    }

    #[test]
    fn whatever_is_encrypted_is_left_alone() {
        let encrypted = record(1, &fragment(&hello(b""), 0, 0, 30));
        assert_eq!(read_all(&[encrypted]), Told::Partly(Hello::Neither));
        let finished = record(0, &fragment(&build::message(FINISHED, &[0; 12]), 5, 0, 12));
        assert_eq!(read_all(&[finished]), Told::Partly(Hello::Neither));
    }

    #[test]
    fn another_protocol_is_not_taken() {
        for other in [&b"GET / HTTP/1.1"[..], b"\x16\x03\x01", b"\x16\xfe\xfc\0\0", b""] {
            assert_eq!(read(std::iter::once(other), Depth::All), Told::NotMine, "{other:?}");
        }
        assert_eq!(read(std::iter::empty(), Depth::All), Told::NeedMore);
    }
}
