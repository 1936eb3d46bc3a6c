//! The NetBIOS name service (RFC 1001, RFC 1002, section 4.2): DNS messages with names in half-ASCII.
//!
//! Names are shown as their text and the number of the service in angle brackets: `SERVER<20>`. Lists of names that a node
//! has (NBSTAT) are not laid out.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::Message;
use super::outline::Outline;
use super::{Record, Value};

/// IANA number of the record type that gives a name its addresses (RFC 1002, section 4.2.1.3).
const TYPE_NB: u16 = 0x20;
/// Each address is behind flags; the first of them says that the name is a group's.
const ENTRY: usize = 6;
const GROUP: u8 = 0x80;
/// Letters of an encoded name: two for each of 16 bytes.
const LETTERS: usize = 32;
/// The services of which the name is a host's: the workstation's and the server's.
const HOSTS: [u8; 2] = [0x00, 0x20];
/// Kinds of requests in which a node gives its own names (RFC 1002, section 4.2.1.1): registration, both values of
/// refresh, registration with several addresses.
const CLAIMS: [u8; 4] = [5, 8, 9, 15];

/// A host's name and one of its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetbiosName {
    /// Without the number of a service.
    pub name: Arc<str>,
    /// One of its addresses.
    pub addr: IpAddr,
    /// Time to live, in seconds.
    pub ttl: u32,
}

impl Outline<'_> {
    /// The hosts that a message of the NetBIOS name service names: in an answer, or because the sender claims the names.
    pub fn netbios_names(&self) -> Vec<NetbiosName> {
        let mut names = Vec::new();
        let answers = self.answer() && self.response_code() == 0 && self.opcode() == 0;
        if !answers && (self.answer() || !CLAIMS.contains(&self.opcode())) {
            return names;
        }
        let mut wire = self.answers();
        for _ in 0..self.record_count() {
            let start = wire.at;
            let Ok((kind, ttl, says)) = wire.pass_any_record() else { break };
            let behind = std::mem::replace(&mut wire.at, start);
            let name = wire.name();
            wire.at = behind;
            let decoded = name.ok().and_then(|name| decode(&name));
            let Some((text, _)) = decoded.filter(|(_, service)| HOSTS.contains(service)) else { continue };
            if kind != TYPE_NB || text.is_empty() {
                continue;
            }
            let name: Arc<str> = text.into();
            let hosts = entries(self.bytes().get(says).unwrap_or_default()).filter(|(is_group, _)| !is_group);
            names.extend(hosts.map(|(_, addr)| NetbiosName { name: Arc::clone(&name), addr, ttl }));
        }
        names
    }

    /// Lays out names and addresses as this service writes them.
    pub(super) fn as_netbios(&self, message: &mut Message) {
        for question in &mut message.questions {
            question.name = shown(&question.name);
        }
        let mut wire = self.answers();
        for Record { name, value, .. } in &mut message.answers {
            let Ok((kind, _, says)) = wire.pass_any_record() else { break };
            *name = shown(name);
            let first = entries(self.bytes().get(says).unwrap_or_default()).next();
            if let Some((_, addr)) = first.filter(|_| kind == TYPE_NB) {
                *value = Value::Address(addr);
            }
        }
    }
}

/// Addresses of a record, and whether a group has the name.
fn entries(data: &[u8]) -> impl Iterator<Item = (bool, IpAddr)> {
    data.as_chunks::<ENTRY>()
        .0
        .iter()
        .map(|&[flags, _, a, b, c, d]| (flags & GROUP != 0, IpAddr::V4(Ipv4Addr::new(a, b, c, d))))
}

/// A name in half-ASCII (RFC 1001, section 14.1): its text and the number of the service; `None` where it is none.
fn decode(name: &str) -> Option<(String, u8)> {
    let letters = name.split('.').next()?.as_bytes();
    let (pairs, []) = letters.as_chunks::<2>() else { return None };
    if letters.len() != LETTERS {
        return None;
    }
    let half = |letter: u8| letter.checked_sub(b'A').filter(|half| *half < 16);
    let bytes = pairs.iter().map(|&[high, low]| Some(half(high)? << 4 | half(low)?));
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    let (&service, text) = bytes.split_last()?;
    let text = text.trim_ascii_end();
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    Some((super::name::shown(text).to_string(), service))
}

/// A name as people write it; one that is not in half-ASCII stays as it is.
fn shown(name: &Arc<str>) -> Arc<str> {
    match decode(name) {
        Some((text, service)) => format!("{text}<{service:02x}>").into(),
        None => Arc::clone(name),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NBNS, Question};
    use super::*;
    use crate::app::{Fact, MessageDissector, Verdict};
    use crate::{Endpoint, FiveTuple};

    /// A workstation refreshes its own name, and its group's (from the capture `zoom` of nDPI's tests).
    const REFRESH: [&str; 2] = [
        "45984010000100000000000120454d4646454445424644434e454a454e45424544434143414341434143414141000020\
         0001c00c002000010000038400066000c0a80175",
        "45974010000100000000000120464845504643454c454846434550464646414341434143414341434143414141000020\
         0001c00c00200001000003840006e000c0a80175",
    ];

    fn read(hex: &str) -> (Message, Vec<NetbiosName>) {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let bytes: Vec<u8> =
            digits.chunks(2).map(|d| u8::from_str_radix(str::from_utf8(d).unwrap(), 16).unwrap()).collect();
        let end = Endpoint { addr: Ipv4Addr::LOCALHOST.into(), port: 137 };
        match NBNS.dissect(&FiveTuple { src: end, dst: end, protocol: 17 }, &bytes) {
            Verdict::Is { fact: Fact::Dns(outline), .. } => (outline.message(), outline.netbios_names()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_workstation_claims_its_name() {
        let (message, names) = read(REFRESH[0]);
        assert_eq!(message.questions, [Question { name: "LUCAS-IMAC<00>".into(), kind: TYPE_NB }]);
        let addr = Ipv4Addr::new(192, 168, 1, 117).into();
        assert_eq!(names, [NetbiosName { name: "LUCAS-IMAC".into(), addr, ttl: 900 }]);
        let (message, names) = read(REFRESH[1]);
        assert_eq!(&*message.questions[0].name, "WORKGROUP<00>");
        assert_eq!(names, [], "a group is no host");
    }

    #[test]
    fn an_answer_has_an_address() {
        // The same record as the answer to a query: its name, and what stands behind the pointer to it.
        let [refresh, _] = REFRESH;
        let (name, record) = (&refresh[24..92], &refresh[104..]);
        let answer = format!("459885000000000100000000{name}{record}");
        let (message, names) = read(&answer);
        assert_eq!(message.answers[0].value, Value::Address(Ipv4Addr::new(192, 168, 1, 117).into()));
        assert_eq!(&*message.answers[0].name, "LUCAS-IMAC<00>");
        assert_eq!(names.len(), 1);
    }

    #[test]
    fn what_is_not_in_half_ascii_stays() {
        for name in ["", "example.org", &"Q".repeat(32), &"A".repeat(31), &"A".repeat(34)] {
            assert_eq!(decode(name), None, "{name}");
        }
        assert_eq!(decode("CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.scope"), Some(("*".into(), 0)));
    }
}
