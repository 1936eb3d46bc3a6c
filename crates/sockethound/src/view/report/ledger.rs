//! The account under every report, and what was lost, hidden or damaged.
//!
//! Live, what was seen, dropped and split by the interfaces themselves is told apart; of the counted packets' frame bytes,
//! it says which parts have an owner, pass through, are the kernel's, and are not known.

use std::collections::BTreeMap;
use std::io;

use anstyle::Style as Ansi;
use flow::{CaptureEnd, Ledger, Snapshot, SocketLedger};

use super::totals::Sources;
use super::{Page, live};
use crate::view::color;
use crate::view::text::{NO_BREAK, count, cut_start, visible, width};

/// Kinds of packets that one line names.
const NAMED: usize = 4;
/// Columns that a source may take in a sentence.
const SOURCE: usize = 48;

/// The account, and lines of their own for what a reader must know.
pub(super) fn show(page: &mut Page<'_>, snapshot: &Snapshot) -> io::Result<()> {
    let ledger = &snapshot.ledger;
    page.line(Ansi::new(), "")?;
    let text = account(page, snapshot);
    page.sentence(Ansi::new(), &text, 8)?;
    if snapshot.live.is_some() {
        live::gaps(page, ledger)?;
    } else if !ledger.closes() {
        page.sentence(color::ALARM, &gap(ledger), 8)?;
    }
    if let Some(sockets) = &snapshot.sockets {
        page.sentence(Ansi::new(), &at_sockets(page, sockets), 9)?;
    }
    notes(page, ledger)?;
    for capture in &snapshot.captures {
        let what = match &capture.stop {
            CaptureEnd::Complete => continue,
            CaptureEnd::Truncated(reason) => format!("capture cut short: {}", visible(reason)),
            CaptureEnd::Malformed(reason) => format!("capture damaged: {}", visible(reason)),
            CaptureEnd::Interrupted => "not read to its end: interrupted".to_owned(),
        };
        page.sentence(color::WARNING, &format!("{}: {what}", visible(&capture.path)), 8)?;
    }
    if page.options.verbose && snapshot.live.is_some() {
        live::interfaces(page, snapshot)?;
    }
    if page.options.verbose {
        lists(page, ledger)?;
    }
    Ok(())
}

/// `Ledger: 3347 packets, 4.28 MB in frames in x.pcap = counted 3343 + not IP 4 (ARP 3, LLDP 1) + malformed 0`; live with
/// `on eth0 lo` and `+ dropped 0`, malformed and offload only if there are any, and the parts.
fn account(page: &Page<'_>, snapshot: &Snapshot) -> String {
    let ledger = &snapshot.ledger;
    let live = ledger.live();
    let (mut packets, mut bytes) = ledger.seen();
    let mut counted = format!("= counted {}", ledger.counted.packets);
    let malformed: u64 = malformed(ledger).iter().map(|(_, n)| n).sum();
    let mut terms = vec![];
    if malformed > 0 || live.is_none() {
        terms.push(format!("+ malformed {malformed}"));
    }
    if let Some(live) = &live {
        (packets, bytes) = (packets + live.dropped.unwrap_or(0) + live.offload.0, bytes + live.offload.1);
        let all = ledger.counted().0;
        counted = format!("= counted {all}");
        // Flows count a packet once.
        let again = all.saturating_sub(snapshot.total.packets + ledger.hidden.1.packets);
        if again > 0 {
            counted = format!("{counted} ({again} again on their way)");
        }
        terms.push(format!("+ {}", live::dropped(live)));
        terms.extend((live.without_flow.0 > 0).then(|| format!("+ without flow {}", live.without_flow.0)));
        terms.extend((live.offload.0 > 0).then(|| format!("+ offload {}", live.offload.0)));
    }
    let term = |text: String| text.replace(' ', &NO_BREAK.to_string());
    let terms: Vec<_> = terms.into_iter().map(term).collect();
    format!(
        "Ledger: {} {}{} {} {} {}{}",
        term(format!("{},", count(packets, "packet", "packets"))),
        term(format!("{} in frames", page.options.units.amount(bytes))),
        of(page, snapshot),
        term(counted),
        term(format!("+ not IP {}", ledger.not_ip().0.saturating_sub(malformed))) + &kinds(ledger),
        terms.join(" "),
        live.map_or(String::new(), |live| live::shares(&live)),
    )
}

/// ` in x.pcap`, ` on eth0 lo`.
fn of(page: &Page<'_>, snapshot: &Snapshot) -> String {
    let sources = Sources::of(snapshot);
    let limit = SOURCE.min(page.limit());
    let named = match sources.names.as_slice() {
        [] => return String::new(),
        [one] => cut_start(one, limit).into_owned(),
        all if !sources.files && width(&all.join(" ")) <= limit => all.join(" "),
        _ => sources.number(),
    };
    format!(" {} {named}", if sources.files { "in" } else { "on" })
}

/// ` (ARP 30, LLDP 12, STP 9, CDP 2, 2 other kinds 3)`.
fn kinds(ledger: &Ledger) -> String {
    let names = merged(ledger.interfaces.iter().flat_map(|i| &i.not_ip_names));
    if names.is_empty() {
        return String::new();
    }
    // One more is named rather than called "1 other kind".
    let shown = if names.len() == NAMED + 1 { NAMED + 1 } else { NAMED };
    let mut parts: Vec<String> =
        names.iter().take(shown).map(|(name, n)| format!("{}{NO_BREAK}{n}", visible(name))).collect();
    if names.len() > shown {
        let rest: u64 = names.iter().skip(shown).map(|(_, n)| n).sum();
        parts.push(format!("{} other kinds {rest}", names.len() - shown));
    }
    format!(" ({})", parts.join(", "))
}

fn malformed(ledger: &Ledger) -> Vec<(String, u64)> {
    merged(ledger.interfaces.iter().flat_map(|i| &i.malformed))
}

/// Counts of all interfaces, most first.
fn merged<'a>(counts: impl Iterator<Item = &'a (String, u64)>) -> Vec<(String, u64)> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    counts.for_each(|(what, n)| *sums.entry(what).or_default() += n);
    let mut all: Vec<_> = sums.into_iter().map(|(what, sum)| (what.to_owned(), sum)).collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all
}

/// `Sockets: 3343 packets, 4.28 MB; in flows 3340, 4.27 MB; difference 3, 12.30 KB`: IP bytes.
fn at_sockets(page: &Page<'_>, ledger: &SocketLedger) -> String {
    let units = page.options.units;
    let (packets, bytes) = ledger.difference();
    let signed = |n: i64, text: String| if n < 0 { format!("-{text}") } else { text };
    let amount = signed(bytes, units.amount(bytes.unsigned_abs()));
    let parts = [
        format!("{}, {}", count(ledger.sockets.0, "packet", "packets"), units.amount(ledger.sockets.1)),
        format!("in flows {}, {}", ledger.in_flows.0, units.amount(ledger.in_flows.1)),
        if (packets, bytes) == (0, 0) {
            "no difference".to_owned()
        } else {
            format!("difference {packets}, {amount}")
        },
    ];
    format!("Sockets: {}", parts.map(|part| part.replace(' ', &NO_BREAK.to_string())).join("; "))
}

fn gap(ledger: &Ledger) -> String {
    let (seen, not_ip) = (ledger.seen(), ledger.not_ip());
    let apart = |seen: u64, told: u64, one: &str, more: &str| {
        format!("{}{}", if seen < told { "-" } else { "" }, count(seen.abs_diff(told), one, more))
    };
    format!(
        "The ledger does not close: {} and {} are not accounted for. This is a defect; please report it.",
        apart(seen.0, ledger.counted.packets + not_ip.0, "packet", "packets"),
        apart(seen.1, ledger.counted.frame_bytes + not_ip.1, "byte", "bytes")
    )
}

/// Flows that left early, packets that were not kept, and flows that are not shown.
fn notes(page: &mut Page<'_>, ledger: &Ledger) -> io::Result<()> {
    let units = page.options.units;
    if ledger.evicted_flows > 0 {
        let (flows, sum) = (count(ledger.evicted_flows, "flow", "flows"), ledger.evicted);
        let text = format!(
            "Evicted: {flows}, {} in {}: the table was full; they are in the totals, not in the rows",
            units.amount(sum.ip_bytes),
            count(sum.packets, "packet", "packets")
        );
        page.sentence(color::WARNING, &text, 9)?;
    }
    if ledger.unread_openings > 0 {
        let flows = count(ledger.unread_openings, "flow", "flows");
        let text = format!("Not read: what {flows} said first: too many others were being read at once");
        page.sentence(color::WARNING, &text, 10)?;
    }
    let (packets, bytes) = ledger.live().map_or((0, 0), |live| live.in_kernel);
    if packets > 0 {
        let text = format!(
            "Counted in kernel: {}, {} in frames: no names or TCP facts; a larger --ring keeps more",
            count(packets, "packet", "packets"),
            units.amount(bytes),
        );
        page.sentence(color::WARNING, &text, 19)?;
    }
    let (hidden, sum) = ledger.hidden;
    if hidden > 0 {
        let text = format!(
            "Hidden: {}, {} in {}: not in the totals above",
            count(hidden, "flow", "flows"),
            units.amount(sum.ip_bytes),
            count(sum.packets, "packet", "packets")
        );
        page.sentence(color::QUIET, &text, 8)?;
    }
    Ok(())
}

/// Everything by reason, with how often it was seen.
fn lists(page: &mut Page<'_>, ledger: &Ledger) -> io::Result<()> {
    let not_ip = merged(ledger.interfaces.iter().flat_map(|i| &i.not_ip_names));
    let malformed = malformed(ledger);
    for (title, counts) in [
        ("Not IP, in packets:", &not_ip),
        ("Malformed, in packets:", &malformed),
        ("Odd further in, in counted packets:", &ledger.odd),
        ("Malformed messages:", &ledger.malformed_messages),
    ] {
        if counts.is_empty() {
            continue;
        }
        page.headline(title)?;
        for (what, n) in counts {
            page.line(Ansi::new(), &format!("{n:>10}  {}", visible(what)))?;
        }
    }
    Ok(())
}
