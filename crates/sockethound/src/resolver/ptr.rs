//! Questions for PTR records, and what replies say (RFC 1035, sections 3.5 and 4; RFC 3596, section 2.5).

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use dissect::app::dns::{Message, Value};
use dissect::app::{Fact, Verdict, by_port};
use dissect::{Endpoint, FiveTuple};

/// Longest message over UDP without EDNS (RFC 1035, section 4.2.1).
pub(super) const LONGEST: usize = 512;
const UDP: u8 = 17;
const PORT: u16 = 53;
const TYPE_PTR: u16 = 12;
const CLASS_IN: u16 = 1;
/// Recursion is desired.
const FLAGS: u16 = 0x0100;
/// Aliases that lead to a name (RFC 2317 needs one).
const MAX_ALIASES: usize = 8;

/// The name under which the name of `addr` stands.
pub(super) fn reverse_name(addr: IpAddr) -> String {
    let mut name = String::with_capacity(72);
    match addr {
        IpAddr::V4(addr) => {
            let [a, b, c, d] = addr.octets();
            let _ = write!(name, "{d}.{c}.{b}.{a}.in-addr.arpa");
        }
        IpAddr::V6(addr) => {
            for byte in addr.octets().iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", byte & 15, byte >> 4);
            }
            name += "ip6.arpa";
        }
    }
    name
}

/// The question for `name`, whose labels are known to be short.
pub(super) fn question(id: u16, name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(96);
    // One question; no answers, authorities, additional records.
    for field in [id, FLAGS, 1, 0, 0, 0] {
        bytes.extend_from_slice(&field.to_be_bytes());
    }
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    for field in [TYPE_PTR, CLASS_IN] {
        bytes.extend_from_slice(&field.to_be_bytes());
    }
    bytes
}

/// The message that `bytes` from a nameserver are.
pub(super) fn message(bytes: &[u8], server: SocketAddr, local: SocketAddr) -> Option<Message> {
    let end = |end: SocketAddr, port| Endpoint { addr: end.ip(), port };
    let tuple = FiveTuple { src: end(server, PORT), dst: end(local, local.port()), protocol: UDP };
    match by_port(UDP, PORT, PORT)?.dissect(&tuple, bytes) {
        Verdict::Is { fact: Fact::Dns(outline), .. } => Some(outline.message()),
        _ => None,
    }
}

/// Whether `message` replies to the question for `name` with this `id`.
pub(super) fn replies_to(message: &Message, id: u16, name: &str) -> bool {
    let [question] = message.questions.as_slice() else { return false };
    message.answer
        && message.id == id
        && message.opcode == 0
        && question.kind == TYPE_PTR
        && question.name.eq_ignore_ascii_case(name)
}

/// What a reply to the question for a name says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The address is called so.
    Name(String),
    /// It has no name.
    Nothing,
    /// This nameserver does not know.
    Failure,
}

/// What `message`, a reply to the question for `name`, says.
pub(super) fn said(message: &Message, name: &str) -> Said {
    match message.response_code {
        0 => told(message, name).map_or(Said::Nothing, Said::Name),
        3 => Said::Nothing,
        _ => Said::Failure,
    }
}

/// The name in the PTR record of `name`, or of what that is an alias of.
fn told(message: &Message, name: &str) -> Option<String> {
    let mut wanted = name;
    for _ in 0..=MAX_ALIASES {
        let own = || message.answers.iter().filter(|record| record.name.eq_ignore_ascii_case(wanted));
        let named = |ptr: bool| {
            own().find_map(|record| match &record.value {
                Value::Name(name) if (record.kind == TYPE_PTR) == ptr => Some(&**name),
                _ => None,
            })
        };
        if let Some(name) = named(true) {
            // A remark stands for a name that cannot be laid out.
            return (!name.is_empty() && !name.starts_with('<')).then(|| name.to_owned());
        }
        wanted = named(false)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1035, section 3.5; RFC 3596, section 2.5.
    #[test]
    fn names_of_the_specifications() {
        assert_eq!(reverse_name("10.2.0.52".parse().unwrap()), "52.0.2.10.in-addr.arpa");
        assert_eq!(
            reverse_name("4321:0:1:2:3:4:567:89ab".parse().unwrap()),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa"
        );
    }

    #[test]
    fn a_question_on_the_wire() {
        let bytes = question(0x1234, "52.0.2.10.in-addr.arpa");
        let expected =
            b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x0252\x010\x012\x0210\x07in-addr\x04arpa\x00\x00\x0c\x00\x01";
        assert_eq!(bytes, expected);
    }
}
