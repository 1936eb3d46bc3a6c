//! The latest DNS answers, one a line, and how many messages there were.

use std::io;

use dissect::app::dns::{Record, Value};
use flow::{DnsEvent, DnsTotals, ResolverTotals, Snapshot};

use super::Page;
use crate::view::clock::span;
use crate::view::color;
use crate::view::text::{count, cut_end, cut_middle, cut_start, left, right, visible, width};

/// IANA numbers of record types.
const A: u16 = 1;
const AAAA: u16 = 28;
/// Encrypted resolvers that have a line.
const MOST_RESOLVERS: usize = 10;
/// Columns that the name of a process may take.
const ASKER: usize = 16;

/// The answers and the encrypted resolvers, if there was any DNS at all.
pub(super) fn show(page: &mut Page<'_>, snapshot: &Snapshot) -> io::Result<()> {
    let totals = &snapshot.dns_totals;
    let is_plain = totals.queries > 0 || totals.answers > 0;
    if !page.options.dns_lines || !is_plain && snapshot.resolvers.is_empty() {
        return Ok(());
    }
    page.headline("DNS Activity (including encrypted DNS):")?;
    answers(page, snapshot)?;
    resolvers(page, &snapshot.resolvers)?;
    if is_plain { page.line(color::QUIET, &sum(totals)) } else { Ok(()) }
}

/// Answers of plain DNS, one a line.
fn answers(page: &mut Page<'_>, snapshot: &Snapshot) -> io::Result<()> {
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
    Ok(())
}

/// Resolvers that are asked over encrypted transports, one a line: `doh  dns.google  3 flows, 41 KB, ~25 queries`.
fn resolvers(page: &mut Page<'_>, all: &[ResolverTotals]) -> io::Result<()> {
    let shown = all.get(..MOST_RESOLVERS).unwrap_or(all);
    let kinds = shown.iter().map(|one| one.kind.name().len()).max().unwrap_or(0);
    let names: Vec<_> = shown.iter().map(|one| visible(&one.resolver)).collect();
    let amounts: Vec<_> = shown.iter().map(|one| amount(page, one)).collect();
    let widest = amounts.iter().map(|text| width(text)).max().unwrap_or(0);
    let room = page.limit().saturating_sub(kinds + 4 + widest);
    let columns = names.iter().map(|name| width(name)).max().unwrap_or(0).min(room);
    for ((one, name), amount) in shown.iter().zip(&names).zip(&amounts) {
        let name = left(&cut_start(name, columns), columns);
        page.line(color::NAME, &format!("{}  {name}  {amount}", left(one.kind.name(), kinds)))?;
    }
    if let Some(rest) = all.get(MOST_RESOLVERS..).filter(|rest| !rest.is_empty()) {
        let more = count(rest.len() as u64, "more encrypted resolver", "more encrypted resolvers");
        let flows = rest.iter().map(|one| one.flows).sum();
        page.line(color::QUIET, &format!("… {more}, {}", count(flows, "flow", "flows")))?;
    }
    Ok(())
}

/// How much a resolver is asked. Lookups are estimated, and marked as such.
fn amount(page: &Page<'_>, one: &ResolverTotals) -> String {
    let bytes = page.options.units.amount(one.bytes);
    let queries = count(one.queries, "query", "queries");
    format!("{}, {bytes}, ~{queries}", count(one.flows, "flow", "flows"))
}

/// `… 1203 queries, 1150 answers, 12 no such name, 3 failed, 2 slow`.
fn sum(totals: &DnsTotals) -> String {
    let mut parts =
        vec![count(totals.queries, "query", "queries"), count(totals.answers, "answer", "answers")];
    let further = [
        (totals.no_such_name, "no such name"),
        (totals.failed, "failed"),
        (totals.slow, "slow"),
        (totals.unasked, "nobody asked for"),
        (totals.private, "private for a public name"),
    ];
    for (n, what) in further {
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
