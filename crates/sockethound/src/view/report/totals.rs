//! Headline, duration, sum and rate.

use std::collections::HashSet;
use std::io;

use anstyle::Style as Ansi;
use flow::Snapshot;

use super::{Page, live, rate};
use crate::view::clock::span;
use crate::view::color;
use crate::view::text::{count, cut_start, right, visible, width};

/// Headline, duration, sum and rate.
pub(super) fn show(page: &mut Page<'_>, snapshot: &Snapshot) -> io::Result<()> {
    headline(page, snapshot)?;
    sums(page, snapshot)
}

/// `Network Traffic Summary              eth0 lo · bpf · 2026-11-22 12:30:06`: what was read, and until when.
fn headline(page: &mut Page<'_>, snapshot: &Snapshot) -> io::Result<()> {
    const TITLE: &str = "Network Traffic Summary";
    let sources = Sources::of(snapshot);
    let until = snapshot.live.map(|live| live.at).or(snapshot.last);
    let until = until.map(|last| page.clock.date_time(last)).unwrap_or_default();
    let gap = if until.is_empty() { "" } else { " · " };
    let room = page.columns().saturating_sub(TITLE.len() + 2);
    let until = match &snapshot.live {
        Some(live) if live.owners_from.len() + 3 + width(&until) <= room => {
            format!("{} · {until}", live.owners_from)
        }
        _ => until,
    };
    let named =
        cut_start(&sources.names.join(" "), room.saturating_sub(width(gap) + width(&until))).into_owned();
    let named = if sources.names.len() > 1 && named.starts_with('…') { sources.number() } else { named };
    page.line(color::HEADING, &format!("{TITLE}  {}", right(&format!("{named}{gap}{until}"), room)))
}

fn sums(page: &mut Page<'_>, snapshot: &Snapshot) -> io::Result<()> {
    let duration = snapshot.duration();
    let seconds = duration.as_secs_f64();
    let decimals = if seconds < 1.0 && !duration.is_zero() { 6 } else { 1 };
    let readable = if seconds >= 60.0 { format!(" ({})", span(duration)) } else { String::new() };
    let is_timed = snapshot.live.is_some() || snapshot.first.is_some() || snapshot.total.packets == 0;
    let duration = if is_timed {
        format!("{seconds:.decimals$} seconds{readable}")
    } else {
        "unknown (no packet has a time)".to_owned()
    };
    page.line(Ansi::new(), &format!("Duration: {duration}"))?;
    let units = page.options.units;
    let total = snapshot.total;
    let amount = units.amount(total.ip_bytes);
    page.line(Ansi::new(), &format!("Total: {amount:>9} in {}", count(total.packets, "packet", "packets")))?;
    let rate = match rate(total.ip_bytes, snapshot) {
        Some(rate) => {
            let packets = total.packets as f64 / seconds;
            format!("Rate: {:>11} ({packets:.1} packets/sec)", units.rate(rate))
        }
        None if is_timed => "Rate: none (no time passed)".to_owned(),
        None => "Rate: unknown".to_owned(),
    };
    let rate = match &snapshot.live {
        Some(live) => live::rates(page, &rate, live),
        None => rate,
    };
    page.line(Ansi::new(), &rate)
}

/// Where the packets came from.
pub(super) struct Sources {
    pub(super) names: Vec<String>,
    pub(super) files: bool,
}

impl Sources {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let read = snapshot.captures.iter().map(|capture| &*capture.path);
        let opened = snapshot.interfaces.iter().filter_map(|interface| interface.file.as_deref());
        let files = unique(opened.chain(read));
        if files.is_empty() {
            let interfaces = snapshot.interfaces.iter().map(flow::InterfaceName::label);
            return Sources { names: unique(interfaces), files: false };
        }
        Sources { names: files, files: true }
    }

    /// `3 captures`.
    pub(super) fn number(&self) -> String {
        format!("{} {}", self.names.len(), if self.files { "captures" } else { "interfaces" })
    }
}

/// Each name once. Interfaces may have come and gone by the ten thousand.
fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut known = HashSet::new();
    names.filter(|name| known.insert(*name)).map(|name| visible(name).into_owned()).collect()
}
