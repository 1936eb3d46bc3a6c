//! DNS messages as events.

use std::sync::Arc;
use std::time::Duration;

use dissect::app::dns::{Message, Outline};
use dissect::{FiveTuple, Timestamp};

use crate::ledger::InterfaceId;
use crate::owner::Owner;

/// One DNS, mDNS or LLMNR message.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsEvent {
    /// When the packet that completes it was captured.
    pub timestamp: Timestamp,
    /// Number of that packet in its capture, from 1.
    pub frame: u64,
    /// Where that packet was seen.
    pub interface: InterfaceId,
    /// `dns`, `mdns` or `llmnr`.
    pub protocol: &'static str,
    /// Who sent it to whom.
    pub tuple: FiveTuple,
    /// What it says.
    pub message: Arc<Message>,
    /// Live: the process that asked, or answers here.
    pub owner: Option<Arc<Owner>>,
    /// Of an answer: how long after its query it passed the capture point; `None` if no query was seen.
    pub latency: Option<Duration>,
    /// The program's own lookup of a name asked or answers: hidden from reports.
    pub own_lookup: bool,
    /// What else is remarkable about it.
    pub facts: DnsFacts,
}

impl DnsEvent {
    /// What is remarkable about it, in words as records have them.
    pub fn remarks(&self) -> impl Iterator<Item = &'static str> {
        let code = |code| self.message.answer && self.message.response_code == code;
        let facts = self.facts;
        let all = [
            (code(3), "nxdomain"),
            (code(2), "servfail"),
            (facts.is_slow, "slow"),
            (facts.is_unasked, "unasked"),
            (facts.is_private, "private_answer"),
        ];
        all.into_iter().filter_map(|(holds, word)| holds.then_some(word))
    }
}

/// What is remarkable about an answer, beyond what it says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsFacts {
    /// It took [`Self::SLOW`] or longer.
    pub is_slow: bool,
    /// Nobody asked: its asker's queries pass here, none that it answers did, and the capture began early enough to see it.
    pub is_unasked: bool,
    /// It gives a public name a private address, as an attack by rebinding does, and some names of intranets.
    pub is_private: bool,
}

impl DnsFacts {
    /// From here on an answer is slow: whoever waits for a page notices.
    pub const SLOW: Duration = Duration::from_millis(500);
}

/// How many DNS messages there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsTotals {
    /// Queries.
    pub queries: u64,
    /// Answers.
    pub answers: u64,
    /// Answers that say the name does not exist (NXDOMAIN).
    pub no_such_name: u64,
    /// Answers with another response code than success.
    pub failed: u64,
    /// Answers that took [`DnsFacts::SLOW`] or longer.
    pub slow: u64,
    /// Answers that nobody asked for.
    pub unasked: u64,
    /// Answers that give a public name a private address.
    pub private: u64,
}

impl DnsTotals {
    pub(crate) fn add(&mut self, message: &Outline<'_>, facts: DnsFacts) {
        if !message.answer() {
            self.queries += 1;
            return;
        }
        self.answers += 1;
        match message.response_code() {
            0 => {}
            3 => self.no_such_name += 1,
            _ => self.failed += 1,
        }
        self.slow += u64::from(facts.is_slow);
        self.unasked += u64::from(facts.is_unasked);
        self.private += u64::from(facts.is_private);
    }
}

impl std::ops::AddAssign for DnsTotals {
    fn add_assign(&mut self, other: Self) {
        self.queries += other.queries;
        self.answers += other.answers;
        self.no_such_name += other.no_such_name;
        self.failed += other.failed;
        self.slow += other.slow;
        self.unasked += other.unasked;
        self.private += other.private;
    }
}
