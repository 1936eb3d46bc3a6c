//! The latest DNS answers, one a line, and how many messages there were.

use std::io;

use dissect::app::dns::{Record, Value};
use flow::{DnsEvent, DnsTotals, Snapshot};

use super::Page;
use crate::view::clock::span;
use crate::view::color;
use crate::view::text::{count, cut_end, cut_middle, cut_start, left, right, visible, width};

/// IANA numbers of record types.
const A: u16 = 1;
const AAAA: u16 = 28;
/// Columns that the name of a process may take.
const ASKER: usize = 16;

/// The answers, if there was any DNS at all.
pub(super) fn show(page: &mut Page<'_>, snapshot: &Snapshot) -> io::Result<()> {
    let totals = &snapshot.dns_totals;
    if totals.queries == 0 && totals.answers == 0 {
        return Ok(());
    }
    page.headline("DNS Activity:")?;
    let lines: Vec<Line> = snapshot.dns.iter().map(|event| Line::of(page, event)).collect();
    let widest = |part: fn(&Line) -> &str| lines.iter().map(|line| width(part(line))).max().unwrap_or(0);
    let (asked, said, took) = (widest(|l| &l.asked), widest(|l| &l.said), widest(|l| &l.took));
    let asker = widest(|l| &l.asker).min(ASKER);
    // Time of day, arrow and gaps.
    let around = 11 + 3 + 2 + took + if asker > 0 { asker + 2 } else { 0 };
    let room = page.limit().saturating_sub(around);
    let said = said.min((room / 2).max(room.saturating_sub(asked)));
    let asked = asked.min(room.saturating_sub(said));
    for line in &lines {
        let mut text = format!(
            "[{}] {} → {}",
            line.at,
            left(&cut_start(&line.asked, asked), asked),
            left(&cut_middle(&line.said, said), said),
        );
        if asker > 0 {
            text += "  ";
            text += &left(&cut_end(&line.asker, asker), asker);
        }
        text += "  ";
        text += &right(&line.took, took);
        page.line(color::NAME, &text)?;
    }
    page.line(color::QUIET, &sum(totals))
}

/// `… 1203 queries, 1150 answers, 12 no such name, 3 failed`.
fn sum(totals: &DnsTotals) -> String {
    let mut parts =
        vec![count(totals.queries, "query", "queries"), count(totals.answers, "answer", "answers")];
    for (n, what) in [(totals.no_such_name, "no such name"), (totals.failed, "failed")] {
        if n > 0 {
            parts.push(format!("{n} {what}"));
        }
    }
    format!("… {}", parts.join(", "))
}

/// One answer.
struct Line {
    at: String,
    asked: String,
    said: String,
    /// The process that asked.
    asker: String,
    took: String,
}

impl Line {
    fn of(page: &Page<'_>, event: &DnsEvent) -> Self {
        let message = &event.message;
        let asked = message.questions.first().map(|question| (&question.name, question.kind));
        // Multicast answers do not repeat the question (RFC 6762, section 6): what is told is what was asked.
        let asked = asked.or_else(|| telling(event).map(|record| (&record.name, record.kind)));
        let asked = asked.map_or("?".to_owned(), |(name, kind)| {
            let name = if name.is_empty() { ".".into() } else { visible(name) };
            let kind = if kind == A { String::new() } else { format!(" {}", record_type(kind)) };
            let tag = if event.protocol == "dns" { String::new() } else { format!(" ({})", event.protocol) };
            format!("{name}{kind}{tag}")
        });
        Line {
            at: page.clock.time(event.timestamp),
            asked,
            said: said(event),
            asker: event.owner.as_ref().map_or(String::new(), |owner| visible(&owner.name).into_owned()),
            took: event.latency.map_or(String::new(), span),
        }
    }
}

/// The record that says most: the first address, else the first name, else the first of all.
fn telling(event: &DnsEvent) -> Option<&Record> {
    let answers = &event.message.answers;
    let address = answers.iter().find(|record| matches!(record.value, Value::Address(_)));
    let name = || answers.iter().find(|record| matches!(record.value, Value::Name(_)));
    address.or_else(name).or(answers.first())
}

/// What the answer says, shortly: what its most telling record does, else what went wrong.
fn said(event: &DnsEvent) -> String {
    let message = &event.message;
    if message.response_code != 0 {
        return response_code(message.response_code);
    }
    match telling(event).map(|record| &record.value) {
        Some(Value::Address(addr)) => {
            let is_address = |record: &&Record| matches!(record.value, Value::Address(_));
            match message.answers.iter().filter(is_address).count() {
                ..=1 => addr.to_string(),
                all => format!("{addr} +{}", all - 1),
            }
        }
        Some(Value::Name(name)) => visible(name).into_owned(),
        Some(Value::Other) => count(message.answers.len() as u64, "record", "records"),
        None => "no records".to_owned(),
    }
}

/// IANA's word for an RCODE (RFC 6895, section 2.3).
fn response_code(code: u8) -> String {
    let word = match code {
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        _ => return format!("RCODE{code}"),
    };
    word.to_owned()
}

/// IANA's word for a record type; RFC 3597's for one without.
fn record_type(kind: u16) -> String {
    let word = match kind {
        A => "A",
        AAAA => "AAAA",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        33 => "SRV",
        35 => "NAPTR",
        43 => "DS",
        48 => "DNSKEY",
        64 => "SVCB",
        65 => "HTTPS",
        252 => "AXFR",
        255 => "ANY",
        257 => "CAA",
        _ => return format!("TYPE{kind}"),
    };
    word.to_owned()
}
