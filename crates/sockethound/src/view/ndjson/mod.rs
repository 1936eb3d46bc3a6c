//! NDJSON: one object a line, ECS field names, raw integers, RFC 3339 nanoseconds in UTC.
//!
//! `schema/ndjson.schema.json` is the contract. Flows are written as they end, by [`View::events`];
//! the ledger follows with the final snapshot. Each kind of record has a file here.

mod account;
mod app;
mod capture;
mod dns;
mod flow;
mod name;
mod owner;
mod process;

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

/// One object a line.
#[derive(Debug, Default)]
pub struct Ndjson {
    json: Json,
    summaries: bool,
    geo: Option<Arc<Geo>>,
    vendors: Vendors,
}

impl Ndjson {
    /// With `summaries`, every snapshot but the last one gives a `summary`.
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

    fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let written = out.write_all(self.json.bytes());
        self.json.clear();
        written
    }
}

impl View for Ndjson {
    fn name(&self) -> &'static str {
        "ndjson"
    }

    fn events(&mut self, events: &[Event], out: &mut dyn Write) -> io::Result<()> {
        for event in events {
            match event {
                Event::Began(began) => capture::write_began(&mut self.json, began),
                Event::Capture(capture) => capture::write(&mut self.json, capture),
                Event::Dns(message) => dns::write(&mut self.json, message),
                Event::Name(name) => name::write(&mut self.json, name),
                Event::Flow(flow) => flow::write(&mut self.json, flow, self.geo.as_deref(), &self.vendors),
            }
            if self.json.bytes().len() >= AT_ONCE {
                self.flush(out)?;
            }
        }
        self.flush(out)
    }

    fn show(&mut self, snapshot: &Snapshot, out: &mut dyn Write) -> io::Result<()> {
        if snapshot.is_final {
            for interface in &snapshot.ledger.interfaces {
                account::write_ledger(&mut self.json, interface);
            }
            for account in snapshot.sockets.iter().flat_map(|sockets| &sockets.processes) {
                process::write(&mut self.json, account);
                if self.json.bytes().len() >= AT_ONCE {
                    self.flush(out)?;
                }
            }
        } else if self.summaries {
            account::write_summary(&mut self.json, snapshot);
        }
        self.flush(out)
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
