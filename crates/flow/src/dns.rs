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
}

impl DnsTotals {
    pub(crate) fn add(&mut self, message: &Outline<'_>) {
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
    }
}

impl std::ops::AddAssign for DnsTotals {
    fn add_assign(&mut self, other: Self) {
        self.queries += other.queries;
        self.answers += other.answers;
        self.no_such_name += other.no_such_name;
        self.failed += other.failed;
    }
}
