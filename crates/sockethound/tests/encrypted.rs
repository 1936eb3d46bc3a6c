//! Encrypted DNS in public captures: where it is, all of it is found, and nowhere else any.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod run;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::net::SocketAddr;

use run::end;
use serde_json::Value;

/// The two ends of a flow, the lesser first.
type Ends = (SocketAddr, SocketAddr);

/// A capture that is named for what it holds, which nDPI labels by its operator instead.
const BY_NAME: &str = "ndpi__doh.pcapng";
/// Names that nDPI takes for resolvers' alone, and why ours does not.
const OTHERS: [(&str, &str); 2] = [
    ("rumpelsepp.org", "a person's site, which is more than a resolver"),
    ("jarjar.meganerd.nl", "in no list that the data file is made of"),
];

fn ends(a: SocketAddr, b: SocketAddr) -> Ends {
    (a.min(b), a.max(b))
}

/// Flows that nDPI calls encrypted DNS, by capture.
fn theirs(all: HashMap<String, Vec<Value>>) -> BTreeMap<String, BTreeSet<Ends>> {
    let is_encrypted = |flow: &&Value| {
        let label = flow["label"].as_str().unwrap();
        let host = flow["host"].as_str().unwrap_or_default();
        (label.contains("DoH_DoT") || label.contains("DNScrypt"))
            && OTHERS.iter().all(|(name, _)| *name != host)
    };
    let of = |flow: &Value| {
        ends(flow["a"].as_str().unwrap().parse().unwrap(), flow["b"].as_str().unwrap().parse().unwrap())
    };
    let flows = |flows: Vec<Value>| flows.iter().filter(is_encrypted).map(of).collect::<BTreeSet<_>>();
    all.into_iter().map(|(name, all)| (name, flows(all))).filter(|(_, flows)| !flows.is_empty()).collect()
}

fn ours(capture: &str) -> BTreeSet<Ends> {
    let records = run::records(&run::run(&["-r", capture, "--json"]).stdout);
    let is_encrypted = |flow: &&&Value| flow["sockethound"].get("encrypted_dns").is_some();
    let flows = run::of_kind(&records, "flow");
    flows
        .iter()
        .filter(is_encrypted)
        .map(|flow| ends(end(&flow["source"]), end(&flow["destination"])))
        .collect()
}

#[test]
fn encrypted_dns_is_found_where_it_is_and_nowhere_else() {
    let Some((captures, all)) = run::ndpi() else { return };
    let mut theirs = theirs(all);
    assert!(theirs.len() >= 3, "{:?}", theirs.keys());
    for entry in fs::read_dir(captures).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let ours = ours(path.to_str().unwrap());
        if name == BY_NAME {
            assert_eq!(ours.len(), 1, "{name}");
        } else {
            assert_eq!(ours, theirs.remove(name).unwrap_or_default(), "{name}");
        }
    }
    assert!(theirs.is_empty(), "{:?}", theirs.keys());
}
