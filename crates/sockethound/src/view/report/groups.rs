//! Groups of flows, one a row.

use std::io;

use flow::{Group, GroupKey, Snapshot};

use super::flows::protocol;
use super::{Page, rate};
use crate::view::color;
use crate::view::text::{cut_middle, cut_start, left, right, visible, width};

/// The table of groups.
pub(super) fn show(page: &mut Page<'_>, groups: &[Group], snapshot: &Snapshot) -> io::Result<()> {
    let what = match groups.first().map(|group| &group.key) {
        Some(GroupKey::Service(..)) => "Services",
        Some(GroupKey::Interface(_)) => "Interfaces",
        // Where a name is not known, the address stands for it.
        _ if groups.iter().any(|group| matches!(group.key, GroupKey::Name(_))) => "Names",
        _ => "Hosts",
    };
    page.headline(&format!("Active {what} (sorted by total bytes):"))?;
    page.rule()?;
    let numbers: Vec<_> = groups.iter().map(|group| numbers(page, group)).collect();
    let heads = ["initiator", "responder", "bytes", "packets", "flows"].map(str::to_owned);
    let mut columns = [0; 5];
    for row in numbers.iter().chain([&heads]) {
        for (column, text) in columns.iter_mut().zip(row) {
            *column = width(text).max(*column);
        }
    }
    let labels: Vec<_> = groups.iter().map(|group| label(group, snapshot)).collect();
    let room = page.limit().saturating_sub(columns.iter().map(|w| w + 2).sum::<usize>() + 3);
    let longest = labels.iter().map(|label| width(label)).max().unwrap_or(0).min(room).max(15);
    let line = |label: &str, row: &[String; 5]| {
        let cells = columns.iter().zip(row).map(|(w, text)| "  ".to_owned() + &right(text, *w));
        left(label, longest) + &cells.collect::<String>()
    };
    page.line(color::QUIET, &line("", &heads))?;
    for ((group, label), row) in groups.iter().zip(&labels).zip(&numbers) {
        let (style, mark) = color::of_rate(rate(group.total().ip_bytes, snapshot));
        let label = match group.key {
            GroupKey::Host(_) => cut_middle(label, longest),
            _ => cut_start(label, longest),
        };
        page.line(style, &format!("{} {mark}", line(&label, row)))?;
    }
    if snapshot.more_groups > 0 {
        page.line(color::QUIET, &format!("… {} more", snapshot.more_groups))?;
    }
    if groups.is_empty() {
        page.line(color::QUIET, "none")?;
    }
    Ok(())
}

fn numbers(page: &Page<'_>, group: &Group) -> [String; 5] {
    let units = page.options.units;
    [
        units.amount(group.sent.ip_bytes),
        units.amount(group.received.ip_bytes),
        units.amount(group.total().ip_bytes),
        group.total().packets.to_string(),
        group.flows.to_string(),
    ]
}

fn label(group: &Group, snapshot: &Snapshot) -> String {
    match &group.key {
        GroupKey::Process(name) | GroupKey::Container(name) | GroupKey::User(name) => {
            visible(name).into_owned()
        }
        GroupKey::Others => "others".to_owned(),
        GroupKey::NoContainer => "no container".to_owned(),
        GroupKey::Unowned(reason) => format!("({reason})"),
        GroupKey::Host(addr) => addr.to_string(),
        GroupKey::Name(name) => visible(name).into_owned(),
        GroupKey::Service(number, 0) => protocol(*number).to_lowercase(),
        GroupKey::Service(number, port) => format!("{}/{port}", protocol(*number).to_lowercase()),
        GroupKey::Interface(id) => {
            let Some(interface) = snapshot.interface(*id) else { return "?".to_owned() };
            let label = visible(interface.label()).into_owned();
            // The same name in two captures is two interfaces.
            match (&interface.name, &interface.file) {
                (Some(_), Some(file)) if snapshot.captures.len() > 1 => {
                    format!("{label} ({})", visible(file))
                }
                _ => label,
            }
        }
    }
}
