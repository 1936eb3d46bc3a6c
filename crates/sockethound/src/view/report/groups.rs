//! Groups of flows, one a row.

use std::io;

use flow::{Group, GroupKey, Snapshot};

use super::flows::protocol;
use super::{Page, rate};
use crate::view::color;
use crate::view::text::{cut_end, cut_middle, cut_start, left, right, visible, width};

/// The table of groups.
pub(super) fn show(page: &mut Page<'_>, groups: &[Group], snapshot: &Snapshot) -> io::Result<()> {
    page.headline(&format!("Active {} (sorted by total bytes):", title(groups)))?;
    page.rule()?;
    if groups.is_empty() {
        return page.line(color::QUIET, "none");
    }
    let pids = groups.iter().any(|group| !group.pids.is_empty());
    let mut heads =
        ["initiator", "responder", "bytes", "packets", "flows", "pid"].map(str::to_owned).to_vec();
    heads.truncate(if pids { 6 } else { 5 });
    let rows: Vec<_> = groups.iter().map(|group| numbers(page, group)).collect();
    let (rest, sum) = (rest(page, groups, snapshot), sum(page, groups, snapshot));
    let mut columns = vec![0; heads.len()];
    for row in rows.iter().chain([&heads, &sum]).chain(&rest) {
        for (column, text) in columns.iter_mut().zip(row) {
            *column = width(text).max(*column);
        }
    }
    let labels: Vec<_> = groups.iter().map(|group| label(group, snapshot)).collect();
    let room = page.limit().saturating_sub(columns.iter().map(|w| w + 2).sum::<usize>() + 3);
    let longest = labels.iter().map(|label| width(label)).max().unwrap_or(0).min(room).max(15);
    let line = |label: &str, row: &[String]| {
        let cells = columns.iter().zip(row).map(|(w, text)| "  ".to_owned() + &right(text, *w));
        left(label, longest) + &cells.collect::<String>()
    };
    page.line(color::QUIET, &line("", &heads))?;
    for ((group, label), row) in groups.iter().zip(&labels).zip(&rows) {
        let (style, mark) = color::of_rate(rate(group.total().ip_bytes, snapshot));
        let label = match group.key {
            GroupKey::Host(_) => cut_middle(label, longest),
            // What a process is called begins with what matters.
            GroupKey::Process(_) | GroupKey::Container(_) | GroupKey::User(_) | GroupKey::Unowned(_) => {
                cut_end(label, longest)
            }
            _ => cut_start(label, longest),
        };
        page.line(style, &format!("{} {mark}", line(&label, row)))?;
    }
    if let Some(rest) = &rest {
        page.line(color::QUIET, &line(&format!("… {} more", snapshot.more_groups), rest))?;
    }
    page.line(color::HEADING, &line("total", &sum))
}

/// What `groups` are, in a word: the first of them that says it.
fn title(groups: &[Group]) -> &'static str {
    let named = |group: &Group| match group.key {
        GroupKey::Process(_) => Some("Processes"),
        GroupKey::Container(_) | GroupKey::NoContainer => Some("Containers"),
        GroupKey::User(_) => Some("Users"),
        GroupKey::Service(..) => Some("Services"),
        GroupKey::Interface(_) => Some("Interfaces"),
        GroupKey::Name(_) => Some("Names"),
        _ => None,
    };
    // Where a name is not known, the address stands for it.
    let addresses = || groups.iter().any(|group| matches!(group.key, GroupKey::Host(_)));
    groups.iter().find_map(named).unwrap_or(if addresses() { "Hosts" } else { "Groups" })
}

fn numbers(page: &Page<'_>, group: &Group) -> Vec<String> {
    let units = page.options.units;
    let pid = match group.pids.as_slice() {
        [] => String::new(),
        [one] => one.to_string(),
        _ => "several".to_owned(),
    };
    vec![
        units.amount(group.sent.ip_bytes),
        units.amount(group.received.ip_bytes),
        units.amount(group.total().ip_bytes),
        group.total().packets.to_string(),
        group.flows.to_string(),
        pid,
    ]
}

/// What the groups that are not shown hold, both ways together.
fn rest(page: &Page<'_>, groups: &[Group], snapshot: &Snapshot) -> Option<Vec<String>> {
    let mut rest = (snapshot.total.ip_bytes, snapshot.total.packets, snapshot.flows);
    for group in groups {
        let total = group.total();
        rest.0 = rest.0.saturating_sub(total.ip_bytes);
        rest.1 = rest.1.saturating_sub(total.packets);
        rest.2 = rest.2.saturating_sub(group.flows);
    }
    (snapshot.more_groups > 0).then(|| both_ways(page, rest))
}

/// All of them, evicted flows included; each side by itself where every group is shown and no flow was evicted.
fn sum(page: &Page<'_>, groups: &[Group], snapshot: &Snapshot) -> Vec<String> {
    let units = page.options.units;
    let total = snapshot.total;
    let mut sum = both_ways(page, (total.ip_bytes, total.packets, snapshot.flows));
    let side = |sent: fn(&Group) -> u64| groups.iter().map(sent).sum::<u64>();
    let sides = [side(|group| group.sent.ip_bytes), side(|group| group.received.ip_bytes)];
    if sides.iter().sum::<u64>() == total.ip_bytes {
        for (text, bytes) in sum.iter_mut().zip(sides) {
            *text = units.amount(bytes);
        }
    }
    sum
}

fn both_ways(page: &Page<'_>, (bytes, packets, flows): (u64, u64, u64)) -> Vec<String> {
    let bytes = page.options.units.amount(bytes);
    vec![String::new(), String::new(), bytes, packets.to_string(), flows.to_string()]
}

fn label(group: &Group, snapshot: &Snapshot) -> String {
    match &group.key {
        GroupKey::Process(name) | GroupKey::Container(name) | GroupKey::User(name) => {
            visible(name).into_owned()
        }
        GroupKey::Others => "others".to_owned(),
        GroupKey::NoContainer => "no container".to_owned(),
        GroupKey::Unowned(reason) => format!("({})", visible(reason)),
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
