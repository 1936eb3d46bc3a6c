//! DNS messages (RFC 1035, section 4) over UDP and TCP, mDNS (RFC 6762), LLMNR (RFC 4795) and the NetBIOS name service.
//!
//! Questions and answers are read; authority and additional records are not,
//! so neither what they say nor what is wrong with them counts (EDNS, section
//! 6.1.3 of RFC 6891, lives there: a response code is its lower four bits).
//! Not handled: IXFR and AXFR as a whole (each message stands alone), dynamic
//! updates (RFC 2136) beyond the zone and prerequisites, which stand where
//! questions and answers do, and DSO (RFC 8490) beyond its header.
//!
//! The reader is this project's own. A traffic analyser has to lay out what is on
//! the wire, and the published parsers refuse a whole message for one record
//! that they do not like: an authority count that is off, a name with a
//! pointer to behind itself, a cut additional record.
//!
//! Work is linear in the message's length: no count is trusted before the
//! bytes are there, and all names of a message share one budget of
//! labels and pointers (`wire::Wire`).

mod alias;
mod name;
mod netbios;
mod outline;
mod svcb;
#[cfg(test)]
mod tests;
mod wire;

use std::net::IpAddr;
use std::sync::Arc;

pub use self::netbios::NetbiosName;
pub use self::outline::{Address, Asked, Names, Outline};
pub use self::svcb::Service;
use self::wire::{HEADER, Header, whole};
use super::{Fact, MessageDissector, Port, Verdict};
use crate::FiveTuple;

/// The NetBIOS name service: names in another form, in the same format (RFC 1002, section 4.2).
const NETBIOS_NAMES: u16 = 137;
const TCP: u8 = 6;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Message {
    /// Chosen by who asks, copied by who answers.
    pub id: u16,
    /// Answer, not query (the QR bit).
    pub answer: bool,
    /// Kind of query (IANA number; 0 is a standard query).
    pub opcode: u8,
    /// RCODE (IANA number), without the upper bits that EDNS adds.
    pub response_code: u8,
    /// What is asked.
    pub questions: Vec<Question>,
    /// Records of the answer section, as many as there are whole ones.
    pub answers: Vec<Record>,
}

/// One entry of the question section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Name as it is shown, without the last dot; the root is empty.
    ///
    /// Printable UTF-8 stands for itself, also a dot or backslash inside a
    /// label; controls are written `\n` or `\001` (octal), other characters
    /// that show nothing `\u200B`, and what is not UTF-8 is U+FFFD. A name
    /// that cannot be laid out is a remark in angle brackets.
    pub name: Arc<str>,
    /// QTYPE (IANA number).
    pub kind: u16,
}

/// One resource record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Owner name, as in [`Question::name`].
    pub name: Arc<str>,
    /// TYPE (IANA number).
    pub kind: u16,
    /// Time to live, in seconds.
    pub ttl: u32,
    /// What it says.
    pub value: Value,
}

/// What a record says, for the types that name flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A and AAAA.
    Address(IpAddr),
    /// CNAME, PTR and NS, as in [`Question::name`].
    Name(Arc<str>),
    /// Anything else, and what is too short for its type.
    Other,
}

/// DNS on port 53, and on TCP port 5353 (mDNS is UDP only).
pub(super) static DNS: Dns = Dns { name: "dns", ports: &[Port::Udp(53), Port::Tcp(53), Port::Tcp(5353)] };
/// Multicast DNS on port 5353.
pub(super) static MDNS: Dns = Dns { name: "mdns", ports: &[Port::Udp(5353)] };
/// Link-local multicast name resolution on port 5355.
pub(super) static LLMNR: Dns = Dns { name: "llmnr", ports: &[Port::Udp(5355), Port::Tcp(5355)] };

/// The NetBIOS name service on port 137.
pub(super) static NBNS: Dns = Dns { name: "nbns", ports: &[Port::Udp(NETBIOS_NAMES)] };

/// One of the protocols that speak in DNS messages.
#[derive(Debug)]
pub(super) struct Dns {
    name: &'static str,
    ports: &'static [Port],
}

impl MessageDissector for Dns {
    fn name(&self) -> &'static str {
        self.name
    }

    fn ports(&self) -> &'static [Port] {
        self.ports
    }

    fn dissect<'a>(&self, tuple: &FiveTuple, bytes: &'a [u8]) -> Verdict<'a> {
        match verdict_of(tuple.protocol, bytes) {
            Verdict::Is { consumed, fact: Fact::Dns(outline) } if self.name == NBNS.name => {
                Verdict::Is { consumed, fact: Fact::Dns(outline.of_netbios()) }
            }
            verdict => verdict,
        }
    }

    /// DNS on a port of its own choice, over UDP: one question or an answer, and every record whole.
    fn recognizes(&self, src_port: u16, dst_port: u16, bytes: &[u8]) -> bool {
        may_begin(bytes)
            && Header::of(bytes).is_some_and(|header| header.common(bytes.len()) && whole(&header, bytes))
            && ![src_port, dst_port].contains(&NETBIOS_NAMES)
    }
}

/// Whether `bytes` may begin a plain query or answer: one question, or an answer without, says no to most of anything
/// else, and to zeros.
#[inline]
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    matches!(bytes, [_, _, _, _, 0, 1, ..] | [_, _, 0x80..=0xff, _, 0, 0, ..])
}

fn verdict_of(protocol: u8, bytes: &[u8]) -> Verdict<'_> {
    if protocol == TCP { in_stream(bytes) } else { verdict(bytes, bytes.len()) }
}

/// Reads behind the length that precedes each message on TCP (RFC 1035, section 4.2.2).
fn in_stream(bytes: &[u8]) -> Verdict<'_> {
    let Some((len, rest)) = bytes.split_first_chunk::<2>() else { return Verdict::NeedMore };
    let len = usize::from(u16::from_be_bytes(*len));
    // No message is shorter than its header: another protocol, or zeros.
    if len < HEADER {
        return Verdict::NotMine;
    }
    // The header tells a stream of something else before a length that it does not have is waited for.
    if Header::of(rest).is_some_and(|header| !header.plausible(len)) {
        return Verdict::NotMine;
    }
    rest.get(..len).map_or(Verdict::NeedMore, |message| verdict(message, 2 + len))
}

#[inline]
fn verdict(message: &[u8], consumed: usize) -> Verdict<'_> {
    let Some(header) = Header::of(message) else {
        return Verdict::Malformed { consumed, reason: "shorter than a header" };
    };
    if header.asks_nothing() {
        return Verdict::Malformed { consumed, reason: "empty message" };
    }
    match Outline::of(header, message) {
        Ok(outline) => Verdict::Is { consumed, fact: Fact::Dns(outline) },
        Err(reason) => Verdict::Malformed { consumed, reason },
    }
}
