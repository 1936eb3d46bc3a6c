//! `flow`: one that is over.

use dissect::app::By;
use dissect::{Endpoint, Mac};
use flow::{Called, Cause, Counters, FlowRecord, TcpRecord, TunnelHeader, community_id};

use super::{app, microseconds, nanoseconds, owner, write_counters, write_end, write_list, write_transport};
use crate::geo::Geo;
use crate::vendors::Vendors;
use crate::view::json::Json;

pub(super) fn write(json: &mut Json, flow: &FlowRecord, geo: Option<&Geo>, vendors: &Vendors) {
    json.raw(r#"{"kind":"flow","schema":1,"@timestamp":"#).time(flow.last);
    json.raw(r#","event":{"start":"#).time(flow.first);
    json.raw(r#","end":"#).time(flow.last);
    json.raw(r#","duration":"#);
    if flow.is_timed() {
        json.integer(nanoseconds(flow.duration()));
    } else {
        json.raw("null");
    }
    let protocol = flow.app_protocol();
    write_network(json, flow, protocol.map(|(name, _)| name));
    write_side(json, r#"},"source":"#, &flow.source, flow.sent, flow.source_name.as_ref());
    write_mac(json, flow.source_mac, vendors);
    write_place(json, &flow.source, geo);
    let name = flow.destination_name.as_ref();
    write_side(json, r#"},"destination":"#, &flow.destination, flow.received, name);
    write_mac(json, flow.destination_mac, vendors);
    write_place(json, &flow.destination, geo);
    json.raw("}");
    if let Some(answer) = &flow.owner {
        owner::write_facts(json, answer);
    }
    if let Some(app) = &flow.app {
        app::write_fields(json, app);
    }
    json.raw(r#","sockethound":{"source_frame_bytes":"#).integer(flow.sent.frame_bytes);
    json.raw(r#","destination_frame_bytes":"#).integer(flow.received.frame_bytes);
    write_origin(json, flow, protocol.map(|(_, by)| by));
    if let Some(tcp) = &flow.tcp {
        write_tcp(json, tcp);
    }
    write_way(json, flow);
    json.raw("}}\n");
}

/// Whose it is, what it is, and what led to it.
fn write_origin(json: &mut Json, flow: &FlowRecord, protocol_by: Option<By>) {
    if let Some(answer) = &flow.owner {
        owner::write_attribution(json, answer);
    }
    if let Some(by) = protocol_by {
        json.raw(r#","protocol_by":"#).plain(by.name().as_bytes());
    }
    write_cause(json, &flow.cause);
    if let Some(dns) = &flow.encrypted_dns {
        json.raw(r#","encrypted_dns":{"kind":"#).plain(dns.kind.name().as_bytes());
        json.raw(r#","resolver":"#).string(&dns.resolver);
        json.raw(r#","by":"#).plain(dns.by.name().as_bytes());
        json.raw(r#","estimated_queries":"#).integer(dns.queries).raw("}");
    }
    if flow.own_lookup {
        json.raw(r#","own_lookup":true"#);
    }
}

/// Through what its packets passed.
fn write_way(json: &mut Json, flow: &FlowRecord) {
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
}

fn write_network(json: &mut Json, flow: &FlowRecord, protocol: Option<&str>) {
    json.raw(r#"},"network":{"transport":"#);
    write_transport(json, flow.protocol);
    json.raw(r#","iana_number":"#).integer(flow.protocol.into());
    json.raw(if flow.ip_version == 4 { r#","type":"ipv4""# } else { r#","type":"ipv6""# });
    if let Some(direction) = flow.direction {
        json.raw(r#","direction":"#).plain(direction.name().as_bytes());
    }
    if let Some(protocol) = protocol {
        json.raw(r#","protocol":"#).plain(protocol.as_bytes());
    }
    json.raw(r#","community_id":"#).plain(&community_id::of(flow));
    write_counters(json, r#","bytes":"#, flow.total());
}

fn write_side(json: &mut Json, open: &str, end: &Endpoint, sent: Counters, called: Option<&Called>) {
    write_end(json, open, end);
    write_counters(json, r#","bytes":"#, sent);
    if let Some(called) = called {
        json.raw(r#","domain":"#).string(&called.name);
        json.raw(r#","domain_source":"#).plain(called.by.name().as_bytes());
    }
}

/// An end's link-layer address, and who made its interface.
fn write_mac(json: &mut Json, mac: Option<Mac>, vendors: &Vendors) {
    let Some(mac) = mac else { return };
    json.raw(r#","mac":"#).mac(mac);
    if let Some(vendor) = vendors.name(mac) {
        json.raw(r#","vendor":"#).string(vendor);
    }
}

/// Where an end is, and whose its network is.
fn write_place(json: &mut Json, end: &Endpoint, geo: Option<&Geo>) {
    let Some(place) = geo.and_then(|geo| geo.of(end.addr)) else { return };
    let texts = [
        ("country_iso_code", &place.country_code),
        ("country_name", &place.country),
        ("city_name", &place.city),
    ];
    let mut known = texts.iter().filter_map(|(name, text)| Some((name, text.as_ref()?))).peekable();
    if known.peek().is_some() {
        json.raw(r#","geo":{"#);
        for (n, (name, text)) in known.enumerate() {
            json.raw(if n > 0 { "," } else { "" }).string(name).raw(":").string(text);
        }
        json.raw("}");
    }
    let (number, organization) = (place.as_number, place.as_organization);
    if number.is_some() || organization.is_some() {
        json.raw(r#","as":{"#);
        if let Some(number) = number {
            json.raw(r#""number":"#).integer(number.into());
        }
        if let Some(organization) = organization {
            json.raw(if number.is_some() { "," } else { "" });
            json.raw(r#""organization":{"name":"#).string(&organization).raw("}");
        }
        json.raw("}");
    }
}

fn write_cause(json: &mut Json, cause: &Cause) {
    let lookup = match cause {
        Cause::Unknown => return,
        Cause::NoneSeen => {
            json.raw(r#","lookup":"none""#);
            return;
        }
        Cause::Lookup(lookup) => lookup,
    };
    json.raw(r#","lookup":{"name":"#).string(&lookup.name);
    json.raw(r#","resolver":"#).address(lookup.resolver.addr);
    json.raw(r#","before_us":"#).integer(microseconds(lookup.before));
    json.raw(r#","ttl":"#).integer(lookup.ttl.into());
    if let Some(latency) = lookup.latency {
        json.raw(r#","latency_us":"#).integer(microseconds(latency));
    }
    json.raw("}");
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
