//! `name`: what a client asked for.

use ::flow::NameEvent;

use super::write_end;
use crate::view::json::Json;

pub(super) fn write(json: &mut Json, event: &NameEvent) {
    json.raw(r#"{"kind":"name","schema":1,"@timestamp":"#).time(event.timestamp);
    write_end(json, r#","source":"#, &event.tuple.src);
    write_end(json, r#"},"destination":"#, &event.tuple.dst);
    json.raw(r#","domain":"#).string(&event.name);
    json.raw(r#"},"network":{"iana_number":"#).integer(event.tuple.protocol.into());
    json.raw(r#"},"sockethound":{"name_source":"#).plain(event.source.name().as_bytes());
    json.raw("}}\n");
}
