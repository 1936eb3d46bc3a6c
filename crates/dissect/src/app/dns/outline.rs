//! What a message is, without what it costs to lay it out: most messages are counted and compared, and never shown.

use std::net::IpAddr;
use std::sync::Arc;

use super::alias::Aliases;
use super::wire::{HEADER, Header, Wire, read};
use super::{Message, NBNS};

/// One message, passed over once: it is known to be one, and where its parts begin.
#[derive(Clone, Copy, Debug)]
pub struct Outline<'a> {
    header: Header,
    message: &'a [u8],
    asked: Option<Asked<'a>>,
    /// Where the answers begin.
    answers_at: usize,
    /// Names are those of NetBIOS.
    is_netbios: bool,
}

/// The first question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Its name, as it stands on the wire.
    pub name: &'a [u8],
    /// QTYPE (IANA number).
    pub kind: u16,
}

/// One address among the answers.
#[derive(Clone, Copy, Debug)]
pub struct Address {
    /// A or AAAA.
    pub addr: IpAddr,
    /// Time to live, in seconds.
    pub ttl: u32,
    /// It is what was asked for: its record is of the question's name, or of one that aliases lead to from there (RFC 1034,
    /// section 3.6.2). Nobody is bound to believe other answers of this name (RFC 2181, section 5.4.1).
    pub is_asked_for: bool,
    name_at: usize,
}

/// Names of an answer's records, as many as can be laid out in a time that the message's length bounds.
pub struct Names<'a>(Wire<'a>);

impl Names<'_> {
    /// The name of an address's record, as in [`super::Record::name`]; empty where it cannot be laid out.
    pub fn of(&mut self, address: &Address) -> Arc<str> {
        self.0.at = address.name_at;
        self.0.name().unwrap_or_default()
    }
}

impl<'a> Outline<'a> {
    /// Passes over the message that `header` begins, or says why it is none: just when [`read`] does.
    pub(super) fn of(header: Header, message: &'a [u8]) -> Result<Self, &'static str> {
        let mut wire = Wire::new(message);
        let [questions, answers, ..] = header.counts;
        let mut asked = None;
        for _ in 0..questions {
            let (name, kind) = wire.pass_question()?;
            asked.get_or_insert(Asked { name, kind });
        }
        let answers_at = wire.at;
        if questions == 0 && answers > 0 {
            wire.pass_record()?;
        }
        Ok(Outline { header, message, asked, answers_at, is_netbios: false })
    }

    /// As [`Message::id`].
    pub fn id(&self) -> u16 {
        self.header.id
    }

    /// As [`Message::answer`].
    pub fn answer(&self) -> bool {
        self.header.answer()
    }

    /// As [`Message::opcode`].
    pub fn opcode(&self) -> u8 {
        self.header.opcode()
    }

    /// As [`Message::response_code`].
    pub fn response_code(&self) -> u8 {
        self.header.response_code()
    }

    /// What is asked first.
    pub fn asked(&self) -> Option<Asked<'a>> {
        self.asked
    }

    /// The name that is asked for first, as in [`super::Question::name`]; empty where nothing is asked.
    pub fn name(&self) -> Arc<str> {
        name_at(self.message, HEADER).filter(|_| self.asked.is_some()).unwrap_or_default()
    }

    /// The addresses among the answers.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + use<'a> {
        let mut wire = self.answers();
        let outline = *self;
        let records = (0..self.answer_count()).map_while(move |_| wire.pass_record().ok());
        let mut aliases = Aliases::of(self);
        records.filter_map(move |(name_at, ttl, addr)| {
            let addr = addr?;
            let is_asked_for = outline.asked.is_some() && aliases.lead_to(&outline, name_at);
            Some(Address { addr, ttl, is_asked_for, name_at })
        })
    }

    /// What the records of [`Self::addresses`] are called.
    pub fn names(&self) -> Names<'a> {
        Names(Wire::new(self.message))
    }

    /// The message from its answers on.
    pub(super) fn answers(&self) -> Wire<'a> {
        let mut wire = Wire::new(self.message);
        wire.at = self.answers_at;
        wire
    }

    /// How many answers it counts.
    pub(super) fn answer_count(&self) -> u16 {
        self.header.counts[1]
    }

    /// How many records it counts in all sections.
    pub(super) fn record_count(&self) -> usize {
        let [_, records @ ..] = self.header.counts;
        records.into_iter().map(usize::from).sum()
    }

    /// All of it.
    pub fn message(&self) -> Message {
        let mut message = read(&self.header, self.message).unwrap_or_default();
        if self.is_netbios {
            self.as_netbios(&mut message);
        }
        message
    }

    /// The bytes of all of it.
    pub fn bytes(&self) -> &'a [u8] {
        self.message
    }

    /// The message in `bytes`, which an outline of `protocol` gave; `None` if none did.
    pub fn again(bytes: &'a [u8], protocol: &str) -> Option<Self> {
        let outline = Outline::of(Header::of(bytes)?, bytes).ok()?;
        Some(if protocol == NBNS.name { outline.of_netbios() } else { outline })
    }

    /// The same of the NetBIOS name service.
    pub(super) fn of_netbios(self) -> Self {
        Outline { is_netbios: true, ..self }
    }
}

fn name_at(message: &[u8], at: usize) -> Option<Arc<str>> {
    let mut wire = Wire::new(message);
    wire.at = at;
    wire.name().ok()
}

impl PartialEq for Outline<'_> {
    /// By what they say.
    fn eq(&self, other: &Self) -> bool {
        self.message() == other.message()
    }
}

impl Eq for Outline<'_> {}
