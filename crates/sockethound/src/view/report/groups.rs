//! Groups of flows, one a row.

use std::borrow::Cow;
use std::io;

use flow::{Group, GroupBy, GroupKey, Snapshot};

use super::flows::{order, protocol, tight};
use super::{Page, rate};
use crate::view::color;
use crate::view::text::{cut_end, cut_middle, cut_start, left, right, visible, width};

/// Heads of the columns.
const HEADS: [&str; 11] = [
    "initiator",
    "responder",
    "bytes",
    "packets",
    "flows",
    "now",
    "pid",
    "at sockets",
    "retrans",
    "drops",
    "rtt",
];
const INITIATOR: usize = 0;
const RESPONDER: usize = 1;
const NOW: usize = 5;
const PID: usize = 6;
const SOCKETS: usize = 7;
const RETRANSMITS: usize = 8;
const DROPS: usize = 9;
const RTT: usize = 10;
/// What is left out first, where there is little room; and where more is asked for.
const LEAST: [usize; 6] = [SOCKETS, RTT, DROPS, RETRANSMITS, PID, NOW];
const LEAST_OF_MORE: [usize; 8] = [INITIATOR, RESPONDER, PID, NOW, SOCKETS, RTT, DROPS, RETRANSMITS];
/// What labels have at least, before columns are left out for them.
const LABEL: usize = 15;

/// What a row says behind its label.
type Cells = [String; HEADS.len()];

/// The table of groups, where flows are added up.
pub(super) fn show(page: &mut Page<'_>, snapshot: &Snapshot) -> io::Result<()> {
    let (Some(groups), pace) = (&snapshot.groups, page.group_pace) else { return Ok(()) };
    page.headline(&format!(
        "Active {} (sorted by {}):",
        page.options.group.map_or("Groups", title),
        order(page.options.sort)
    ))?;
    page.rule()?;
    if groups.is_empty() {
        return page.line(color::QUIET, "none");
    }
    let rows: Vec<Cells> = groups.iter().map(|group| cells(page, group, pace.of(group, snapshot))).collect();
    let (rest, sum) = (rest(page, groups, snapshot), sum(page, groups, snapshot));
    let labels: Vec<_> = groups.iter().map(|group| label(page, group, snapshot)).collect();
    let longest = labels.iter().map(|label| width(label)).max().unwrap_or(0);
    let table = Table::of(page, longest, rows.iter().chain([&sum]).chain(&rest));
    page.line(color::QUIET, &table.line("", &HEADS.map(str::to_owned)))?;
    for ((group, label), row) in groups.iter().zip(&labels).zip(&rows) {
        let now = pace.of(group, snapshot).or_else(|| rate(group.total().ip_bytes, snapshot));
        let (style, mark) = color::of_rate(now);
        let label = match group.key {
            GroupKey::Host(_) => cut_middle(label, table.label),
            // What a process is called begins with what matters.
            GroupKey::Process(_) | GroupKey::Container(_) | GroupKey::User(_) | GroupKey::Unowned(_) => {
                cut_end(label, table.label)
            }
            _ => cut_start(label, table.label),
        };
        let pid = if matches!(group.key, GroupKey::Process(_)) { row[PID].as_str() } else { "" };
        let label = table.with_pid(&label, pid);
        page.line(style, &format!("{} {mark}", table.line(&label, row)))?;
    }
    if let Some(rest) = &rest {
        page.line(color::QUIET, &table.line(&format!("… {} more", snapshot.more_groups), rest))?;
    }
    page.line(color::HEADING, &table.line("total", &sum))
}

/// Which columns are shown, and how wide they are.
struct Table {
    label: usize,
    /// Number of the column, columns of text.
    columns: Vec<(usize, usize)>,
}

impl Table {
    fn of<'a>(page: &Page<'_>, longest: usize, rows: impl Iterator<Item = &'a Cells>) -> Self {
        let mut widths = [0; HEADS.len()];
        for row in rows {
            for (columns, text) in widths.iter_mut().zip(row) {
                *columns = width(text).max(*columns);
            }
        }
        let said = widths.into_iter().zip(HEADS).enumerate().filter(|(_, (columns, _))| *columns > 0);
        let mut table =
            Table { label: 0, columns: said.map(|(at, (w, head))| (at, w.max(head.len()))).collect() };
        let least: &[usize] =
            if page.options.verbose && widths[SOCKETS] > 0 { &LEAST_OF_MORE } else { &LEAST };
        for least in least {
            if table.room(page) < LABEL {
                table.columns.retain(|(at, _)| at != least);
            }
        }
        table.label = longest.min(table.room(page)).max(LABEL);
        table
    }

    /// What is left for labels, in front of a mark.
    fn room(&self, page: &Page<'_>) -> usize {
        page.limit().saturating_sub(self.columns.iter().map(|(_, w)| w + 2).sum::<usize>() + 3)
    }

    /// The only process behind its name, where its column was left out and there is room.
    fn with_pid<'a>(&self, label: &'a str, pid: &str) -> Cow<'a, str> {
        let column = self.columns.iter().any(|(at, _)| *at == PID);
        let single = pid.starts_with(|c: char| c.is_ascii_digit());
        if column || !single || width(label) + 1 + pid.len() > self.label {
            return label.into();
        }
        format!("{label} {pid}").into()
    }

    fn line(&self, label: &str, row: &Cells) -> String {
        let cells: Vec<_> =
            self.columns.iter().map(|(at, w)| "  ".to_owned() + &right(&row[*at], *w)).collect();
        left(label, self.label) + &cells.concat()
    }
}

/// What `groups` are, in a word: the first of them that says it.
/// What was asked for, whatever the rows are: an address stands for a name that is not known, a reason for an owner.
fn title(by: GroupBy) -> &'static str {
    match by {
        GroupBy::Process => "Processes",
        GroupBy::Container => "Containers",
        GroupBy::User => "Users",
        GroupBy::Host => "Hosts",
        GroupBy::Name => "Names",
        GroupBy::Service => "Services",
        GroupBy::Interface => "Interfaces",
    }
}

fn cells(page: &Page<'_>, group: &Group, now: Option<f64>) -> Cells {
    let units = page.options.units;
    let pid = match group.pids.as_slice() {
        [] => String::new(),
        [one] => one.to_string(),
        _ => "several".to_owned(),
    };
    let [bytes_at_sockets, retransmits, drops, rtt] = at_sockets(page, group);
    [
        units.amount(group.sent.ip_bytes),
        units.amount(group.received.ip_bytes),
        units.amount(group.total().ip_bytes),
        group.total().packets.to_string(),
        group.flows.to_string(),
        now.map_or(String::new(), |now| units.rate(now)),
        pid,
        bytes_at_sockets,
        retransmits,
        drops,
        rtt,
    ]
}

/// What a group's sockets did: bytes, retransmits, drops, round-trip time.
fn at_sockets(page: &Page<'_>, group: &Group) -> [String; 4] {
    let Some((counts, round_trips)) = &group.sockets else { return Default::default() };
    [
        page.options.units.amount(counts.total().1),
        counts.retransmits.to_string(),
        counts.receive_drops.to_string(),
        round_trips.mean().map(tight).unwrap_or_default(),
    ]
}

/// What the groups that are not shown hold, both ways together.
fn rest(page: &Page<'_>, groups: &[Group], snapshot: &Snapshot) -> Option<Cells> {
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
fn sum(page: &Page<'_>, groups: &[Group], snapshot: &Snapshot) -> Cells {
    let units = page.options.units;
    let total = snapshot.total;
    let mut sum = both_ways(page, (total.ip_bytes, total.packets, snapshot.flows));
    sum[NOW] = snapshot.live.map_or(String::new(), |live| units.rate(live.now.bytes));
    let side = |sent: fn(&Group) -> u64| groups.iter().map(sent).sum::<u64>();
    let sides = [side(|group| group.sent.ip_bytes), side(|group| group.received.ip_bytes)];
    if sides.iter().sum::<u64>() == total.ip_bytes {
        for (text, bytes) in sum.iter_mut().zip(sides) {
            *text = units.amount(bytes);
        }
    }
    sum
}

fn both_ways(page: &Page<'_>, (bytes, packets, flows): (u64, u64, u64)) -> Cells {
    let bytes = page.options.units.amount(bytes);
    let mut cells = Cells::default();
    let sums = [bytes, packets.to_string(), flows.to_string()];
    cells.iter_mut().skip(RESPONDER + 1).zip(sums).for_each(|(cell, text)| *cell = text);
    cells
}

fn label(page: &Page<'_>, group: &Group, snapshot: &Snapshot) -> String {
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
        GroupKey::Service(number, port) => {
            let service = format!("{}/{port}", protocol(*number).to_lowercase());
            match page.options.services.name(*number, *port) {
                Some(name) => format!("{service} {}", visible(name)),
                None => service,
            }
        }
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
