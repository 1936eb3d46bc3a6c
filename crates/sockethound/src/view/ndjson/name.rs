//! `name`: what a client asked for.

use ::flow::NameEvent;
use dissect::FiveTuple;

use super::write_end;
use crate::view::json::Json;

/// The ends are those of the packets, as their outermost headers have them; those of a flow in a tunnel stand in `flow`.
pub(super) fn write(json: &mut Json, event: &NameEvent) {
    let FiveTuple { src, dst, protocol } = event.outer.unwrap_or(event.tuple);
    json.raw(r#"{"kind":"name","schema":1,"@timestamp":"#).time(event.timestamp);
    write_end(json, r#","source":"#, &src);
    write_end(json, r#"},"destination":"#, &dst);
    json.raw(r#","domain":"#).string(&event.name);
    json.raw(r#"},"network":{"iana_number":"#).integer(protocol.into());
    json.raw(r#"},"sockethound":{"name_source":"#).plain(event.source.name().as_bytes());
    if event.outer.is_some() {
        let FiveTuple { src, dst, protocol } = event.tuple;
        write_end(json, r#","flow":{"source":"#, &src);
        write_end(json, r#"},"destination":"#, &dst);
        json.raw(r#"},"iana_number":"#).integer(protocol.into()).raw("}");
    }
    json.raw("}}\n");
}
