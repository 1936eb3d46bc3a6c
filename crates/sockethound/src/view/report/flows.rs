//! Flows, one a row.
//!
//! A row has its parts spelt out where there is room (`Src:`, `Dst:`, `Bytes:`, `Count:`), loses its padding first, then
//! its labels, and only then parts of its addresses. All rows of a report are alike.

use std::io;
use std::ops::Range;
use std::time::Duration;

use dissect::{Endpoint, names};
use flow::{FlowRecord, Snapshot, SortKey};

use super::{Page, rate};
use crate::view::clock::span;
use crate::view::color;
use crate::view::text::{count, cut_middle, cut_start, left, right, visible, width};

/// From here on a row shows more than who and how much.
const WIDE: usize = 120;
/// Without a terminal nothing is cut, but nothing is padded beyond this either: a bracketed IPv6 address.
const PAD: usize = 41;
/// What a name needs at least to be worth showing, and what it gets at most.
const NAME: Range<usize> = 12..32;

/// The table of flows.
pub(super) fn show(page: &mut Page<'_>, snapshot: &Snapshot) -> io::Result<()> {
    page.headline(&format!("Active Network Sockets (sorted by {}):", order(page.options.sort)))?;
    page.rule()?;
    let layout = Layout::of(page, snapshot);
    for flow in &snapshot.rows {
        let (style, _) = color::of_rate(rate(flow.total().ip_bytes, snapshot));
        let row = layout.row(&Cells::of(page, snapshot, flow));
        page.line(style, &row)?;
    }
    let rest = snapshot.flows.saturating_sub(snapshot.rows.len() as u64);
    if snapshot.flows == 0 {
        page.line(color::QUIET, "none")?;
    } else if rest > 0 {
        let shown: u64 = snapshot.rows.iter().map(|flow| flow.total().ip_bytes).sum();
        let bytes = page.options.units.amount(snapshot.total.ip_bytes.saturating_sub(shown));
        page.line(color::QUIET, &format!("… {}, {bytes}", count(rest, "more flow", "more flows")))?;
    }
    Ok(())
}

fn order(sort: SortKey) -> &'static str {
    match sort {
        SortKey::Bytes => "total bytes",
        SortKey::Rate => "rate",
        SortKey::Packets => "packets",
        SortKey::Rtt => "round-trip time",
        SortKey::Retrans => "retransmits",
        SortKey::First => "first packet",
        SortKey::Last => "last packet",
    }
}

/// How a protocol is called in front of a row.
pub(super) fn protocol(number: u8) -> String {
    match number {
        1 => "ICMP".to_owned(),
        6 => "TCP".to_owned(),
        17 => "UDP".to_owned(),
        58 => "ICMPv6".to_owned(),
        132 => "SCTP".to_owned(),
        136 => "UDPLITE".to_owned(),
        _ => names::ip_protocol(number).map_or_else(|| number.to_string(), str::to_uppercase),
    }
}

/// One end of a row.
struct End {
    host: String,
    /// `:443`, or nothing.
    port: String,
    is_name: bool,
}

impl End {
    fn of(end: &Endpoint, name: Option<&str>) -> Self {
        let host = match name {
            Some(name) => visible(name).into_owned(),
            // RFC 5952, section 6.
            None if end.addr.is_ipv6() && end.port != 0 => format!("[{}]", end.addr),
            None => end.addr.to_string(),
        };
        let port = if end.port == 0 { String::new() } else { format!(":{}", end.port) };
        End { host, port, is_name: name.is_some() }
    }

    fn width(&self) -> usize {
        width(&self.host) + self.port.len()
    }

    /// Address and port together in at most `columns`.
    fn fitted(&self, columns: usize) -> String {
        let room = columns.saturating_sub(self.port.len());
        let host = if width(&self.host) <= room {
            self.host.as_str().into()
        } else if self.is_name {
            cut_start(&self.host, room)
        } else if let Some(bare) = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            format!("[{}]", cut_middle(bare, room.saturating_sub(2))).into()
        } else {
            cut_middle(&self.host, room)
        };
        format!("{host}{}", self.port)
    }
}

/// Further facts of a row: the one it is sorted by first.
const EXTRAS: usize = 8;
/// How many of them matter more than a name.
const BEFORE_NAME: usize = 5;

/// What one row says.
struct Cells {
    protocol: String,
    ends: [End; 2],
    bytes: String,
    packets: String,
    mark: &'static str,
    extras: [String; EXTRAS],
    name: String,
}

impl Cells {
    fn of(page: &Page<'_>, snapshot: &Snapshot, flow: &FlowRecord) -> Self {
        let total = flow.total();
        let known = |name: &'static str| name.to_owned();
        let resolved = |name: &Option<std::sync::Arc<str>>| name.clone().filter(|_| page.options.resolve);
        let [source, destination] = [&flow.source_name, &flow.destination_name].map(resolved);
        let tcp = flow.tcp.as_ref();
        let peer = flow.destination_name.as_deref().filter(|_| !page.options.resolve);
        Cells {
            protocol: protocol(flow.protocol),
            ends: [
                End::of(&flow.source, source.as_deref()),
                End::of(&flow.destination, destination.as_deref()),
            ],
            bytes: page.options.units.amount(total.ip_bytes),
            packets: total.packets.to_string(),
            mark: color::of_rate(rate(total.ip_bytes, snapshot)).1,
            extras: [
                sorted_by(page, flow),
                tight(flow.duration()),
                tcp.map_or(String::new(), |t| known(t.state)),
                tcp.filter(|_| page.options.sort != SortKey::Rtt).map_or(String::new(), round_trip),
                tcp.filter(|_| page.options.sort != SortKey::Retrans).map_or(String::new(), resent),
                flow.tunnels.last().map_or(String::new(), tunnel),
                flow.direction.map_or(String::new(), |d| known(d.name())),
                flow.interface.as_deref().map_or(String::new(), |i| visible(i).into_owned()),
            ],
            name: peer.map_or(String::new(), |name| visible(name).into_owned()),
        }
    }
}

fn round_trip(tcp: &flow::TcpRecord) -> String {
    tcp.rtt.map_or(String::new(), |rtt| format!("rtt {}", tight(rtt)))
}

fn tight(duration: Duration) -> String {
    span(duration).replace(' ', "")
}

fn resent(tcp: &flow::TcpRecord) -> String {
    if tcp.retransmits == 0 { String::new() } else { format!("{} resent", tcp.retransmits) }
}

fn tunnel(header: &flow::TunnelHeader) -> String {
    match header.id {
        Some(id) => format!("({} {id})", header.kind),
        None => format!("({})", header.kind),
    }
}

/// What the row is sorted by, where the row does not say so anyway.
fn sorted_by(page: &Page<'_>, flow: &FlowRecord) -> String {
    match page.options.sort {
        SortKey::Bytes | SortKey::Packets => String::new(),
        SortKey::Rate => {
            // As the order has it: a flow that is over at once is not infinitely fast.
            let seconds = flow.duration().as_secs_f64().max(0.001);
            page.options.units.rate(flow.total().ip_bytes as f64 / seconds)
        }
        SortKey::Rtt => flow.tcp.as_ref().map_or(String::new(), round_trip),
        SortKey::Retrans => flow.tcp.as_ref().map_or(String::new(), resent),
        SortKey::First => page.clock.time(flow.first),
        SortKey::Last => page.clock.time(flow.last),
    }
}

/// Widths of the columns.
#[derive(Debug, Default)]
struct Widths {
    protocol: usize,
    host: usize,
    port: usize,
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
        for (known, end) in self.ends.iter_mut().zip(&cells.ends) {
            wider(&mut self.host, &end.host);
            wider(&mut self.port, &end.port);
            *known = end.width().max(*known);
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
struct Layout {
    form: Form,
    widths: Widths,
    /// Nothing is cut.
    whole: bool,
}

impl Layout {
    fn of(page: &Page<'_>, snapshot: &Snapshot) -> Self {
        let mut widths = Widths { protocol: 4, host: 15, port: 6, bytes: 9, packets: 6, ..Widths::default() };
        for flow in &snapshot.rows {
            widths.take(&Cells::of(page, snapshot, flow));
        }
        let whole = page.options.width.is_none();
        if whole {
            widths.host = widths.host.min(PAD);
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
            Form::Padded => 2 * (5 + w.host + w.port) + 4,
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

    fn row(&self, cells: &Cells) -> String {
        let w = &self.widths;
        let [source, destination] = &cells.ends;
        let (bytes, packets) = (right(&cells.bytes, w.bytes), right(&cells.packets, w.packets));
        let protocol = left(&cells.protocol, w.protocol);
        let mut row = match self.form {
            Form::Padded => {
                let end = |end: &End| left(&end.host, w.host) + &left(&end.port, w.port);
                let (source, destination) = (end(source), end(destination));
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
