//! JA4 fingerprints of public captures, as another implementation computes them.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod run;

use std::collections::{BTreeMap, BTreeSet};

/// Client's address and port, and fingerprint.
type Told = BTreeSet<(String, u64, String)>;

/// By capture.
fn theirs() -> BTreeMap<&'static str, Told> {
    let mut all = BTreeMap::<_, Told>::new();
    for line in include_str!("ja4.txt").lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<_> = line.split(' ').collect();
        let [capture, addr, port, ja4] = words[..] else { panic!("{line}") };
        all.entry(capture).or_default().insert((addr.to_owned(), port.parse().unwrap(), ja4.to_owned()));
    }
    all
}

fn ours(capture: &str) -> Told {
    let records = run::records(&run::run(&["-r", capture, "--json"]).stdout);
    let told = run::of_kind(&records, "flow").into_iter().filter_map(|flow| {
        let ja4 = flow.pointer("/tls/client/ja4")?.as_str()?.to_owned();
        let source = &flow["source"];
        Some((source["ip"].as_str()?.to_owned(), source["port"].as_u64()?, ja4))
    });
    told.collect()
}

#[test]
#[expect(clippy::print_stderr, reason = "says what it leaves out")]
fn fingerprints_are_those_of_another_implementation() {
    let captures = run::shared().join("corpus/captures");
    if !captures.exists() {
        return eprintln!("skipped: no {}", captures.display());
    }
    let theirs = theirs();
    assert!(theirs.len() >= 10);
    for (capture, told) in theirs {
        assert_eq!(ours(captures.join(capture).to_str().unwrap()), told, "{capture}");
    }
}
