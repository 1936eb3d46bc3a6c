//! Form and columns of the rows of flows.
//!
//! A row has its parts spelt out where there is room (`Src:`, `Dst:`, `Bytes:`, `Count:`), loses its padding first, then
//! its labels, and only then parts of its owner and its addresses. All rows of a report are alike.

use std::ops::Range;

use flow::Snapshot;

use super::Page;
use super::flows::{Cells, EXTRAS, extra};
use super::owner::{self, LEVELS, NAMED};
use crate::view::text::{cut_start, left, right, width};

/// From here on a row shows more than who and how much.
const WIDE: usize = 120;
/// Below, numbers stand where there is room for them: padded, the last ones would be cut.
const NARROW: usize = 60;
/// Without a terminal nothing is cut, but nothing is padded beyond this either: a bracketed IPv6 address.
const PAD: usize = 41;
/// What a name needs at least to be worth showing, and what it gets at most.
const NAME: Range<usize> = 12..32;
/// As much of a name as labels are given up for.
const HALF_A_NAME: usize = 20;
/// What an owner keeps of its columns before addresses are cut.
const OWNER: usize = 14;

/// What a row shows if there is room for it.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Extra(usize),
    Name,
    Owner(usize),
}

/// Of captures, what matters more first.
const OF_CAPTURES: [Wish; 11] = [
    Wish::Extra(extra::DURATION),
    Wish::Extra(extra::STATE),
    Wish::Extra(extra::ROUND_TRIP),
    Wish::Extra(extra::RESENT),
    Wish::Name,
    Wish::Extra(extra::PLACE),
    Wish::Extra(extra::TUNNEL),
    Wish::Extra(extra::SERVICE),
    Wish::Extra(extra::TRANSLATED),
    Wish::Extra(extra::DIRECTION),
    Wish::Extra(extra::PATH),
];
/// Live, what matters more first.
const LIVE: [Wish; 17] = [
    Wish::Extra(extra::NOW),
    Wish::Owner(owner::WITH_PID),
    Wish::Extra(extra::RECENTLY),
    Wish::Name,
    Wish::Extra(extra::PLACE),
    Wish::Extra(extra::ROUND_TRIP),
    Wish::Extra(extra::RESENT),
    Wish::Owner(owner::WITH_PEER),
    Wish::Extra(extra::PATH),
    Wish::Extra(extra::SHORT_PATH),
    Wish::Extra(extra::TRANSLATED),
    Wish::Owner(owner::WHOLE),
    Wish::Extra(extra::STATE),
    Wish::Extra(extra::TUNNEL),
    Wish::Extra(extra::SERVICE),
    Wish::Extra(extra::DURATION),
    Wish::Extra(extra::DIRECTION),
];
/// Live facts for which a row gives up labels.
const INSTEAD_OF_LABELS: [&[Wish]; 5] = [
    &[
        Wish::Owner(owner::WITH_PID),
        Wish::Extra(extra::NOW),
        Wish::Extra(extra::RECENTLY),
        Wish::Name,
        Wish::Extra(extra::ROUND_TRIP),
    ],
    &[Wish::Owner(owner::WITH_PID), Wish::Extra(extra::NOW), Wish::Extra(extra::RECENTLY), Wish::Name],
    &[Wish::Extra(extra::NOW), Wish::Extra(extra::RECENTLY)],
    &[Wish::Extra(extra::NOW)],
    &[],
];
/// What an owner that is told in full gets at least; what is beyond may be cut.
const OWNER_IN_FULL: usize = 34;

/// Widths of the columns.
#[derive(Debug, Default)]
struct Widths {
    protocol: usize,
    /// Of each end: address, port, both together.
    hosts: [usize; 2],
    ports: [usize; 2],
    ends: [usize; 2],
    bytes: usize,
    packets: usize,
    mark: usize,
    extras: [usize; EXTRAS],
    name: usize,
    /// At each level.
    owners: [usize; LEVELS],
    /// At the level that is shown, or less.
    owner: usize,
    /// Of bytes and packets, not padded.
    least: [usize; 2],
}

impl Widths {
    fn take(&mut self, cells: &Cells) {
        let wider = |known: &mut usize, text: &str| *known = width(text).max(*known);
        wider(&mut self.protocol, &cells.protocol);
        for (at, end) in cells.ends.iter().enumerate() {
            wider(&mut self.hosts[at], &end.host);
            wider(&mut self.ports[at], &end.port);
            self.ends[at] = end.width().max(self.ends[at]);
        }
        wider(&mut self.bytes, &cells.bytes);
        wider(&mut self.packets, &cells.packets);
        wider(&mut self.mark, cells.mark);
        for (known, text) in self.extras.iter_mut().zip(&cells.extras) {
            wider(known, text);
        }
        wider(&mut self.name, &cells.name);
        for (known, text) in self.owners.iter_mut().zip(&cells.owner) {
            wider(known, text);
        }
        wider(&mut self.least[0], &cells.bytes);
        wider(&mut self.least[1], &cells.packets);
    }
}

/// How much of a row is spelt out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `TCP  Src: 10.1.1.33      :36522  → Dst: 10.1.111.111   :3389   Bytes:   3.84 MB Count:   2700`
    Padded,
    /// `TCP  Src: 10.1.1.33:36522 → Dst: 10.1.111.111:3389 Bytes:   3.84 MB Count:   2700`
    Tight,
    /// `TCP  10.1.1.33:36522 → 10.1.111.111:3389    3.84 MB   2700 pkts`
    Bare,
    /// `TCP  10.1.1.33:36522 → 10.1.111.111:3389 3.84 MB 2700`
    Terse,
}

/// Form and columns of all rows.
#[derive(Debug)]
pub(super) struct Layout {
    form: Form,
    widths: Widths,
    /// Which of the owners' texts is shown.
    level: usize,
    /// Nothing is cut.
    whole: bool,
}

impl Layout {
    pub(super) fn of(page: &Page<'_>, snapshot: &Snapshot) -> Self {
        let mut widths =
            Widths { protocol: 4, hosts: [15; 2], ports: [6; 2], bytes: 9, packets: 6, ..Widths::default() };
        for flow in &snapshot.rows {
            widths.take(&Cells::of(page, snapshot, flow));
        }
        let whole = page.width.is_none();
        if whole {
            widths.hosts = widths.hosts.map(|columns| columns.min(PAD));
        }
        widths.owner = widths.owners[NAMED];
        let mut layout = Layout { form: Form::Padded, widths, level: NAMED, whole };
        // The fact that rows are sorted by is shown at any width; the rest, in turn, while there is room.
        let wanted = std::mem::take(&mut layout.widths.extras);
        let name = std::mem::take(&mut layout.widths.name);
        layout.widths.extras[extra::SORTED_BY] = wanted[extra::SORTED_BY];
        let (limit, wide, live) = (page.limit(), page.columns() >= WIDE, snapshot.live.is_some());
        layout.choose_form(limit, (live && wide).then_some(&wanted), name, live);
        layout.shrink(limit);
        if wide {
            layout.widen(if live { &LIVE } else { &OF_CAPTURES }, &wanted, name, limit);
        }
        layout
    }

    /// Takes the first form for which there is room, with as much of what labels are given up for as there can be.
    fn choose_form(&mut self, limit: usize, wanted: Option<&[usize; EXTRAS]>, name: usize, live: bool) {
        let plain = (self.widths.extras, self.widths.owner);
        for wishes in INSTEAD_OF_LABELS {
            for wish in wishes {
                match (wish, wanted) {
                    (Wish::Extra(at), Some(wanted)) => self.widths.extras[*at] = wanted[*at],
                    (Wish::Owner(level), Some(_)) => self.widths.owner = self.widths.owners[*level],
                    (Wish::Name, Some(_)) => self.widths.name = name.min(HALF_A_NAME),
                    (_, None) => {}
                }
            }
            let forms = [Form::Padded, Form::Tight, Form::Bare];
            let found = forms.into_iter().find(|form| {
                self.form = *form;
                self.width() <= limit
            });
            (self.widths.extras, self.widths.owner) = plain;
            self.widths.name = 0;
            if found.is_some() {
                return;
            }
        }
        if live || limit < NARROW {
            self.form = Form::Terse;
        }
    }

    /// Columns of a row.
    fn width(&self) -> usize {
        let w = &self.widths;
        let ends = match self.form {
            // Each end: label, address, port. Between them an arrow, then what was sent.
            Form::Padded => 2 * 5 + w.hosts.iter().chain(&w.ports).sum::<usize>() + 4,
            Form::Tight => 2 * 5 + w.ends[0] + w.ends[1] + 3,
            Form::Bare | Form::Terse => w.ends[0] + w.ends[1] + 3,
        };
        let sums = match self.form {
            Form::Padded => 2 + 7 + w.bytes + 8 + w.packets,
            Form::Tight => 1 + 7 + w.bytes + 8 + w.packets,
            Form::Bare => 2 + w.bytes + 2 + w.packets + 5,
            Form::Terse => w.least.iter().map(|w| w + 1).sum(),
        };
        let further = w.extras.iter().chain([&w.name]).filter(|w| **w > 0).map(|w| w + 2).sum::<usize>();
        let mark = if w.mark > 0 { w.mark + 1 } else { 0 };
        let owner = if w.owner > 0 { w.owner + 1 + usize::from(further > 0) } else { 0 };
        w.protocol + 1 + ends + sums + mark + further + owner
    }

    /// Cuts the owner, then the ends, to what there is room for; what one end does not need is the other's.
    fn shrink(&mut self, limit: usize) {
        let too_much = self.width().saturating_sub(limit);
        if too_much == 0 || !matches!(self.form, Form::Bare | Form::Terse) {
            return;
        }
        let owner = &mut self.widths.owner;
        *owner = owner.saturating_sub(too_much).max(OWNER.min(*owner));
        let too_much = self.width().saturating_sub(limit);
        let [source, destination] = self.widths.ends;
        let room = (source + destination).saturating_sub(too_much);
        let source = source.min((room / 2).max(room.saturating_sub(destination)));
        self.widths.ends = [source, destination.min(room - source)];
    }

    /// Fulfils wishes while there is room.
    fn widen(&mut self, wishes: &[Wish], wanted: &[usize; EXTRAS], name: usize, limit: usize) {
        for &wish in wishes {
            match wish {
                Wish::Name => {
                    let room = limit.saturating_sub(self.width() + 2);
                    self.widths.name =
                        if room >= name.min(NAME.start) { name.min(room).min(NAME.end) } else { 0 };
                }
                Wish::Owner(level) => self.tell_of_owners(level, limit),
                Wish::Extra(extra::SHORT_PATH) if self.widths.extras[extra::PATH] > 0 => {}
                Wish::Extra(at) => {
                    self.widths.extras[at] = wanted[at];
                    if self.width() > limit {
                        self.widths.extras[at] = 0;
                    }
                }
            }
        }
    }

    /// Says as much of owners as `level` does, if there is room for it.
    fn tell_of_owners(&mut self, level: usize, limit: usize) {
        let before = std::mem::replace(&mut self.widths.owner, self.widths.owners[level]);
        let too_much = self.width().saturating_sub(limit);
        let cut = self.widths.owner.saturating_sub(too_much);
        if too_much == 0 {
            self.level = level;
        } else if level == owner::WHOLE && cut >= before.max(OWNER_IN_FULL) {
            (self.level, self.widths.owner) = (level, cut);
        } else {
            self.widths.owner = before;
        }
    }

    pub(super) fn row(&self, cells: &Cells) -> String {
        let w = &self.widths;
        let (bytes, packets) = (right(&cells.bytes, w.bytes), right(&cells.packets, w.packets));
        let protocol = left(&cells.protocol, w.protocol);
        let mut row = match self.form {
            Form::Padded => {
                let end = |at: usize| {
                    left(&cells.ends[at].host, w.hosts[at]) + &left(&cells.ends[at].port, w.ports[at])
                };
                let (source, destination) = (end(0), end(1));
                format!("{protocol} Src: {source}  → Dst: {destination}  Bytes: {bytes} Count: {packets}")
            }
            Form::Tight => {
                let [source, destination] = self.fitted(cells);
                format!("{protocol} Src: {source} → Dst: {destination} Bytes: {bytes} Count: {packets}")
            }
            Form::Bare => {
                let [source, destination] = self.fitted(cells);
                format!("{protocol} {source} → {destination}  {bytes}  {packets} pkts")
            }
            Form::Terse => {
                let [source, destination] = self.fitted(cells);
                let (bytes, packets) = (right(&cells.bytes, w.least[0]), right(&cells.packets, w.least[1]));
                format!("{protocol} {source} → {destination} {bytes} {packets}")
            }
        };
        if w.mark > 0 {
            row.push(' ');
            row += &left(cells.mark, w.mark);
        }
        for (text, &columns) in cells.extras.iter().zip(&w.extras).filter(|(_, w)| **w > 0) {
            row += "  ";
            let numeric = text.starts_with(|c: char| c.is_ascii_digit()) || text.starts_with("rtt ");
            row += &if numeric { right(text, columns) } else { left(text, columns) };
        }
        if w.name > 0 {
            row += "  ";
            row += &left(&cut_start(&cells.name, if self.whole { usize::MAX } else { w.name }), w.name);
        }
        if w.owner > 0 {
            let further = w.extras.iter().chain([&w.name]).any(|w| *w > 0);
            row += if further { "  " } else { " " };
            row += &owner::fitted(&cells.owner[self.level], if self.whole { usize::MAX } else { w.owner });
        }
        row
    }

    fn fitted(&self, cells: &Cells) -> [String; 2] {
        let fit = |at: usize| left(&cells.ends[at].fitted(self.widths.ends[at]), self.widths.ends[at]);
        [fit(0), fit(1)]
    }
}
