//! `dns`: a message.

use dissect::app::dns::{Record, Value};
use flow::DnsEvent;

use super::{microseconds, owner, write_end, write_list, write_transport};
use crate::view::json::Json;

pub(super) fn write(json: &mut Json, event: &DnsEvent) {
    let (message, tuple) = (&event.message, &event.tuple);
    json.raw(r#"{"kind":"dns","schema":1,"@timestamp":"#).time(event.timestamp);
    json.raw(r#","network":{"transport":"#);
    write_transport(json, tuple.protocol);
    json.raw(r#","protocol":"#).string(event.protocol);
    write_end(json, r#"},"source":"#, &tuple.src);
    write_end(json, r#"},"destination":"#, &tuple.dst);
    json.raw("}");
    if let Some(owner) = &event.owner {
        owner::write_process(json, owner);
    }
    json.raw(r#","sockethound":{"frame":"#).integer(event.frame);
    if let Some(latency) = event.latency {
        json.raw(r#","latency_us":"#).integer(microseconds(latency));
    }
    let mut remarks = event.remarks().peekable();
    if remarks.peek().is_some() {
        json.raw(r#","facts":["#);
        for (n, remark) in remarks.enumerate() {
            json.raw(if n > 0 { "," } else { "" }).plain(remark.as_bytes());
        }
        json.raw("]");
    }
    if event.own_lookup {
        json.raw(r#","own_lookup":true"#);
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
