//! `capture`: what was read, or that capturing has begun.

use dissect::Timestamp;
use flow::{Began, CaptureEnd, CaptureRecord};

use super::write_list;
use crate::view::json::Json;

pub(super) fn write_began(json: &mut Json, began: &Began) {
    json.raw(r#"{"kind":"capture","schema":1,"event":{"start":"#).time(began.at);
    write_list(json, r#"},"sockethound":{"interfaces":"#, &began.interfaces, |json, name| {
        json.string(name);
    });
    json.raw(r#","owners_from":"#).string(began.owners_from).raw("}}\n");
}

pub(super) fn write(json: &mut Json, capture: &CaptureRecord) {
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
