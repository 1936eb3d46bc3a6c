//! DNS messages (RFC 1035, section 4) over UDP and TCP, mDNS (RFC 6762) and LLMNR (RFC 4795).
//!
//! Questions and answers are read; authority and additional records are not,
//! so neither what they say nor what is wrong with them counts (EDNS, section
//! 6.1.3 of RFC 6891, lives there: a response code is its lower four bits).
//! Not handled: IXFR and AXFR as a whole (each message stands alone), dynamic
//! updates (RFC 2136) beyond the zone and prerequisites, which stand where
//! questions and answers do, and DSO (RFC 8490) beyond its header.
//!
//! The reader is this file's own. A traffic analyser has to lay out what is on
//! the wire, and the published parsers refuse a whole message for one record
//! that they do not like: an authority count that is off, a name with a
//! pointer to behind itself, a cut additional record.
//!
//! Work is linear in the message's length: no count is trusted before the
//! bytes are there, and all names of a message share one budget of
//! labels and pointers ([`Wire::steps`]).

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::{AppDissector, Fact, Port, Verdict};
use crate::FiveTuple;

/// Length of the header, in bytes (RFC 1035, section 4.1.1).
const HEADER: usize = 12;
/// Fewest bytes of a question: the root, type and class.
const LEAST_QUESTION: usize = 5;
/// Fewest bytes of a record: the root, type, class, time to live and length.
const LEAST_RECORD: usize = 11;
/// Longest name in presentation form, in bytes: 255 on the wire (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;
/// Names of a message that are kept at hand while it is read.
const KNOWN: usize = 4;
/// Labels and pointers that a name may have behind its first pointer: more is a loop.
const MOST_STEPS: u32 = 512;
const TYPE_A: u16 = 1;
const TYPE_NS: u16 = 2;
const TYPE_CNAME: u16 = 5;
const TYPE_PTR: u16 = 12;
const TYPE_AAAA: u16 = 28;
/// The NetBIOS name service: another protocol in the same format (RFC 1002, section 4.2).
const NETBIOS_NAMES: u16 = 137;
const TCP: u8 = 6;

/// What stands for a name that loops.
const LOOP: &str = "<name contains a pointer that loops>";
/// What stands for a name beyond 255 bytes.
const TOO_LONG: &str = "<name too long>";
/// What stands for a name with a label of a type that only its inventors could read (RFC 6891, section 5).
const UNKNOWN_LABEL: &str = "<unknown extended label>";

const CUT: &str = "cut short";

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

    fn dissect(&self, tuple: &FiveTuple, bytes: &[u8]) -> Verdict {
        if tuple.protocol == TCP { in_stream(bytes) } else { verdict(bytes, bytes.len()) }
    }

    /// DNS on a port of its own choice, over UDP: one question or an answer, and every record whole.
    fn recognizes(&self, src_port: u16, dst_port: u16, bytes: &[u8]) -> bool {
        Header::of(bytes).is_some_and(|header| header.common(bytes.len()) && whole(&header, bytes))
            && ![src_port, dst_port].contains(&NETBIOS_NAMES)
    }
}

/// Reads behind the length that precedes each message on TCP (RFC 1035, section 4.2.2).
fn in_stream(bytes: &[u8]) -> Verdict {
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
fn verdict(message: &[u8], consumed: usize) -> Verdict {
    let Some(header) = Header::of(message) else {
        return Verdict::Malformed { consumed, reason: "shorter than a header" };
    };
    if header.asks_nothing() {
        return Verdict::Malformed { consumed, reason: "empty message" };
    }
    match read(&header, message) {
        Ok(message) => Verdict::Is { consumed, fact: Fact::Dns(Arc::new(message)) },
        Err(reason) => Verdict::Malformed { consumed, reason },
    }
}

/// The header's fields that are read, and the four counts.
struct Header {
    id: u16,
    flags: u16,
    /// Questions, answers, authority records, additional records.
    counts: [u16; 4],
}

impl Header {
    #[inline]
    fn of(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER>()?;
        let field = |n: usize| {
            header.get(2 * n..).and_then(|b| b.first_chunk()).map_or(0, |&b| u16::from_be_bytes(b))
        };
        Some(Header { id: field(0), flags: field(1), counts: [field(2), field(3), field(4), field(5)] })
    }

    fn answer(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    fn opcode(&self) -> u8 {
        (self.flags >> 11) as u8 & 15
    }

    /// A header of zeros: scanners and floods fill port 53 with them.
    #[inline]
    fn asks_nothing(&self) -> bool {
        self.id == 0 && self.flags == 0 && self.counts == [0; 4]
    }

    /// Whether a message of `len` bytes can begin so: an assigned opcode, and bytes for all that is counted.
    fn plausible(&self, len: usize) -> bool {
        let [questions, records @ ..] = self.counts.map(usize::from);
        let least = HEADER + questions * LEAST_QUESTION + records.iter().sum::<usize>() * LEAST_RECORD;
        matches!(self.opcode(), 0..=2 | 4..=6) && least <= len
    }

    /// Whether this begins a plain query or answer of `len` bytes, as good as nothing else does.
    fn common(&self, len: usize) -> bool {
        let [questions, answers, authorities, additional] = self.counts;
        let section = if self.answer() {
            questions <= 1 && answers <= 100 && authorities <= 10 && questions + answers > 0
        } else {
            questions == 1 && answers == 0 && authorities == 0
        };
        section && additional <= 10 && self.opcode() == 0 && self.plausible(len)
    }
}

/// Reads the message that `header` begins, or says why it is none.
///
/// A damaged answer ends the answers, not the message: a datagram cut by the
/// snaplen has said something by then.
#[inline(never)]
fn read(header: &Header, bytes: &[u8]) -> Result<Message, &'static str> {
    let [questions, answers, ..] = header.counts.map(usize::from);
    let mut wire = Wire::new(bytes);
    let mut message = Message {
        id: header.id,
        answer: header.answer(),
        opcode: header.opcode(),
        response_code: header.flags as u8 & 15,
        questions: Vec::with_capacity(questions.min(bytes.len() / LEAST_QUESTION).min(8)),
        answers: Vec::with_capacity(answers.min(bytes.len() / LEAST_RECORD).min(32)),
    };
    for _ in 0..questions {
        message.questions.push(wire.question()?);
    }
    for _ in 0..answers {
        match wire.record() {
            Ok(record) => message.answers.push(record),
            Err(reason) if message.questions.is_empty() && message.answers.is_empty() => return Err(reason),
            Err(_) => break,
        }
    }
    Ok(message)
}

/// Whether every question and answer that `header` counts is there.
fn whole(header: &Header, bytes: &[u8]) -> bool {
    let [questions, answers, ..] = header.counts.map(usize::from);
    let mut wire = Wire::new(bytes);
    (0..questions).all(|_| wire.question().is_ok()) && (0..answers).all(|_| wire.record().is_ok())
}

/// A message, read from front to back.
struct Wire<'a> {
    message: &'a [u8],
    at: usize,
    /// Labels and pointers that may yet be followed.
    steps: usize,
    /// Names that were read, by where they begin: records mostly point back to them.
    known: [Option<(usize, Arc<str>)>; KNOWN],
    /// How many were read.
    read: usize,
}

impl<'a> Wire<'a> {
    fn new(message: &'a [u8]) -> Self {
        // A record of a deep reverse name takes some 3 steps a byte; no message worth reading takes 8.
        Wire { message, at: HEADER, steps: 2048 + 8 * message.len(), known: Default::default(), read: 0 }
    }

    fn be16(&mut self) -> Result<u16, &'static str> {
        let bytes = self.message.get(self.at..).and_then(|b| b.first_chunk()).ok_or(CUT)?;
        self.at += 2;
        Ok(u16::from_be_bytes(*bytes))
    }

    fn question(&mut self) -> Result<Question, &'static str> {
        let (name, kind, _class) = (self.name()?, self.be16()?, self.be16()?);
        Ok(Question { name, kind })
    }

    fn record(&mut self) -> Result<Record, &'static str> {
        // The class is not told: outside updates it is the Internet's in all that names a flow.
        let (name, kind, _class) = (self.name()?, self.be16()?, self.be16()?);
        let ttl = u32::from(self.be16()?) << 16 | u32::from(self.be16()?);
        let len = usize::from(self.be16()?);
        let end = self.at + len;
        let says = self.message.get(self.at..end).ok_or(CUT)?;
        let value = match kind {
            TYPE_A => says.first_chunk().map(|&a: &[u8; 4]| Value::Address(Ipv4Addr::from(a).into())),
            TYPE_AAAA => says.first_chunk().map(|&a: &[u8; 16]| Value::Address(Ipv6Addr::from(a).into())),
            TYPE_CNAME | TYPE_PTR | TYPE_NS if len > 0 => Some(Value::Name(self.name()?)),
            _ => None,
        };
        self.at = end;
        Ok(Record { name, kind, ttl, value: value.unwrap_or(Value::Other) })
    }

    /// Reads a name and passes it (RFC 1035, section 4.1.4).
    ///
    /// Pointers may go anywhere inside the message: forward ones are seen, and
    /// followed by others.
    fn name(&mut self) -> Result<Arc<str>, &'static str> {
        let start = self.at;
        if let Some(&[high, low]) = self.message.get(start..start + 2)
            && high >= 192
        {
            let target = usize::from(high & 63) << 8 | usize::from(low);
            if let Some((_, name)) = self.known.iter().flatten().find(|(at, _)| *at == target) {
                self.at += 2;
                return Ok(Arc::clone(name));
            }
        }
        let name = match self.plain_name() {
            Some(name) => name,
            None => self.spell()?,
        };
        if let Some(place) = self.known.get_mut(self.read % KNOWN) {
            *place = Some((start, Arc::clone(&name)));
            self.read += 1;
        }
        Ok(name)
    }

    /// Reads a name as most are: whole labels of printable bytes up to the root, no pointer. Anything else is left to
    /// [`Self::spell`], which would give the same for these, at twice the cost.
    #[inline]
    fn plain_name(&mut self) -> Option<Arc<str>> {
        let wire = self.message.get(self.at..)?;
        let mut len = 0;
        loop {
            match usize::from(*wire.get(len)?) {
                0 => break,
                label @ 1..=63 => len += 1 + label,
                _ => return None,
            }
        }
        if len == 0 || len > LONGEST_NAME + 1 {
            return None;
        }
        let mut text = [0; LONGEST_NAME];
        let text = text.get_mut(..len - 1)?;
        text.copy_from_slice(wire.get(1..len)?);
        let mut dot = usize::from(*wire.first()?);
        while let Some(byte) = text.get_mut(dot) {
            dot += 1 + usize::from(std::mem::replace(byte, b'.'));
        }
        // Without an early end the check runs many bytes at once.
        let printable = text.iter().fold(true, |plain, b| plain & matches!(b, b' '..=b'~'));
        let name = str::from_utf8(text).ok().filter(|_| printable)?.into();
        self.at += len + 1;
        Some(name)
    }

    fn spell(&mut self) -> Result<Arc<str>, &'static str> {
        let mut text = [0; LONGEST_NAME];
        let mut len = 0;
        let mut remark = None;
        let mut at = self.at;
        let mut steps_left = None;
        loop {
            self.steps = self.steps.checked_sub(1).ok_or("too many labels")?;
            let &length = self.message.get(at).ok_or(CUT)?;
            at += 1;
            if let Some(left) = &mut steps_left {
                *left -= 1;
                if *left == 0 {
                    return Ok(LOOP.into());
                }
            }
            match length {
                0 => break,
                1..=63 => {
                    let end = at + usize::from(length);
                    let label = self.message.get(at..end).ok_or(CUT)?;
                    at = end;
                    match append(&mut text, len, label) {
                        Some(longer) => len = longer,
                        None => remark = Some(TOO_LONG),
                    }
                }
                192.. => {
                    let &low = self.message.get(at).ok_or(CUT)?;
                    if steps_left.is_none() {
                        self.at = at + 1;
                        steps_left = Some(MOST_STEPS);
                    }
                    at = usize::from(length & 63) << 8 | usize::from(low);
                }
                // How long such a label is only its type could tell: the next field follows at once.
                64..=127 if steps_left.is_none() => {
                    remark = Some(UNKNOWN_LABEL);
                    break;
                }
                64..=191 => return Err("unknown label type"),
            }
        }
        if steps_left.is_none() {
            self.at = at;
        }
        Ok(remark.map_or_else(|| shown(text.get(..len).unwrap_or_default()), Arc::from))
    }
}

/// Puts `label` behind the `len` bytes of `text` and gives the new length; `None` where it does not fit.
#[inline]
fn append(text: &mut [u8; LONGEST_NAME], len: usize, label: &[u8]) -> Option<usize> {
    let mut room = text.get_mut(len..)?;
    if len > 0 {
        let (dot, rest) = room.split_first_mut()?;
        *dot = b'.';
        room = rest;
    }
    room.get_mut(..label.len())?.copy_from_slice(label);
    Some(len + usize::from(len > 0) + label.len())
}

/// A name's text as [`Question::name`] says.
fn shown(text: &[u8]) -> Arc<str> {
    // Without an early end the check runs many bytes at once.
    if text.iter().fold(true, |plain, b| plain & matches!(b, b' '..=b'~'))
        && let Ok(plain) = str::from_utf8(text)
    {
        return plain.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            // Writing to a string cannot fail.
            let _ = match c {
                '\x07' => shown.write_str("\\a"),
                '\x08' => shown.write_str("\\b"),
                '\t' => shown.write_str("\\t"),
                '\n' => shown.write_str("\\n"),
                '\x0b' => shown.write_str("\\v"),
                '\x0c' => shown.write_str("\\f"),
                '\r' => shown.write_str("\\r"),
                '\0'..='\x1f' | '\x7f' => write!(shown, "\\{:03o}", c as u32),
                _ if !shows_nothing(c) => shown.write_char(c),
                '\0'..='\u{ffff}' => write!(shown, "\\u{:04X}", c as u32),
                _ => write!(shown, "\\U{:08X}", c as u32),
            };
        }
        if !chunk.invalid().is_empty() {
            shown.push(char::REPLACEMENT_CHARACTER);
        }
    }
    shown.into()
}

/// Control, format and no characters (Unicode categories Cc, Cf and the noncharacters of the first
/// plane), some of which would reorder a terminal's line.
fn shows_nothing(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;
    use simple_dns::rdata::{A, AAAA, CNAME, NS, PTR, RData, TXT};
    use simple_dns::{CLASS, Name, Packet, QCLASS, QTYPE};

    use super::*;
    use crate::Endpoint;
    use crate::app::{by_content, by_port};

    const UDP: u8 = 17;

    /// Query and answer for the type SPF, with EDNS (from the trace `dns-spf` of Zeek's tests).
    const SPF: [&str; 2] = [
        "faa101200001000000000001046d61696c05766c616467036e65740000630001000029100000000000000 0",
        "faa181800001000200000001046d61696c05766c616467036e65740000630001c00c006300010000012c0014\
         13763d73706631206d78202d616c6c2074657374c00c006300010000012c000f0e763d73706631206d78202d61\
         6c6c00002905ac000000000000",
    ];
    /// Answer with an alias and its address (from the capture `vxlan` of nDPI's tests).
    const ALIAS: &str = "d02e81800001000200000000037777770866616365626f6f6b03636f6d0000010001\
        c00c0005000100000a51001109737461722d6d696e690463313072c010c02e000100010000001100049df0e023";
    /// Answer with an IPv6 address (from the capture `nflog` of tcpdump's tests).
    const SIX: &str = "ceda81800001000100000000076578616d706c6503636f6d00001c0001\
        c00c001c00010001231f0010260628000220006d26bf144710970aa7";
    /// Inverse query and answer over TCP (from the trace `dns-inverse-query` of Zeek's tests).
    const INVERSE: &str = "001b87ee09800000000100000000000001000100007a69000404030201\
        002a87ee89800001000100000000025b340133013202315d0000010001000001000100007a69000404030201";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    fn tuple(protocol: u8, src_port: u16, dst_port: u16) -> FiveTuple {
        let end = |port| Endpoint { addr: Ipv4Addr::LOCALHOST.into(), port };
        FiveTuple { src: end(src_port), dst: end(dst_port), protocol }
    }

    fn udp(bytes: &[u8]) -> Verdict {
        DNS.dissect(&tuple(UDP, 40000, 53), bytes)
    }

    fn tcp(bytes: &[u8]) -> Verdict {
        DNS.dissect(&tuple(TCP, 40000, 53), bytes)
    }

    fn is(verdict: Verdict) -> Message {
        match verdict {
            Verdict::Is { fact: Fact::Dns(message), .. } => Arc::unwrap_or_clone(message),
            other => panic!("{other:?}"),
        }
    }

    fn question(name: &str, kind: u16) -> Question {
        Question { name: name.into(), kind }
    }

    /// A query for `name`, as on the wire, of type A.
    fn query(name: &[u8]) -> Vec<u8> {
        [b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0", name, b"\0\x01\0\x01"].concat()
    }

    fn asked(name: &[u8]) -> String {
        is(udp(&query(name))).questions.remove(0).name.to_string()
    }

    #[test]
    fn reads_types_that_it_does_not_know() {
        let [asks, answers] = SPF.map(|hex| is(udp(&bytes(hex))));
        let expected =
            Message { id: 0xfaa1, questions: vec![question("mail.vladg.net", 99)], ..Message::default() };
        assert_eq!(asks, expected);
        let spf = Record { name: "mail.vladg.net".into(), kind: 99, ttl: 300, value: Value::Other };
        assert_eq!(answers, Message { answer: true, answers: vec![spf.clone(), spf], ..expected });
    }

    #[test]
    fn reads_aliases_and_addresses() {
        let message = is(udp(&bytes(ALIAS)));
        assert_eq!(message.questions, [question("www.facebook.com", 1)]);
        let (star, www): (Arc<str>, Arc<str>) =
            ("star-mini.c10r.facebook.com".into(), "www.facebook.com".into());
        assert_eq!(
            message.answers,
            [
                Record { name: www, kind: 5, ttl: 2641, value: Value::Name(star.clone()) },
                Record { name: star, kind: 1, ttl: 17, value: Value::Address([157, 240, 224, 35].into()) },
            ]
        );
        let six = Value::Address("2606:2800:220:6d:26bf:1447:1097:aa7".parse().unwrap());
        let expected = Record { name: "example.com".into(), kind: 28, ttl: 74527, value: six };
        assert_eq!(is(udp(&bytes(SIX))).answers, [expected]);
    }

    #[test]
    fn reads_one_message_after_another_from_a_stream() {
        let stream = bytes(INVERSE);
        let Verdict::Is { consumed: 29, fact: Fact::Dns(first) } = tcp(&stream) else { panic!() };
        let value = Value::Address([4, 3, 2, 1].into());
        let root = Record { name: "".into(), kind: 1, ttl: 31337, value };
        assert_eq!(*first, Message { id: 0x87ee, opcode: 1, answers: vec![root], ..Message::default() });
        assert_eq!(is(tcp(&stream[29..])).questions, [question("[4.3.2.1]", 1)]);
        for len in 0..29 {
            assert_eq!(tcp(&stream[..len]), Verdict::NeedMore);
        }
    }

    #[test]
    fn leaves_streams_of_something_else() {
        assert_eq!(tcp(b"GET / HTTP/1.1\r\n"), Verdict::NotMine);
        assert_eq!(tcp(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0\0\0\0"), Verdict::NotMine);
        assert_eq!(tcp(b"\0\0"), Verdict::NotMine);
        assert_eq!(tcp(b"\0\x03abcd"), Verdict::NotMine);
    }

    #[test]
    fn empty_messages_say_nothing() {
        let empty = |consumed| Verdict::Malformed { consumed, reason: "empty message" };
        assert_eq!(udp(&[0; 22]), empty(22));
        assert_eq!(is(udp(b"\x12\x34\x01\0\0\0\0\0\0\0\0\0")).id, 0x1234);
        assert_eq!(tcp(&[&[0, 22][..], &[0; 22]].concat()), empty(24));
        let refused = is(udp(b"\x12\x34\x80\x05\0\0\0\0\0\0\0\0"));
        assert_eq!((refused.answer, refused.response_code), (true, 5));
        assert_eq!(is(udp(b"\x12\x34\x30\0\0\0\0\0\0\0\0\0")).opcode, 6);
    }

    /// The example of RFC 1035, section 4.1.4.
    #[test]
    fn follows_pointers() {
        let mut message = [0; 93];
        message[20..32].copy_from_slice(b"\x01F\x03ISI\x04ARPA\0");
        message[40..46].copy_from_slice(b"\x03FOO\xc0\x14");
        message[64..66].copy_from_slice(b"\xc0\x1a");
        for (at, end, name) in
            [(20, 32, "F.ISI.ARPA"), (40, 46, "FOO.F.ISI.ARPA"), (64, 66, "ARPA"), (92, 93, "")]
        {
            let mut wire = Wire { at, ..Wire::new(&message) };
            assert_eq!(wire.name().as_deref(), Ok(name));
            assert_eq!(wire.at, end);
        }
    }

    /// What tshark 4.0 shows for each, but for the remarks' capitals.
    #[test]
    fn lays_out_odd_names() {
        assert_eq!(asked(b"\0"), "");
        assert_eq!(asked(b"\x03a.b\x02\\c\0"), "a.b.\\c");
        assert_eq!(asked(b"\x05\0\x07\n\x1b\x7f\0"), r"\000\a\n\033\177");
        assert_eq!(asked("\x08caf\u{e9}\u{200b}\0".as_bytes()), "caf\u{e9}\\u200B");
        assert_eq!(asked(b"\x02\xe9a\x03\xe2\x82b\0"), "\u{fffd}a.\u{fffd}b");
        assert_eq!(asked(b"\x42\0\x01\0\x01"), UNKNOWN_LABEL);
        assert_eq!(asked(b"\x01a\xc0\x0c"), LOOP);
        assert_eq!(asked(b"\xc0\x0c"), LOOP);
        assert_eq!(asked(b"\xc0\x12\0\x01\0\x01\x01z\0"), "z");
        assert_eq!(asked(&[b"\x01a".repeat(127), vec![0]].concat()), ["a"; 127].join("."));
        assert_eq!(asked(&[b"\x01a".repeat(128), vec![0]].concat()), TOO_LONG);
        let cut = |reason| Verdict::Malformed { consumed: 20, reason };
        assert_eq!(udp(&query(b"\xc1\0zz")), cut(CUT));
        assert_eq!(udp(&query(b"\x81a\0z")), cut("unknown label type"));
    }

    #[test]
    fn mdns_flags_are_not_part_of_anything_told() {
        let message = b"\0\0\x84\0\0\x01\0\x01\0\0\0\0\x01a\x05local\0\0\x01\x80\x01\
            \xc0\x0c\0\x01\x80\x01\0\0\0\x78\0\x04\xa9\xfe\x01\x02";
        let message = is(MDNS.dissect(&tuple(UDP, 5353, 5353), message));
        assert_eq!(message.questions, [question("a.local", 1)]);
        assert_eq!(message.answers[0].value, Value::Address([169, 254, 1, 2].into()));
    }

    #[test]
    fn damage_behind_the_question_costs_only_what_it_hits() {
        let whole = bytes(ALIAS);
        for len in 0..whole.len() {
            match udp(&whole[..len]) {
                Verdict::Is { consumed, fact: Fact::Dns(message) } => {
                    assert_eq!((consumed, message.questions.len()), (len, 1));
                    assert_eq!(message.answers.len(), usize::from(len >= 63));
                }
                verdict => {
                    assert!(len < 34 && matches!(verdict, Verdict::Malformed { .. }), "{len} {verdict:?}");
                }
            }
        }
        let mut more = whole.clone();
        more[9] = 200;
        assert_eq!(udp(&more), udp(&whole));
        assert_eq!(is(udp(&[whole.clone(), vec![1, 2, 3]].concat())), is(udp(&whole)));
    }

    #[test]
    fn every_changed_byte_is_survived() {
        for hex in [SPF[0], SPF[1], ALIAS, SIX, INVERSE] {
            let mut message = bytes(hex);
            for at in 0..message.len() {
                let was = message[at];
                for byte in 0..=255 {
                    message[at] = byte;
                    for verdict in [udp(&message), tcp(&message)] {
                        if let Verdict::Is { consumed, .. } | Verdict::Malformed { consumed, .. } = verdict {
                            assert!(consumed > 0 && consumed <= message.len());
                        }
                    }
                }
                message[at] = was;
            }
        }
    }

    /// 64 KiB of records, each with an expensive name that points into the first one's value.
    #[test]
    fn work_is_linear_in_the_message() {
        let pointing_into = |value: &[u8], at: usize| {
            let mut message = b"\0\0\x80\0\0\0\xff\xff\0\0\0\0\0\0\x10\0\x01\0\0\0\0".to_vec();
            message.extend((value.len() as u16).to_be_bytes());
            let [high, low] = ((0xc000 | (message.len() + at)) as u16).to_be_bytes();
            message.extend(value);
            while message.len() < 65_523 {
                message.extend([high, low, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0]);
            }
            message
        };
        let long = [b"\x01a".repeat(127), vec![0]].concat();
        let longer = [b"\x01a".repeat(4000), vec![0]].concat();
        let hops: Vec<u8> = (0..255).flat_map(|n: u16| (0xc019 + 2 * n).to_be_bytes()).chain([0]).collect();
        for (value, at) in [
            (&b"\xc0\x17"[..], 0),
            (b"\x01a\xc0\x17", 0),
            (&long, 0),
            (&longer, 0),
            (&longer, 7_746),
            (&hops, 0),
        ] {
            let message = pointing_into(value, at);
            let mut wire = Wire::new(&message);
            assert!(wire.steps <= 2048 + 8 * 65_535);
            let records = (0..u16::MAX).map_while(|_| wire.record().ok()).count();
            assert_eq!(wire.steps, 0, "the budget should end this, not {records} records");
            assert_eq!(is(udp(&message)).answers.len(), records);
        }
        // What a server sends never comes near it.
        for hex in [SPF[1], ALIAS, SIX] {
            let message = bytes(hex);
            let mut wire = Wire::new(&message);
            let budget = wire.steps;
            assert!(wire.question().is_ok() && wire.record().is_ok());
            assert!(budget - wire.steps < message.len() / 4);
        }
        let counted = b"\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff";
        assert!(matches!(udp(counted), Verdict::Malformed { .. }));
    }

    #[test]
    fn speaks_on_its_ports() {
        let name = |protocol, src, dst| by_port(protocol, src, dst).map(AppDissector::name);
        assert_eq!(name(UDP, 53, 40000), Some("dns"));
        assert_eq!(name(TCP, 40000, 53), Some("dns"));
        assert_eq!(name(TCP, 5353, 40000), Some("dns"));
        assert_eq!(name(UDP, 5353, 5353), Some("mdns"));
        assert_eq!(name(UDP, 40000, 5355), Some("llmnr"));
        assert_eq!(name(UDP, 137, 137), None);
    }

    #[test]
    fn recognizes_itself_on_other_ports() {
        let found = |port, bytes: &[u8]| by_content(40000, port, bytes).map(AppDissector::name);
        for hex in [SPF[0], SPF[1], ALIAS, SIX] {
            assert_eq!(found(5300, &bytes(hex)), Some("dns"));
            assert_eq!(found(137, &bytes(hex)), None);
        }
        let alias = bytes(ALIAS);
        assert_eq!(found(5300, &alias[..alias.len() - 1]), None);
        assert_eq!(found(5300, &[0; 22]), None);
        assert_eq!(found(5300, &query(b"\x81a\0")), None);
    }

    /// A record of simple-dns, and what is expected of it.
    fn record() -> impl Strategy<Value = (Name<'static>, u32, RData<'static>)> {
        let value = prop_oneof![
            any::<u32>().prop_map(|address| RData::A(A { address })),
            any::<u128>().prop_map(|address| RData::AAAA(AAAA { address })),
            name().prop_map(|name| RData::CNAME(CNAME(name))),
            name().prop_map(|name| RData::NS(NS(name))),
            name().prop_map(|name| RData::PTR(PTR(name))),
            "[a-z]{1,20}".prop_map(|text| RData::TXT(TXT::new().with_string(&text).unwrap().into_owned())),
        ];
        (name(), any::<u32>(), value)
    }

    fn name() -> impl Strategy<Value = Name<'static>> {
        prop::collection::vec("[a-z][a-z0-9]{0,8}", 1..5)
            .prop_map(|labels| Name::new(&labels.join(".")).unwrap().into_owned())
    }

    fn expected(value: &RData<'_>) -> Value {
        match value {
            RData::A(a) => Value::Address(Ipv4Addr::from(a.address).into()),
            RData::AAAA(a) => Value::Address(Ipv6Addr::from(a.address).into()),
            RData::CNAME(CNAME(name)) | RData::NS(NS(name)) | RData::PTR(PTR(name)) => {
                Value::Name(name.to_string().into())
            }
            _ => Value::Other,
        }
    }

    proptest! {
        #[test]
        fn reads_what_another_library_writes(
            id: u16,
            asked in prop::collection::vec(name(), 1..3),
            records in prop::collection::vec(record(), 0..6),
            compressed: bool,
        ) {
            let mut packet = Packet::new_reply(id);
            for name in &asked {
                let any = simple_dns::Question::new(name.clone(), QTYPE::ANY, QCLASS::CLASS(CLASS::IN), true);
                packet.questions.push(any);
            }
            for (name, ttl, value) in &records {
                let one = simple_dns::ResourceRecord::new(name.clone(), CLASS::IN, *ttl, value.clone());
                packet.additional_records.push(one.clone());
                packet.answers.push(one.with_cache_flush(true));
            }
            let built = if compressed { packet.build_bytes_vec_compressed() } else { packet.build_bytes_vec() };
            let message = is(udp(&built.unwrap()));
            prop_assert_eq!(message.id, id);
            prop_assert!(message.answer);
            let names: Vec<_> = asked.iter().map(|name| question(&name.to_string(), 255)).collect();
            prop_assert_eq!(message.questions, names);
            let answers: Vec<_> = records
                .iter()
                .map(|(name, ttl, value)| Record {
                    name: name.to_string().into(),
                    kind: u16::from(value.type_code()),
                    ttl: *ttl,
                    value: expected(value),
                })
                .collect();
            prop_assert_eq!(message.answers, answers);
        }

        #[test]
        fn any_bytes_give_a_verdict(head in prop::collection::vec(0u8..4, 0..12), rest: Vec<u8>) {
            let bytes = [head, rest].concat();
            for verdict in [udp(&bytes), tcp(&bytes)] {
                match verdict {
                    Verdict::Is { consumed, fact: Fact::Dns(message) } => {
                        prop_assert!(consumed <= bytes.len());
                        prop_assert!(message.questions.len() * LEAST_QUESTION <= bytes.len());
                        prop_assert!(message.answers.len() * LEAST_RECORD <= bytes.len());
                    }
                    Verdict::Malformed { consumed, .. } => prop_assert!(consumed <= bytes.len()),
                    Verdict::NeedMore | Verdict::NotMine => {}
                }
            }
            let _ = by_content(1, 2, &bytes);
        }
    }
}
