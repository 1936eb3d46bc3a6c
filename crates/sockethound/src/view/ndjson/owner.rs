//! Who owns a flow: `process`, `user`, `container`, and how that is known.

use flow::{Answer, Container, Owner, Reason};

use crate::view::json::Json;

/// The members beside `sockethound`.
pub(super) fn write_facts(json: &mut Json, answer: &Answer) {
    match answer {
        Answer::Owner(attributed) => write_process(json, &attributed.owner),
        Answer::None(Reason::Permission { uid }) => write_user(json, Some(*uid), None),
        Answer::None(_) => {}
    }
}

/// `process`, and what is known of its `user` and `container`.
pub(super) fn write_process(json: &mut Json, owner: &Owner) {
    json.raw(r#","process":"#);
    write_identity(json, owner);
    if !owner.command_line.is_empty() {
        json.raw(r#","command_line":"#).string(&owner.command_line.join(" "));
    }
    if owner.parent != 0 {
        json.raw(r#","parent":{"pid":"#).integer(owner.parent.into()).raw("}");
    }
    json.raw("}");
    write_user(json, owner.uid, owner.user.as_deref());
    if let Some(container) = &owner.container {
        write_container(json, container);
    }
}

/// Which process it is, still open.
fn write_identity(json: &mut Json, owner: &Owner) {
    json.raw(r#"{"pid":"#).integer(owner.pid.into());
    json.raw(r#","name":"#).string(&owner.name);
    if let Some(executable) = &owner.executable {
        json.raw(r#","executable":"#).string(executable);
    }
}

fn write_user(json: &mut Json, uid: Option<u32>, name: Option<&str>) {
    let Some(uid) = uid else { return };
    json.raw(r#","user":{"id":"#).integer(uid.into());
    if let Some(name) = name {
        json.raw(r#","name":"#).string(name);
    }
    json.raw("}");
}

fn write_container(json: &mut Json, container: &Container) {
    json.raw(r#","container":{"id":"#).string(&container.id);
    if let Some(name) = &container.name {
        json.raw(r#","name":"#).string(name);
    }
    json.raw(r#","runtime":"#).string(container.runtime.name()).raw("}");
}

/// The members of `sockethound`: how the owner is known or why not, its unit, and who is at the other end.
pub(super) fn write_attribution(json: &mut Json, answer: &Answer) {
    let attributed = match answer {
        Answer::Owner(attributed) => attributed,
        Answer::None(reason) => {
            json.raw(r#","attribution":{"reason":"#).string(&reason.to_string()).raw("}");
            return;
        }
    };
    let evidence = attributed.evidence;
    json.raw(r#","attribution":{"source":"#).string(evidence.source());
    json.raw(r#","confidence":"#).string(evidence.name());
    json.raw(r#","reason":null,"end":"#).string(attributed.end.name()).raw("}");
    if let Some(unit) = &attributed.owner.unit {
        json.raw(r#","unit":"#).string(unit);
    }
    if let Some(peer) = &attributed.peer {
        json.raw(r#","peer":"#);
        write_identity(json, peer);
        json.raw("}");
    }
}
