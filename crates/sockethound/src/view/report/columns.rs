//! Form and columns of the rows of flows.
//!
//! A row has its parts spelt out where there is room (`Src:`, `Dst:`, `Bytes:`, `Count:`), loses its padding first, then
//! its labels, and only then parts of its addresses. All rows of a report are alike.

use std::ops::Range;

use flow::Snapshot;

use super::Page;
use super::flows::{Cells, EXTRAS};
use crate::view::text::{cut_start, left, right, width};

/// From here on a row shows more than who and how much.
const WIDE: usize = 120;
/// Without a terminal nothing is cut, but nothing is padded beyond this either: a bracketed IPv6 address.
const PAD: usize = 41;
/// What a name needs at least to be worth showing, and what it gets at most.
const NAME: Range<usize> = 12..32;
/// How many of the further facts of a row matter more than a name.
const BEFORE_NAME: usize = 5;

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
}

/// Form and columns of all rows.
#[derive(Debug)]
pub(super) struct Layout {
    form: Form,
    widths: Widths,
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
        let whole = page.options.width.is_none();
        if whole {
            widths.hosts = widths.hosts.map(|columns| columns.min(PAD));
        }
        let mut layout = Layout { form: Form::Padded, widths, whole };
        let wide = page.columns() >= WIDE;
        // The fact that rows are sorted by is shown at any width; the rest, in turn, while there is room.
        let wanted = std::mem::take(&mut layout.widths.extras);
        let name = std::mem::take(&mut layout.widths.name);
        layout.widths.extras[0] = wanted[0];
        for form in [Form::Padded, Form::Tight, Form::Bare] {
            layout.form = form;
            if layout.width() <= page.limit() {
                break;
            }
        }
        layout.shrink(page.limit());
        if wide {
            layout.widen(&wanted, name, page.limit());
        }
        layout
    }

    /// Columns of a row.
    fn width(&self) -> usize {
        let w = &self.widths;
        let ends = match self.form {
            // Each end: label, address, port. Between them an arrow, then what was sent.
            Form::Padded => 2 * 5 + w.hosts.iter().chain(&w.ports).sum::<usize>() + 4,
            Form::Tight => 2 * 5 + w.ends[0] + w.ends[1] + 3,
            Form::Bare => w.ends[0] + w.ends[1] + 3,
        };
        let sums = match self.form {
            Form::Padded => 2 + 7 + w.bytes + 8 + w.packets,
            Form::Tight => 1 + 7 + w.bytes + 8 + w.packets,
            Form::Bare => 2 + w.bytes + 2 + w.packets + 5,
        };
        let further = w.extras.iter().chain([&w.name]).filter(|w| **w > 0).map(|w| w + 2).sum::<usize>();
        w.protocol + 1 + ends + sums + if w.mark > 0 { w.mark + 1 } else { 0 } + further
    }

    /// Cuts the ends to what there is room for; what one end does not need is the other's.
    fn shrink(&mut self, limit: usize) {
        let too_much = self.width().saturating_sub(limit);
        if too_much == 0 || self.form != Form::Bare {
            return;
        }
        let [source, destination] = self.widths.ends;
        let room = (source + destination).saturating_sub(too_much);
        let source = source.min((room / 2).max(room.saturating_sub(destination)));
        self.widths.ends = [source, destination.min(room - source)];
    }

    /// Adds further facts while there is room, the name in front of what matters less.
    fn widen(&mut self, wanted: &[usize; EXTRAS], name: usize, limit: usize) {
        for (at, &columns) in wanted.iter().enumerate().skip(1) {
            if at == BEFORE_NAME {
                let room = limit.saturating_sub(self.width() + 2);
                self.widths.name =
                    if room >= name.min(NAME.start) { name.min(room).min(NAME.end) } else { 0 };
            }
            self.widths.extras[at] = columns;
            if self.width() > limit {
                self.widths.extras[at] = 0;
            }
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
            row += &cut_start(&cells.name, if self.whole { usize::MAX } else { w.name });
        }
        row
    }

    fn fitted(&self, cells: &Cells) -> [String; 2] {
        let fit = |at: usize| left(&cells.ends[at].fitted(self.widths.ends[at]), self.widths.ends[at]);
        [fit(0), fit(1)]
    }
}
