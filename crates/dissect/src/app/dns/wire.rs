//! DNS messages on the wire (RFC 1035, section 4.1): the header, and what follows it from front to back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::name::{LONGEST_NAME, append, shown};
use super::{Message, Question, Record, Value};

/// Length of the header, in bytes (RFC 1035, section 4.1.1).
pub(super) const HEADER: usize = 12;
/// Fewest bytes of a question: the root, type and class.
pub(super) const LEAST_QUESTION: usize = 5;
/// Fewest bytes of a record: the root, type, class, time to live and length.
pub(super) const LEAST_RECORD: usize = 11;
/// Names of a message that are kept at hand while it is read.
pub(super) const KNOWN: usize = 4;
const TYPE_A: u16 = 1;
const TYPE_NS: u16 = 2;
pub(super) const TYPE_CNAME: u16 = 5;
const TYPE_PTR: u16 = 12;
const TYPE_AAAA: u16 = 28;

/// Where the pointers of a name led, as far as it takes to find that they lead there again (Brent's method): labels alone
/// lead nowhere twice.
#[derive(Clone, Copy, Debug, Default)]
struct Trail {
    /// One of the places, none at first.
    mark: Option<usize>,
    /// Pointers followed since, and how many until another place is marked.
    followed: u32,
    most: u32,
}

impl Trail {
    /// Follows a pointer; gives whether it led there before.
    fn crosses(&mut self, target: usize) -> bool {
        if self.mark == Some(target) {
            return true;
        }
        self.followed += 1;
        if self.followed >= self.most {
            *self = Trail { mark: Some(target), followed: 0, most: self.most.max(1) * 2 };
        }
        false
    }
}

/// What stands for a name that loops.
pub(super) const LOOP: &str = "<name contains a pointer that loops>";
/// What stands for a name beyond 255 bytes.
pub(super) const TOO_LONG: &str = "<name too long>";
/// What stands for a name with a label of a type that only its inventors could read (RFC 6891, section 5).
pub(super) const UNKNOWN_LABEL: &str = "<unknown extended label>";

pub(super) const CUT: &str = "cut short";

/// The header's fields that are read, and the four counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) id: u16,
    pub(super) flags: u16,
    /// Questions, answers, authority records, additional records.
    pub(super) counts: [u16; 4],
}

impl Header {
    #[inline]
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER>()?;
        let field = |n: usize| {
            header.get(2 * n..).and_then(|b| b.first_chunk()).map_or(0, |&b| u16::from_be_bytes(b))
        };
        Some(Header { id: field(0), flags: field(1), counts: [field(2), field(3), field(4), field(5)] })
    }

    pub(super) fn answer(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    pub(super) fn response_code(&self) -> u8 {
        self.flags as u8 & 15
    }

    pub(super) fn opcode(&self) -> u8 {
        (self.flags >> 11) as u8 & 15
    }

    /// A header of zeros: scanners and floods fill port 53 with them.
    #[inline]
    pub(super) fn asks_nothing(&self) -> bool {
        self.id == 0 && self.flags == 0 && self.counts == [0; 4]
    }

    /// Whether a message of `len` bytes can begin so: an assigned opcode, and bytes for all that is counted.
    pub(super) fn plausible(&self, len: usize) -> bool {
        let [questions, records @ ..] = self.counts.map(usize::from);
        let least = HEADER + questions * LEAST_QUESTION + records.iter().sum::<usize>() * LEAST_RECORD;
        matches!(self.opcode(), 0..=2 | 4..=6) && least <= len
    }

    /// Whether this begins a plain query or answer of `len` bytes, as good as nothing else does.
    pub(super) fn common(&self, len: usize) -> bool {
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
pub(super) fn read(header: &Header, bytes: &[u8]) -> Result<Message, &'static str> {
    let [questions, answers, ..] = header.counts.map(usize::from);
    let mut wire = Wire::new(bytes);
    let mut message = Message {
        id: header.id,
        answer: header.answer(),
        opcode: header.opcode(),
        response_code: header.response_code(),
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
pub(super) fn whole(header: &Header, bytes: &[u8]) -> bool {
    let [questions, answers, ..] = header.counts.map(usize::from);
    let mut wire = Wire::new(bytes);
    (0..questions).all(|_| wire.pass_question().is_ok()) && (0..answers).all(|_| wire.pass_record().is_ok())
}

/// A message, read from front to back.
pub(super) struct Wire<'a> {
    pub(super) message: &'a [u8],
    pub(super) at: usize,
    /// Labels and pointers that may yet be followed.
    pub(super) steps: usize,
    /// Names that were read, by where they begin: records mostly point back to them.
    known: [Option<(usize, Arc<str>)>; KNOWN],
    /// How many were read.
    read: usize,
    /// Where the name begins that was passed last.
    passed: usize,
}

impl<'a> Wire<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        // A record of a deep reverse name takes some 3 steps a byte; no message worth reading takes 8.
        Wire {
            message,
            at: HEADER,
            steps: 2048 + 8 * message.len(),
            known: Default::default(),
            read: 0,
            passed: 0,
        }
    }

    fn be16(&mut self) -> Result<u16, &'static str> {
        let bytes = self.message.get(self.at..).and_then(|b| b.first_chunk()).ok_or(CUT)?;
        self.at += 2;
        Ok(u16::from_be_bytes(*bytes))
    }

    pub(super) fn question(&mut self) -> Result<Question, &'static str> {
        let (name, kind, _class) = (self.name()?, self.be16()?, self.be16()?);
        Ok(Question { name, kind })
    }

    pub(super) fn record(&mut self) -> Result<Record, &'static str> {
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
    pub(super) fn name(&mut self) -> Result<Arc<str>, &'static str> {
        // What is nothing but a pointer is called as what it leads to.
        let mut start = self.at;
        if let Some(&[high, low]) = self.message.get(start..start + 2)
            && high >= 192
        {
            start = usize::from(high & 63) << 8 | usize::from(low);
            if let Some((_, name)) = self.known.iter().flatten().find(|(at, _)| *at == start) {
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
    /// [`Self::spell`], which would give the same for these.
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
        let mut len = Some(0);
        let remark = self.walk(|label| len = len.and_then(|len| append(&mut text, len, label)))?;
        Ok(match (remark, len) {
            (Some(remark), _) => remark.into(),
            (None, None) => TOO_LONG.into(),
            (None, Some(len)) => shown(text.get(..len).unwrap_or_default()),
        })
    }

    /// Passes a name, whose labels `each` is given; what stands for it where it cannot be laid out.
    #[inline(always)]
    fn walk(&mut self, mut each: impl FnMut(&'a [u8])) -> Result<Option<&'static str>, &'static str> {
        let mut remark = None;
        let mut at = self.at;
        let mut trail = None;
        loop {
            self.steps = self.steps.checked_sub(1).ok_or("too many labels")?;
            let &length = self.message.get(at).ok_or(CUT)?;
            at += 1;
            match length {
                0 => break,
                1..=63 => {
                    let end = at + usize::from(length);
                    each(self.message.get(at..end).ok_or(CUT)?);
                    at = end;
                }
                192.. => {
                    let &low = self.message.get(at).ok_or(CUT)?;
                    if trail.is_none() {
                        self.at = at + 1;
                    }
                    at = usize::from(length & 63) << 8 | usize::from(low);
                    if trail.get_or_insert_with(Trail::default).crosses(at) {
                        return Ok(Some(LOOP));
                    }
                }
                // How long such a label is only its type could tell: the next field follows at once.
                64..=127 if trail.is_none() => {
                    remark = Some(UNKNOWN_LABEL);
                    break;
                }
                64..=191 => return Err("unknown label type"),
            }
        }
        if trail.is_none() {
            self.at = at;
        }
        Ok(remark)
    }

    /// Passes what [`Self::name`] would read.
    fn pass_name(&mut self) -> Result<(), &'static str> {
        let mut start = self.at;
        if let Some(&[high, low]) = self.message.get(start..start + 2)
            && high >= 192
        {
            start = usize::from(high & 63) << 8 | usize::from(low);
            if start == self.passed {
                self.at += 2;
                return Ok(());
            }
        }
        match self.labels_end() {
            Some(end) => self.at = end,
            None => drop(self.walk(|_| {})?),
        }
        self.passed = start;
        Ok(())
    }

    /// Where a name ends that has nothing but labels; anything else is left to [`Self::walk`].
    #[inline]
    fn labels_end(&self) -> Option<usize> {
        let mut at = self.at;
        loop {
            match *self.message.get(at)? {
                0 => return Some(at + 1),
                length @ 1..=63 => at += 1 + usize::from(length),
                _ => return None,
            }
        }
    }

    /// Passes a question; gives its name as it stands on the wire, and its type.
    pub(super) fn pass_question(&mut self) -> Result<(&'a [u8], u16), &'static str> {
        let start = self.at;
        self.pass_name()?;
        let name = self.message.get(start..self.at).unwrap_or_default();
        let (kind, _class) = (self.be16()?, self.be16()?);
        Ok((name, kind))
    }

    /// Passes a record of any type; gives the type, the time to live, and where its data stands.
    pub(super) fn pass_any_record(&mut self) -> Result<(u16, u32, std::ops::Range<usize>), &'static str> {
        self.pass_name()?;
        let (kind, _class) = (self.be16()?, self.be16()?);
        let ttl = u32::from(self.be16()?) << 16 | u32::from(self.be16()?);
        let len = usize::from(self.be16()?);
        let says = self.at..self.at + len;
        self.message.get(says.clone()).ok_or(CUT)?;
        self.at = says.end;
        Ok((kind, ttl, says))
    }

    /// Passes a record; gives where its name begins, and its time to live and address, if it is one.
    pub(super) fn pass_record(&mut self) -> Result<(usize, u32, Option<IpAddr>), &'static str> {
        let start = self.at;
        self.pass_name()?;
        let kind = self.be16()?;
        let fixed = self.message.get(self.at..self.at + 8).ok_or(CUT)?;
        let len = fixed.last_chunk().map_or(0, |&len| usize::from(u16::from_be_bytes(len)));
        let ttl = fixed.get(2..).and_then(|b| b.first_chunk()).map_or(0, |&ttl| u32::from_be_bytes(ttl));
        self.at += 8;
        let end = self.at + len;
        let says = self.message.get(self.at..end).ok_or(CUT)?;
        let address = match kind {
            TYPE_A => says.first_chunk().map(|&a: &[u8; 4]| Ipv4Addr::from(a).into()),
            TYPE_AAAA => says.first_chunk().map(|&a: &[u8; 16]| Ipv6Addr::from(a).into()),
            TYPE_CNAME | TYPE_PTR | TYPE_NS if len > 0 => {
                self.pass_name()?;
                None
            }
            _ => None,
        };
        self.at = end;
        Ok((start, ttl, address))
    }
}
