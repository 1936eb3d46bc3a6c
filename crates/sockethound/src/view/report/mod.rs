//! The text report: totals, flows or groups, DNS answers, and the account that closes.
//!
//! At 80 columns it shows who talks to whom and how much; it widens with the terminal. What has no terminal (a pipe, a
//! file) gets every line whole, however long.
//!
//! Adding a section is a file here, its `mod` line and its place in `SECTIONS`.

pub(super) mod chosen;
mod columns;
mod dns;
mod flows;
mod group_pace;
mod groups;
mod ledger;
mod live;
mod owner;
mod sparkline;
mod totals;

use std::io::{self, Write};
use std::sync::Arc;

use anstyle::Style as Ansi;
use flow::{FlowRecord, GroupBy, Snapshot, SortKey};

use self::group_pace::GroupPace;
use super::View;
use super::clock::Clock;
use super::color::{self, Style};
use super::text::{cut_end, wrap};
pub use super::units::Units;
use crate::geo::Geo;
use crate::services::Services;

/// Writes one section of the report; nothing, where there is nothing to say.
type Section = fn(&mut Page<'_>, &Snapshot) -> io::Result<()>;

/// Every section, in the order in which they stand.
static SECTIONS: &[Section] = &[totals::show, groups::show, flows::show, dns::show, ledger::show];

/// Columns that a report without a terminal is laid out for.
const COLUMNS: usize = 100;
/// Text that is gathered before it is written.
const AT_ONCE: usize = 64 * 1024;

/// How wide the report is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Width {
    /// There is no terminal: nothing is cut.
    #[default]
    None,
    /// As the terminal of standard output at the time of each report.
    Terminal,
    /// So many columns.
    Fixed(usize),
}

impl Width {
    /// Columns right now; `None` where there are as many as it takes.
    fn columns(self) -> Option<usize> {
        match self {
            Width::None => None,
            Width::Terminal => terminal().map(|[columns, _]| columns),
            Width::Fixed(columns) => Some(columns),
        }
    }
}

/// Columns and lines of the terminal of standard output right now, if it has any.
fn terminal() -> Option<[usize; 2]> {
    let (terminal_size::Width(columns), terminal_size::Height(lines)) = terminal_size::terminal_size()?;
    Some([columns, lines].map(usize::from)).filter(|size| !size.contains(&0))
}

/// How the report looks.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one switch, one field")]
pub struct Options {
    /// Columns of a line.
    pub width: Width,
    /// Lines that a report may have where another one is painted over it; `None` for as many as the terminal has.
    pub lines: Option<usize>,
    /// Whether to write escape sequences.
    pub color: bool,
    /// Paint every report of a run over the one before, as on a terminal.
    pub repaint: bool,
    /// How byte counts are written.
    pub units: Units,
    /// Tell times in UTC, not in local time.
    pub utc: bool,
    /// Show names instead of addresses, where they are known.
    pub resolve: bool,
    /// List what was malformed or odd, by reason.
    pub verbose: bool,
    /// Tell of DNS at all.
    pub dns_lines: bool,
    /// What the rows are sorted by.
    pub sort: SortKey,
    /// What flows are grouped by, if at all.
    pub group: Option<GroupBy>,
    /// What ports are called.
    pub services: Arc<Services>,
    /// Where addresses are.
    pub geo: Option<Arc<Geo>>,
}

/// Paints over what stands on the screen; what was scrolled off it stays (a reset would destroy it).
const HOME_AND_ERASE_BELOW: &[u8] = b"\x1b[H\x1b[J";

/// The text report.
#[derive(Debug)]
pub struct Report {
    options: Options,
    clock: Clock,
    painted: bool,
    group_pace: GroupPace,
}

impl Report {
    /// A report that looks as `options` say.
    pub fn new(options: Options) -> Self {
        let clock = Clock::new(options.utc);
        Report { options, clock, painted: false, group_pace: GroupPace::default() }
    }
}

impl View for Report {
    fn repaints(&self) -> bool {
        self.options.repaint
    }

    fn show(&mut self, snapshot: &Snapshot, out: &mut dyn Write) -> io::Result<()> {
        self.group_pace.note(snapshot);
        if self.options.repaint && (self.painted || !snapshot.is_final) {
            out.write_all(HOME_AND_ERASE_BELOW)?;
            self.painted = true;
        }
        match self.options.lines.or_else(|| terminal().map(|[_, lines]| lines)) {
            Some(lines) if self.options.repaint && !snapshot.is_final => {
                self.draw_within(lines, snapshot, out)
            }
            _ => self.draw(snapshot, out),
        }
    }
}

impl Report {
    /// Draws a report of so many lines at most, the one that the cursor is left in included: what is longer scrolls off its
    /// beginning, with the rows that matter most. The last ones are left out instead.
    fn draw_within(&self, lines: usize, snapshot: &Snapshot, out: &mut dyn Write) -> io::Result<()> {
        let mut text = Vec::new();
        self.draw(snapshot, &mut text)?;
        let taken = text.split(|&byte| byte == b'\n').count();
        if taken > lines {
            text.clear();
            self.draw(&with_fewer_rows(snapshot, taken - lines), &mut text)?;
        }
        out.write_all(&text)
    }

    fn draw(&self, snapshot: &Snapshot, out: &mut dyn Write) -> io::Result<()> {
        let mut page = Page::new(self, out);
        SECTIONS.iter().try_for_each(|section| section(&mut page, snapshot))?;
        page.flush()
    }
}

/// The same with so many lines less: without the last rows, and where few are left, without the earliest answers.
fn with_fewer_rows(snapshot: &Snapshot, lines: usize) -> Snapshot {
    /// Rows that stay in any case.
    const LEAST: usize = 5;
    let mut fewer = snapshot.clone();
    let (rows, has_rest) = match &fewer.groups {
        Some(groups) => (groups.len(), fewer.more_groups > 0),
        None => (fewer.rows.len(), fewer.flows > fewer.rows.len() as u64),
    };
    // Where all rows were shown, a line tells of those that are not.
    let too_much = lines + usize::from(!has_rest);
    let kept = rows.saturating_sub(too_much).max(LEAST.min(rows));
    if let Some(groups) = &mut fewer.groups {
        fewer.more_groups += (rows - kept) as u64;
        groups.truncate(kept);
    } else {
        fewer.rows.truncate(kept);
    }
    let still = if kept < rows { too_much - (rows - kept) } else { lines };
    fewer.dns.drain(..still.min(fewer.dns.len().saturating_sub(1)));
    fewer
}

/// Where lines are written: knows the options, keeps every line within the width.
struct Page<'a> {
    /// `None`: nothing is cut.
    width: Option<usize>,
    options: &'a Options,
    clock: &'a Clock,
    group_pace: &'a GroupPace,
    style: Style,
    text: String,
    out: &'a mut dyn Write,
}

impl<'a> Page<'a> {
    fn new(report: &'a Report, out: &'a mut dyn Write) -> Self {
        let Report { options, clock, group_pace, .. } = report;
        let (width, style) = (options.width.columns(), Style { color: options.color });
        Page { width, options, clock, group_pace, style, text: String::new(), out }
    }

    /// Columns that a line may take; all there are without a terminal.
    fn limit(&self) -> usize {
        self.width.unwrap_or(usize::MAX)
    }

    /// Columns that the page is laid out for.
    fn columns(&self) -> usize {
        self.width.unwrap_or(COLUMNS)
    }

    /// One line in one style.
    fn line(&mut self, style: Ansi, text: &str) -> io::Result<()> {
        let text = cut_end(text, self.limit());
        self.text.push_str(&self.style.paint(style, text.trim_end()));
        self.text.push('\n');
        if self.text.len() >= AT_ONCE { self.flush() } else { Ok(()) }
    }

    /// A sentence, broken into lines where it must be.
    fn sentence(&mut self, style: Ansi, text: &str, indent: usize) -> io::Result<()> {
        for line in wrap(text, self.limit(), indent) {
            self.line(style, &line)?;
        }
        Ok(())
    }

    /// A section's headline, after an empty line.
    fn headline(&mut self, text: &str) -> io::Result<()> {
        self.line(Ansi::new(), "")?;
        self.line(color::HEADING, text)
    }

    /// A line across the page.
    fn rule(&mut self) -> io::Result<()> {
        let rule = "─".repeat(self.columns());
        self.line(color::QUIET, &rule)
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.out.write_all(self.text.as_bytes());
        self.text.clear();
        written
    }
}

/// How fast a flow is, in bytes a second: now, if that is known, else over the whole report.
fn speed(flow: &FlowRecord, snapshot: &Snapshot) -> Option<f64> {
    flow.pace.map(|pace| pace.now).or_else(|| rate(flow.total().ip_bytes, snapshot))
}

/// Bytes a second over the whole report; `None` where no time passed.
fn rate(bytes: u64, snapshot: &Snapshot) -> Option<f64> {
    let seconds = snapshot.duration().as_secs_f64();
    (seconds > 0.0).then(|| bytes as f64 / seconds)
}
