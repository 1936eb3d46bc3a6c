//! `summary`: what stands after an interval, of all flows, shown in a report or not.

use std::io;

use flow::Snapshot;

use super::{Lines, nanoseconds, process, write_counters};

/// One record.
pub(super) fn write(lines: &mut Lines<'_>, snapshot: &Snapshot) -> io::Result<()> {
    let json = &mut *lines.json;
    json.raw(r#"{"kind":"summary","schema":1"#);
    if let Some(last) = snapshot.live.map(|live| live.at).or(snapshot.last) {
        json.raw(r#","@timestamp":"#).time(last);
    }
    json.raw(r#","event":{"duration":"#).integer(nanoseconds(snapshot.duration()));
    write_counters(json, r#"},"network":{"bytes":"#, snapshot.total + snapshot.ledger.hidden.1);
    json.raw("}");
    if let Some(sockets) = &snapshot.sockets {
        json.raw(r#","sockethound":"#);
        process::write_sums(json, sockets);
    }
    json.raw("}\n");
    lines.written()
}
