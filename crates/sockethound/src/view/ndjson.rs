//! NDJSON: one object a line, ECS field names, raw integers, RFC 3339 nanoseconds in UTC.
//!
//! `schema/ndjson.schema.json` is the contract. Flows are written as they end, by [`View::events`];
//! the ledger follows with the final snapshot.

use std::io::{self, Write};
use std::time::Duration;

use dissect::app::dns::{Record, Value};
use dissect::{Endpoint, Timestamp, names};
use flow::{
    CaptureEnd, CaptureRecord, Counters, DnsEvent, Event, FlowRecord, InterfaceLedger, Snapshot, TcpRecord,
    TunnelHeader, community_id,
};

use super::View;
use super::json::Json;

/// Bytes that are gathered before they are written.
const AT_ONCE: usize = 64 * 1024;

/// One object a line.
#[derive(Debug, Default)]
pub struct Ndjson {
    json: Json,
    summaries: bool,
}

impl Ndjson {
    /// With `summaries`, every snapshot but the last one gives a `summary`.
    pub fn new(summaries: bool) -> Self {
        Ndjson { json: Json::default(), summaries }
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
                Event::Capture(capture) => write_capture(&mut self.json, capture),
                Event::Dns(message) => write_dns(&mut self.json, message),
                Event::Flow(flow) => write_flow(&mut self.json, flow),
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
                write_ledger(&mut self.json, interface);
            }
        } else if self.summaries {
            write_summary(&mut self.json, snapshot);
        }
        self.flush(out)
    }
}

fn write_capture(json: &mut Json, capture: &CaptureRecord) {
    json.raw(r#"{"kind":"capture","schema":1,"file":{"path":"#).string(&capture.path);
    json.raw(r#"},"network":{"packets":"#).integer(capture.packets);
    json.raw(r#","bytes":"#).integer(capture.bytes);
    json.raw(r#"},"event":{"start":"#);
    write_time(json, capture.start);
    json.raw(r#","end":"#);
    write_time(json, capture.end);
    let (stop, reason) = match &capture.stop {
        CaptureEnd::Complete => ("complete", None),
        CaptureEnd::Truncated(reason) => ("truncated", Some(reason)),
        CaptureEnd::Malformed(reason) => ("malformed", Some(reason)),
        CaptureEnd::Interrupted => ("interrupted", None),
    };
    json.raw(r#"},"sockethound":{"stop":"#).plain(stop.as_bytes());
    if let Some(reason) = reason {
        json.raw(r#","reason":"#).string(reason);
    }
    json.raw("}}\n");
}

fn write_time(json: &mut Json, at: Option<Timestamp>) {
    match at {
        Some(at) => json.time(at),
        None => json.raw("null"),
    };
}

fn write_flow(json: &mut Json, flow: &FlowRecord) {
    json.raw(r#"{"kind":"flow","schema":1,"@timestamp":"#).time(flow.last);
    json.raw(r#","event":{"start":"#).time(flow.first);
    json.raw(r#","end":"#).time(flow.last);
    json.raw(r#","duration":"#).integer(nanoseconds(flow.duration()));
    write_network(json, flow);
    write_side(json, r#"},"source":{"ip":"#, &flow.source, flow.sent, flow.source_name.as_deref());
    let name = flow.destination_name.as_deref();
    write_side(json, r#"},"destination":{"ip":"#, &flow.destination, flow.received, name);
    json.raw(r#"},"sockethound":{"source_frame_bytes":"#).integer(flow.sent.frame_bytes);
    json.raw(r#","destination_frame_bytes":"#).integer(flow.received.frame_bytes);
    if let Some(tcp) = &flow.tcp {
        write_tcp(json, tcp);
    }
    if !flow.tunnels.is_empty() {
        write_list(json, r#","tunnel":"#, &flow.tunnels, write_tunnel);
    }
    if let Some(interface) = &flow.interface {
        json.raw(r#","interface":"#).string(interface);
    }
    json.raw("}}\n");
}

fn write_network(json: &mut Json, flow: &FlowRecord) {
    json.raw(r#"},"network":{"transport":"#);
    write_transport(json, flow.protocol);
    json.raw(r#","iana_number":"#).integer(flow.protocol.into());
    json.raw(if flow.ip_version == 4 { r#","type":"ipv4""# } else { r#","type":"ipv6""# });
    if let Some(direction) = flow.direction {
        json.raw(r#","direction":"#).plain(direction.name().as_bytes());
    }
    json.raw(r#","community_id":"#).plain(&community_id::of(flow));
    write_counters(json, r#","bytes":"#, flow.total());
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

fn write_side(json: &mut Json, open: &str, end: &Endpoint, sent: Counters, name: Option<&str>) {
    json.raw(open).address(end.addr);
    json.raw(r#","port":"#).integer(end.port.into());
    write_counters(json, r#","bytes":"#, sent);
    if let Some(name) = name {
        json.raw(r#","domain":"#).string(name);
    }
}

fn write_counters(json: &mut Json, open: &str, counters: Counters) {
    json.raw(open).integer(counters.ip_bytes).raw(r#","packets":"#).integer(counters.packets);
}

fn write_tcp(json: &mut Json, tcp: &TcpRecord) {
    json.raw(r#","tcp":{"state":"#).string(tcp.state);
    json.raw(r#","history":"#).string(&tcp.history);
    if let Some(rtt) = tcp.rtt {
        json.raw(r#","rtt_us":"#).integer(microseconds(rtt));
    }
    json.raw(r#","retransmits":"#).integer(tcp.retransmits).raw("}");
}

fn write_tunnel(json: &mut Json, tunnel: &TunnelHeader) {
    json.raw(r#"{"type":"#).string(tunnel.kind);
    if let Some(id) = tunnel.id {
        json.raw(r#","id":"#).integer(id.into());
    }
    let ends = [(r#","source":"#, tunnel.source), (r#","destination":"#, tunnel.destination)];
    for (open, addr) in ends {
        if let Some(addr) = addr {
            json.raw(open).address(addr);
        }
    }
    json.raw("}");
}

fn write_dns(json: &mut Json, event: &DnsEvent) {
    let (message, tuple) = (&event.message, &event.tuple);
    json.raw(r#"{"kind":"dns","schema":1,"@timestamp":"#).time(event.timestamp);
    json.raw(r#","network":{"transport":"#);
    write_transport(json, tuple.protocol);
    json.raw(r#","protocol":"#).string(event.protocol);
    for (open, end) in [(r#"},"source":{"ip":"#, &tuple.src), (r#"},"destination":{"ip":"#, &tuple.dst)] {
        json.raw(open).address(end.addr).raw(r#","port":"#).integer(end.port.into());
    }
    json.raw(r#"},"sockethound":{"frame":"#).integer(event.frame);
    if let Some(latency) = event.latency {
        json.raw(r#","latency_us":"#).integer(microseconds(latency));
    }
    json.raw(r#"},"dns":{"type":"#).plain(if message.answer { b"answer" } else { b"query" });
    json.raw(r#","id":"#).integer(message.id.into());
    if message.answer {
        json.raw(r#","response_code":"#).integer(message.response_code.into());
    }
    write_list(json, r#","question":"#, &message.questions, |json, question| {
        json.raw(r#"{"name":"#).string(&question.name);
        json.raw(r#","type":"#).integer(question.kind.into()).raw("}");
    });
    write_list(json, r#","answers":"#, &message.answers, write_resource);
    json.raw("}}\n");
}

fn write_resource(json: &mut Json, record: &Record) {
    json.raw(r#"{"name":"#).string(&record.name);
    json.raw(r#","type":"#).integer(record.kind.into());
    json.raw(r#","ttl":"#).integer(record.ttl.into());
    json.raw(r#","data":"#);
    match &record.value {
        Value::Address(addr) => json.address(*addr),
        Value::Name(name) => json.string(name),
        Value::Other => json.raw("null"),
    };
    json.raw("}");
}

fn write_ledger(json: &mut Json, ledger: &InterfaceLedger) {
    json.raw(r#"{"kind":"ledger","schema":1"#);
    if let Some(path) = &ledger.interface.file {
        json.raw(r#","file":{"path":"#).string(path).raw("}");
    }
    json.raw(r#","sockethound":{"interface":"#).string(ledger.interface.label());
    for (open, (packets, bytes)) in [(r#","counted":"#, ledger.counted), (r#"},"not_ip":"#, ledger.not_ip)] {
        json.raw(open).raw(r#"{"packets":"#).integer(packets).raw(r#","bytes":"#).integer(bytes);
    }
    json.raw(r#","malformed":{"#);
    for (n, (reason, packets)) in ledger.malformed.iter().enumerate() {
        json.raw(if n == 0 { "" } else { "," }).string(reason).raw(":").integer(*packets);
    }
    // A capture does not say what was lost on the way into it.
    json.raw("}},\"dropped\":null}}\n");
}

fn write_summary(json: &mut Json, snapshot: &Snapshot) {
    json.raw(r#"{"kind":"summary","schema":1"#);
    if let Some(last) = snapshot.last {
        json.raw(r#","@timestamp":"#).time(last);
    }
    json.raw(r#","event":{"duration":"#).integer(nanoseconds(snapshot.duration()));
    write_counters(json, r#"},"network":{"bytes":"#, snapshot.total);
    json.raw("}}\n");
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
