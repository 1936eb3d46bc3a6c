//! DNS messages (RFC 1035, section 4) over UDP and TCP, mDNS (RFC 6762) and LLMNR (RFC 4795).

use std::net::IpAddr;

use super::{AppDissector, Port, Verdict};
use crate::FiveTuple;

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
    /// Records of the answer section.
    pub answers: Vec<Record>,
}

/// One entry of the question section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Name in presentation form, without the last dot; the root is empty.
    pub name: String,
    /// QTYPE (IANA number).
    pub kind: u16,
}

/// One resource record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Owner name, as in [`Question::name`].
    pub name: String,
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
    /// CNAME, PTR and NS.
    Name(String),
    /// Anything else.
    Other,
}

/// DNS on port 53.
pub(super) static DNS: Dns = Dns { name: "dns", ports: &[Port::Udp(53), Port::Tcp(53)] };
/// Multicast DNS on port 5353.
pub(super) static MDNS: Dns = Dns { name: "mdns", ports: &[Port::Udp(5353)] };
/// Link-local multicast name resolution on port 5355.
pub(super) static LLMNR: Dns = Dns { name: "llmnr", ports: &[Port::Udp(5355), Port::Tcp(5355)] };

/// One of the protocols that speak in DNS messages.
#[derive(Debug)]
pub(super) struct Dns {
    name: &'static str,
    ports: &'static [Port],
}

impl AppDissector for Dns {
    fn name(&self) -> &'static str {
        self.name
    }

    fn ports(&self) -> &'static [Port] {
        self.ports
    }

    fn dissect(&self, _tuple: &FiveTuple, _bytes: &[u8]) -> Verdict {
        Verdict::NotMine
    }
}
