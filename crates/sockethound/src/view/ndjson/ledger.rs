//! `ledger`: what one interface's packets became.

use std::io;

use flow::{InterfaceLedger, LiveLedger, Snapshot};

use super::Lines;
use crate::view::json::Json;

/// One record an interface.
pub(super) fn write_all(lines: &mut Lines<'_>, snapshot: &Snapshot) -> io::Result<()> {
    for ledger in &snapshot.ledger.interfaces {
        write(lines.json, ledger);
        lines.written()?;
    }
    Ok(())
}

fn write(json: &mut Json, ledger: &InterfaceLedger) {
    json.raw(r#"{"kind":"ledger","schema":1"#);
    if let Some(path) = &ledger.interface.file {
        json.raw(r#","file":{"path":"#).string(path).raw("}");
    }
    json.raw(r#","sockethound":{"interface":"#).string(ledger.interface.label());
    let live = ledger.live.as_ref();
    if let Some(kernel) = live.and_then(|live| live.kernel) {
        write_total(json, r#","kernel":"#, kernel).raw("}");
    }
    write_total(json, r#","counted":"#, ledger.counted).raw("}");
    write_total(json, r#","not_ip":"#, ledger.not_ip);
    json.raw(r#","malformed":"#);
    write_counts(json, &ledger.malformed);
    json.raw("}");
    match live {
        Some(live) => write_live(json, live),
        // A capture does not say what was lost on the way into it.
        None => _ = json.raw(r#","dropped":null"#),
    }
    json.raw("}}\n");
}

/// What became of a live interface's packets.
fn write_live(json: &mut Json, live: &LiveLedger) {
    json.raw(r#","dropped":"#);
    match live.dropped {
        Some(packets) => json.integer(packets),
        None => json.raw("null"),
    };
    let rare = [
        (r#","in_kernel":"#, live.in_kernel),
        (r#","without_flow":"#, live.without_flow),
        (r#","settled":"#, live.settled),
    ];
    for (open, total) in rare {
        if total.0 > 0 {
            write_total(json, open, total).raw("}");
        }
    }
    let (packets, bytes) = live.offload;
    json.raw(r#","offload":"#).integer(packets);
    json.raw(r#","offload_bytes":"#).integer(bytes);
    let parts = [
        (r#","owned":"#, live.owned),
        (r#","forwarded":"#, live.forwarded),
        (r#","by_kernel":"#, live.by_kernel),
    ];
    for (open, total) in parts {
        write_total(json, open, total).raw("}");
    }
    write_total(json, r#","unknown":"#, live.unknown);
    json.raw(r#","reasons":"#);
    write_counts(json, &live.reasons);
    json.raw("}");
}

/// `{"packets":…,"bytes":…`, still open.
fn write_total<'a>(json: &'a mut Json, open: &str, (packets, bytes): (u64, u64)) -> &'a mut Json {
    json.raw(open).raw(r#"{"packets":"#).integer(packets).raw(r#","bytes":"#).integer(bytes)
}

/// An object of counts by what they count.
fn write_counts(json: &mut Json, counts: &[(String, u64)]) {
    json.raw("{");
    for (n, (what, count)) in counts.iter().enumerate() {
        json.raw(if n == 0 { "" } else { "," }).string(what).raw(":").integer(*count);
    }
    json.raw("}");
}
