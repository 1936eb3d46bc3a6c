//! `flow`: one that is over.

use dissect::Endpoint;
use flow::{Counters, FlowRecord, TcpRecord, TunnelHeader, community_id};

use super::{app, microseconds, nanoseconds, owner, write_counters, write_end, write_list, write_transport};
use crate::view::json::Json;

pub(super) fn write(json: &mut Json, flow: &FlowRecord) {
    json.raw(r#"{"kind":"flow","schema":1,"@timestamp":"#).time(flow.last);
    json.raw(r#","event":{"start":"#).time(flow.first);
    json.raw(r#","end":"#).time(flow.last);
    json.raw(r#","duration":"#).integer(nanoseconds(flow.duration()));
    write_network(json, flow);
    write_side(json, r#"},"source":"#, &flow.source, flow.sent, flow.source_name.as_deref());
    let name = flow.destination_name.as_deref();
    write_side(json, r#"},"destination":"#, &flow.destination, flow.received, name);
    json.raw("}");
    if let Some(answer) = &flow.owner {
        owner::write_facts(json, answer);
    }
    if let Some(app) = &flow.app {
        app::write_fields(json, app);
    }
    json.raw(r#","sockethound":{"source_frame_bytes":"#).integer(flow.sent.frame_bytes);
    json.raw(r#","destination_frame_bytes":"#).integer(flow.received.frame_bytes);
    if let Some(answer) = &flow.owner {
        owner::write_attribution(json, answer);
    }
    if let Some((_, by)) = flow.app_protocol() {
        json.raw(r#","protocol_by":"#).plain(by.name().as_bytes());
    }
    if flow.own_lookup {
        json.raw(r#","own_lookup":true"#);
    }
    if let Some(tcp) = &flow.tcp {
        write_tcp(json, tcp);
    }
    if !flow.tunnels.is_empty() {
        write_list(json, r#","tunnel":"#, &flow.tunnels, write_tunnel);
    }
    if let Some((source, destination)) = &flow.nat {
        write_end(json, r#","nat":{"source":"#, source);
        write_end(json, r#"},"destination":"#, destination);
        json.raw("}}");
    }
    if !flow.path.is_empty() {
        write_list(json, r#","path":"#, &flow.path, |json, name| {
            json.string(name);
        });
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
    let protocol = flow.app_protocol();
    if let Some((protocol, _)) = protocol {
        json.raw(r#","protocol":"#).plain(protocol.as_bytes());
    }
    json.raw(r#","community_id":"#).plain(&community_id::of(flow));
    write_counters(json, r#","bytes":"#, flow.total());
}

fn write_side(json: &mut Json, open: &str, end: &Endpoint, sent: Counters, name: Option<&str>) {
    write_end(json, open, end);
    write_counters(json, r#","bytes":"#, sent);
    if let Some(name) = name {
        json.raw(r#","domain":"#).string(name);
    }
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
