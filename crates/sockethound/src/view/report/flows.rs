//! Flows, one a row: what each says. How it is laid out is [`Layout`]'s.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use dissect::app::By;
use dissect::{Endpoint, names};
use flow::{Called, FlowRecord, NamedBy, Snapshot, SortKey};

use super::columns::Layout;
use super::owner::{self, LEVELS};
use super::{Page, sparkline, speed};
use crate::view::clock::span;
use crate::view::color;
use crate::view::text::{count, cut_middle, cut_start, visible, width};

/// The table of flows, where they are not added up.
pub(super) fn show(page: &mut Page<'_>, snapshot: &Snapshot) -> io::Result<()> {
    if snapshot.groups.is_some() {
        return Ok(());
    }
    page.headline(&format!("Active Network Sockets (sorted by {}):", order(page.options.sort)))?;
    page.rule()?;
    let layout = Layout::of(page, snapshot);
    for flow in &snapshot.rows {
        let (style, _) = color::of_rate(speed(flow, snapshot));
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

pub(super) fn order(sort: SortKey) -> &'static str {
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
pub(super) struct End {
    pub(super) host: String,
    /// `:443`, or nothing.
    pub(super) port: String,
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

    pub(super) fn width(&self) -> usize {
        width(&self.host) + self.port.len()
    }

    /// Address and port together in at most `columns`.
    pub(super) fn fitted(&self, columns: usize) -> String {
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
pub(super) const EXTRAS: usize = 14;
/// Where some of them stand.
pub(super) mod extra {
    pub(crate) const SORTED_BY: usize = 0;
    pub(crate) const NOW: usize = 1;
    pub(crate) const RECENTLY: usize = 2;
    pub(crate) const DURATION: usize = 3;
    pub(crate) const STATE: usize = 4;
    pub(crate) const ROUND_TRIP: usize = 5;
    pub(crate) const RESENT: usize = 6;
    pub(crate) const TUNNEL: usize = 7;
    pub(crate) const TRANSLATED: usize = 8;
    pub(crate) const DIRECTION: usize = 9;
    pub(crate) const PATH: usize = 10;
    pub(crate) const SHORT_PATH: usize = 11;
    pub(crate) const SERVICE: usize = 12;
    pub(crate) const PLACE: usize = 13;
}

/// What one row says.
pub(super) struct Cells {
    pub(super) protocol: String,
    pub(super) ends: [End; 2],
    pub(super) bytes: String,
    pub(super) packets: String,
    pub(super) mark: &'static str,
    pub(super) extras: [String; EXTRAS],
    pub(super) name: String,
    /// At each level; nothing for captures.
    pub(super) owner: [String; LEVELS],
}

impl Cells {
    pub(super) fn of(page: &Page<'_>, snapshot: &Snapshot, flow: &FlowRecord) -> Self {
        let total = flow.total();
        let known = |name: &'static str| name.to_owned();
        let [source, destination] = [&flow.source_name, &flow.destination_name].map(|called| {
            let shown = called.as_ref().filter(|_| page.options.resolve)?;
            Some(told(flow, shown))
        });
        let tcp = flow.tcp.as_ref();
        let peer = flow.destination_name.as_ref().filter(|_| !page.options.resolve);
        Cells {
            protocol: protocol(flow.protocol),
            ends: [
                End::of(&flow.source, source.as_deref()),
                End::of(&flow.destination, destination.as_deref()),
            ],
            bytes: page.options.units.amount(total.ip_bytes),
            packets: total.packets.to_string(),
            mark: color::of_rate(speed(flow, snapshot)).1,
            extras: [
                sorted_by(page, flow),
                now(page, flow),
                flow.pace.map_or(String::new(), |pace| sparkline::of(&pace.recent)),
                tight(flow.duration()),
                tcp.map_or(String::new(), |t| known(t.state)),
                tcp.filter(|_| page.options.sort != SortKey::Rtt).map_or(String::new(), round_trip),
                tcp.filter(|_| page.options.sort != SortKey::Retrans).map_or(String::new(), resent),
                flow.tunnels.last().map_or(String::new(), tunnel),
                flow.nat.as_ref().map_or(String::new(), |nat| translated(flow, nat)),
                flow.direction.map_or(String::new(), |d| known(d.name())),
                path(flow),
                short_path(flow),
                service(page, flow),
                place(page, flow),
            ],
            owner: owners(page, snapshot, flow),
            name: peer.map_or(String::new(), |peer| visible(&told(flow, peer)).into_owned()),
        }
    }
}

/// A name; marked where its client sent another hello encrypted in the one that says so (encrypted_client_hello), which may ask for another. Clients
/// that know no key for it pretend to, and nobody else can tell.
fn told<'a>(flow: &FlowRecord, called: &'a Called) -> Cow<'a, str> {
    let is_clients = matches!(called.by, NamedBy::Client(_));
    let hides = || flow.app.as_ref().is_some_and(|app| app.get("tls.client.encrypted_hello").is_some());
    if is_clients && hides() { format!("{} (ECH)", called.name).into() } else { (&*called.name).into() }
}

/// What is said of the owner, level by level.
fn owners(page: &Page<'_>, snapshot: &Snapshot, flow: &FlowRecord) -> [String; LEVELS] {
    if snapshot.live.is_none() {
        return Default::default();
    }
    let answer = flow.owner.as_ref();
    std::array::from_fn(|level| {
        if page.width.is_none() { owner::in_pipe(answer) } else { owner::described(answer, level) }
    })
}

/// Rate over the last interval.
fn now(page: &Page<'_>, flow: &FlowRecord) -> String {
    let shown = flow.pace.filter(|_| page.options.sort != SortKey::Rate);
    shown.map_or(String::new(), |pace| page.options.units.rate(pace.now))
}

/// `veth1→br0→eth0`.
fn path(flow: &FlowRecord) -> String {
    if flow.path.len() > 1 {
        let names: Vec<_> = flow.path.iter().map(|name| visible(name)).collect();
        return names.join("→");
    }
    flow.interface.as_deref().map_or(String::new(), |name| visible(name).into_owned())
}

/// `veth1+2`.
fn short_path(flow: &FlowRecord) -> String {
    match flow.path.as_slice() {
        [first, _, ..] => format!("{}+{}", visible(first), flow.path.len() - 1),
        _ => path(flow),
    }
}

/// What is spoken: by what the ends say, else by what the responder's port is called on this system.
fn service(page: &Page<'_>, flow: &FlowRecord) -> String {
    let by_content = flow.app.as_ref().filter(|app| app.by == By::Content).map(|app| app.protocol);
    let named = || page.options.services.name(flow.protocol, flow.destination.port);
    visible(by_content.or_else(named).unwrap_or_default()).into_owned()
}

/// Where the far end is: the responder, unless nothing is known of it.
fn place(page: &Page<'_>, flow: &FlowRecord) -> String {
    let Some(geo) = &page.options.geo else { return String::new() };
    let place = geo.of(flow.destination.addr).or_else(|| geo.of(flow.source.addr));
    place.map_or(String::new(), |place| visible(&place.short()).into_owned())
}

/// The ends that are others beyond a translation of addresses.
fn translated(flow: &FlowRecord, (source, destination): &(Endpoint, Endpoint)) -> String {
    let end = |end: &Endpoint| End::of(end, None).fitted(usize::MAX);
    match (*source != flow.source, *destination != flow.destination) {
        (true, true) => format!("nat {} → {}", end(source), end(destination)),
        (true, false) => format!("nat {}", end(source)),
        (false, _) => format!("nat → {}", end(destination)),
    }
}

fn round_trip(tcp: &flow::TcpRecord) -> String {
    tcp.rtt.map_or(String::new(), |rtt| format!("rtt {}", tight(rtt)))
}

pub(super) fn tight(duration: Duration) -> String {
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
            let average = flow.total().ip_bytes as f64 / seconds;
            page.options.units.rate(flow.pace.map_or(average, |pace| pace.now))
        }
        SortKey::Rtt => flow.tcp.as_ref().map_or(String::new(), round_trip),
        SortKey::Retrans => flow.tcp.as_ref().map_or(String::new(), resent),
        SortKey::First => page.clock.time(flow.first),
        SortKey::Last => page.clock.time(flow.last),
    }
}
