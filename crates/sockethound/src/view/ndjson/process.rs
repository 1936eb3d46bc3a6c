//! `process`: what one process's sockets sent and received, beside what flows have of it.

use std::io;

use flow::{ProcessAccount, Snapshot, SocketLedger};

use super::owner::write_process;
use super::{Lines, microseconds};
use crate::view::json::Json;

/// One record a process.
pub(super) fn write_all(lines: &mut Lines<'_>, snapshot: &Snapshot) -> io::Result<()> {
    for account in snapshot.sockets.iter().flat_map(|sockets| &sockets.processes) {
        write(lines.json, account);
        lines.written()?;
    }
    Ok(())
}

fn write(json: &mut Json, account: &ProcessAccount) {
    json.raw(r#"{"kind":"process","schema":1"#);
    if let Some(owner) = &account.sockets.owner {
        write_process(json, owner);
    }
    json.raw(r#","sockethound":{"here":"#).raw(if account.sockets.here { "true" } else { "false" });
    let counts = account.sockets.counts;
    write_pair(json, r#","sent":"#, counts.sent);
    write_pair(json, r#","received":"#, counts.received);
    json.raw(r#","retransmits":"#).integer(counts.retransmits);
    json.raw(r#","receive_drops":"#).integer(counts.receive_drops);
    if let Some(mean) = account.sockets.round_trips.mean() {
        json.raw(r#","rtt_us":"#).integer(microseconds(mean));
        json.raw(r#","connections":"#).integer(account.sockets.round_trips.connections);
    }
    write_pair(json, r#","in_flows":"#, account.in_flows);
    write_difference(json, account.difference());
    json.raw("}}\n");
}

/// The account of all processes, as a member of `sockethound`.
pub(super) fn write_sums(json: &mut Json, ledger: &SocketLedger) {
    write_pair(json, r#"{"sockets":"#, ledger.sockets);
    write_pair(json, r#","in_flows":"#, ledger.in_flows);
    write_difference(json, ledger.difference());
    json.raw("}");
}

fn write_pair(json: &mut Json, open: &str, (packets, bytes): (u64, u64)) {
    json.raw(open).raw(r#"{"packets":"#).integer(packets).raw(r#","bytes":"#).integer(bytes).raw("}");
}

fn write_difference(json: &mut Json, (packets, bytes): (i64, i64)) {
    json.raw(r#","difference":{"packets":"#).raw(&packets.to_string());
    json.raw(r#","bytes":"#).raw(&bytes.to_string()).raw("}");
}
