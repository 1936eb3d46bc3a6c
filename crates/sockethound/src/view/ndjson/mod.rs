//! NDJSON: one object a line, ECS field names, raw integers, RFC 3339 nanoseconds in UTC.
//!
//! `schema/ndjson.schema.json` is the contract. Flows are written as they end, by [`View::events`];
//! the ledger follows with the final snapshot. Each kind of record has a file here. Adding one that a snapshot gives is such
//! a file, its `mod` line, its place in `AT_THE_END` or `AT_EACH_REPORT`, and what it looks like in the schema.

mod app;
mod capture;
pub(super) mod chosen;
mod dns;
mod flow;
mod ledger;
mod name;
mod owner;
mod process;
mod summary;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use ::flow::{Counters, Event, Snapshot};
use dissect::{Endpoint, names};

use super::View;
use super::json::Json;
use crate::geo::Geo;
use crate::vendors::Vendors;

/// Bytes that are gathered before they are written.
const AT_ONCE: usize = 64 * 1024;

/// Writes the records of one kind that a snapshot gives, each a line.
type Records = fn(&mut Lines<'_>, &Snapshot) -> io::Result<()>;

/// What the last snapshot gives, in this order.
static AT_THE_END: &[Records] = &[ledger::write_all, process::write_all];

/// What every one gives, the last one before all else, where summaries are wanted.
static AT_EACH_REPORT: &[Records] = &[summary::write];

/// Where records are written, one behind the other.
struct Lines<'a> {
    json: &'a mut Json,
    out: &'a mut dyn Write,
}

impl Lines<'_> {
    /// A record is whole: lets out what was gathered, if it is enough.
    fn written(&mut self) -> io::Result<()> {
        if self.json.bytes().len() >= AT_ONCE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.out.write_all(self.json.bytes());
        self.json.clear();
        written
    }
}

/// One object a line.
#[derive(Debug, Default)]
pub struct Ndjson {
    json: Json,
    summaries: bool,
    geo: Option<Arc<Geo>>,
    vendors: Vendors,
}

impl Ndjson {
    /// With `summaries`, every snapshot gives a `summary`.
    pub fn new(summaries: bool) -> Self {
        Ndjson { summaries, ..Ndjson::default() }
    }

    /// The same, saying of the ends of flows where they are.
    #[must_use]
    pub fn with_geo(self, geo: Option<Arc<Geo>>) -> Self {
        Ndjson { geo, ..self }
    }

    /// The same, saying of the ends of flows who made their interfaces.
    #[must_use]
    pub fn with_vendors(self, vendors: Vendors) -> Self {
        Ndjson { vendors, ..self }
    }
}

impl View for Ndjson {
    fn events(&mut self, events: &[Event], out: &mut dyn Write) -> io::Result<()> {
        let mut lines = Lines { json: &mut self.json, out };
        for event in events {
            match event {
                Event::Began(began) => capture::write_began(lines.json, began),
                Event::Capture(capture) => capture::write(lines.json, capture),
                Event::Dns(message) => dns::write(lines.json, message),
                Event::Name(name) => name::write(lines.json, name),
                Event::Flow(flow) => flow::write(lines.json, flow, self.geo.as_deref(), &self.vendors),
            }
            lines.written()?;
        }
        lines.flush()
    }

    fn show(&mut self, snapshot: &Snapshot, out: &mut dyn Write) -> io::Result<()> {
        let of_report = AT_EACH_REPORT.iter().filter(|_| self.summaries);
        let of_end = AT_THE_END.iter().filter(|_| snapshot.is_final);
        let mut lines = Lines { json: &mut self.json, out };
        of_report.chain(of_end).try_for_each(|write| write(&mut lines, snapshot))?;
        lines.flush()
    }
}

/// The IANA keyword; the number, as text, where none is assigned.
fn write_transport(json: &mut Json, protocol: u8) {
    let keyword = match protocol {
        1 => Some("icmp"),
        6 => Some("tcp"),
        17 => Some("udp"),
        58 => Some("ipv6-icmp"),
        132 => Some("sctp"),
        136 => Some("udplite"),
        other => names::ip_protocol(other),
    };
    match keyword {
        Some(keyword) => json.string(keyword),
        None => json.raw("\"").integer(protocol.into()).raw("\""),
    };
}

/// `{"ip":…,"port":…` of one end, still open.
fn write_end(json: &mut Json, open: &str, end: &Endpoint) {
    json.raw(open).raw(r#"{"ip":"#).address(end.addr);
    json.raw(r#","port":"#).integer(end.port.into());
}

fn write_counters(json: &mut Json, open: &str, counters: Counters) {
    json.raw(open).integer(counters.ip_bytes).raw(r#","packets":"#).integer(counters.packets);
}

fn write_list<T>(json: &mut Json, open: &str, items: &[T], mut each: impl FnMut(&mut Json, &T)) {
    json.raw(open).raw("[");
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            json.raw(",");
        }
        each(json, item);
    }
    json.raw("]");
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
