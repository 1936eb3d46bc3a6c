//! What nDPI says flows of public captures are, against what the program says: never fewer agree than before.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod run;

use std::collections::HashMap;
use std::net::SocketAddr;

use run::end;
use serde_json::Value;

/// The least percentage of flows that agree.
const FLOOR: f64 = 90.0;

/// nDPI's words where ours differ by more than how they are spelt, and what we say instead.
const WORDS: &[(&str, &[&str])] = &[
    ("ftp_control", &["ftp"]),
    ("netbios", &["nbns", "nbdgm", "nbss"]),
    ("smbv1", &["smb"]),
    ("smbv23", &["smb"]),
    ("http_proxy", &["http"]),
    ("elasticsearch", &["elasticsearch", "http"]),
    ("ipsec", &["isakmp", "esp"]),
    ("pops", &["pop3", "tls"]),
    ("imaps", &["imap", "tls"]),
    ("starcraft", &["battle.net"]),
    ("tencentgames", &["tencent"]),
    ("nat-pmp", &["nat-pmp", "pcp"]),
];
/// Labels of flows that nDPI knows by their addresses alone, or not at all: nothing that was said is to tell them.
const ADDRESSES: &[&str] = &["unknown", "amazonaws", "google"];
/// Protocols that are no application's.
const TRANSPORTS: &[&str] = &["icmp", "icmpv6", "igmp"];

type Ends = (String, SocketAddr, SocketAddr);

fn ends(transport: &str, a: SocketAddr, b: SocketAddr) -> Ends {
    (transport.to_lowercase().replace("ipv6-icmp", "icmpv6"), a.min(b), a.max(b))
}

/// The protocol of each flow of a capture, and by what it was told.
fn ours(capture: &str) -> HashMap<Ends, (String, String)> {
    let stdout = run::run(&["-r", capture, "--json"]).stdout;
    let records = run::records(&stdout);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    run::of_kind(&records, "flow")
        .into_iter()
        .map(|flow| {
            let key =
                ends(&text(&flow["network"]["transport"]), end(&flow["source"]), end(&flow["destination"]));
            (key, (text(&flow["network"]["protocol"]), text(&flow["sockethound"]["protocol_by"])))
        })
        .collect()
}

fn agrees(label: &str, ours: Option<&(String, String)>) -> bool {
    let word = label.split('/').next_back().unwrap().split('.').next().unwrap().to_lowercase();
    if ADDRESSES.contains(&word.as_str()) {
        return ours.is_none_or(|(_, by)| by != "content");
    }
    let Some((protocol, _)) = ours else { return false };
    if TRANSPORTS.contains(&word.as_str()) {
        return true;
    }
    match WORDS.iter().find(|(theirs, _)| *theirs == word) {
        Some((_, ours)) => ours.contains(&protocol.as_str()),
        None => word == *protocol,
    }
}

#[test]
fn protocols() {
    let Some((captures, theirs)) = run::ndpi() else { return };
    let (mut agreed, mut differ) = (0, Vec::new());
    for (name, flows) in &theirs {
        let ours = ours(captures.join(name).to_str().unwrap());
        for flow in flows {
            let text = |field: &str| flow[field].as_str().unwrap();
            // Some are no addresses: they are written so in nDPI's own results.
            let end = |field: &str| {
                let (addr, port) = text(field).rsplit_once(':').unwrap();
                let addr = addr.trim_matches(['[', ']']).parse().ok()?;
                Some(SocketAddr::new(addr, port.parse().unwrap()))
            };
            let said = end("a").zip(end("b")).and_then(|(a, b)| ours.get(&ends(text("l4"), a, b)));
            if agrees(text("label"), said) {
                agreed += 1;
            } else {
                differ.push(format!("{name} {} {} {}: {said:?}", text("a"), text("b"), text("label")));
            }
        }
    }
    let share = 100.0 * f64::from(agreed) / (f64::from(agreed) + differ.len() as f64);
    differ.sort();
    assert!(share >= FLOOR, "{share:.1} % agree; these do not:\n{}", differ.join("\n"));
}

/// Every name that nDPI has of a flow of TLS, DTLS, QUIC or HTTP, the whole of it: there is no exception.
#[test]
fn names() {
    let Some((captures, theirs)) = run::ndpi() else { return };
    let (mut found, mut missed) = (0, Vec::new());
    for (name, flows) in &theirs {
        let is_named = |flow: &&Value| {
            let label = flow["label"].as_str().unwrap().to_lowercase();
            flow["host"].is_string() && ["tls", "quic", "http"].iter().any(|word| label.contains(word))
        };
        let mut named = flows.iter().filter(is_named).peekable();
        if named.peek().is_none() {
            continue;
        }
        let said = names_of(captures.join(name).to_str().unwrap());
        for flow in named {
            let [a, b, host] = ["a", "b", "host"].map(|field| flow[field].as_str().unwrap());
            let ends: [SocketAddr; 2] = [a, b].map(|end| end.parse().unwrap());
            let host = host.to_lowercase();
            let is_it = |of: &(SocketAddr, SocketAddr, String)| {
                let port =
                    of.2.strip_prefix(&host).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
                port && (ends == [of.0, of.1] || ends == [of.1, of.0])
            };
            if said.iter().any(is_it) {
                found += 1;
            } else {
                missed.push(format!("{name} {a} {b} {host}"));
            }
        }
    }
    assert!(missed.is_empty() && found >= 170, "{found} found, not these:\n{}", missed.join("\n"));
}

/// The names that clients of a capture ask for, with the ends of their flows.
fn names_of(capture: &str) -> Vec<(SocketAddr, SocketAddr, String)> {
    let records = run::records(&run::run(&["-r", capture, "--json"]).stdout);
    let names = run::of_kind(&records, "name").into_iter().map(|name| {
        let flow = if name["sockethound"]["flow"].is_object() { &name["sockethound"]["flow"] } else { name };
        let domain = name["destination"]["domain"].as_str().unwrap().to_lowercase();
        (end(&flow["source"]), end(&flow["destination"]), domain)
    });
    names.collect()
}
