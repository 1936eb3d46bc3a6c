//! What clients say of themselves and whom they ask for, from recorded handshakes to records.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod run;

use run::{fixture, of_kind, records, run};
use serde_json::Value;

/// The flow records of a fixture, in order.
fn flows(name: &str) -> Vec<Value> {
    let output = run(&["-r", &fixture(name), "--json"]);
    assert!(output.status.success(), "{output:?}");
    of_kind(&records(&output.stdout), "flow").into_iter().cloned().collect()
}

/// Server name and JA4 of each flow, by the client's port, where it has either.
fn hellos(name: &str) -> Vec<(u64, String)> {
    let said =
        |flow: &Value, path: &str| flow.pointer(path).and_then(Value::as_str).unwrap_or("-").to_owned();
    let line =
        |flow: &Value| format!("{} {}", said(flow, "/tls/client/server_name"), said(flow, "/tls/client/ja4"));
    let mut hellos: Vec<_> =
        flows(name).iter().map(|f| (f["source"]["port"].as_u64().unwrap(), line(f))).collect();
    hellos.retain(|(_, line)| line != "- -");
    hellos.sort();
    hellos
}

/// Server names by tshark 4.0; fingerprints by ja4plus 1.4.0 (PyPI). Of DTLS, QUIC version 2 and the hello that is cut
/// into records, which it does not read, from the values that tshark lays out.
fn assert_hellos(name: &str, expected: &[(u64, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(port, line)| (*port, (*line).to_owned())).collect();
    assert_eq!(hellos(name), expected, "{name}");
}

#[test]
fn tls() {
    assert_hellos(
        "tls.pcap",
        &[
            (43934, "tls13.example.org t13d3111h2_e8f1e7e78f70_1f22a2ca17c4"),
            (43940, "tls12.example.org t12d2808h2_d943125447b4_e7e480e5a997"),
            (43954, "tls12.example.org t12d280700_d943125447b4_e7e480e5a997"),
            (43964, "- t12i280600_d943125447b4_e7e480e5a997"),
            (43968, "split.example.org t13d3111a1_e8f1e7e78f70_1f22a2ca17c4"),
            (54170, "again.example.org t13d311000_e8f1e7e78f70_1f22a2ca17c4"),
        ],
    );
}

#[test]
fn dtls() {
    assert_hellos(
        "dtls.pcap",
        &[
            (35113, "pieces.example.org dd2d2808p1_d943125447b4_e7e480e5a997"),
            (42902, "cookie.example.org dd2d2808wc_d943125447b4_e7e480e5a997"),
        ],
    );
}

#[test]
fn quic() {
    assert_hellos(
        "quic.pcap",
        &[
            (36465, "one.example.org q13d0307h3_55b375c5d22e_1cecd519fee8"),
            (41629, "two.example.org q13d0307h3_55b375c5d22e_1cecd519fee8"),
            (43479, "retry.example.org q13d0307h3_55b375c5d22e_1cecd519fee8"),
            (55931, "negotiated.example.org q13d0307h3_55b375c5d22e_1cecd519fee8"),
            (59289, "split.example.org q13d0307h3_55b375c5d22e_1cecd519fee8"),
        ],
    );
    let versions: Vec<_> = flows("quic.pcap").iter().map(|f| f["quic"]["version"].clone()).collect();
    assert_eq!(versions, ["1", "2", "1", "1", "2"]);
}

#[test]
fn quic_before_it_was_a_standard() {
    // As tshark 4.0 has them.
    let seen: Vec<_> = flows("quic-before-rfc.pcap")
        .iter()
        .map(|f| (f["quic"]["version"].clone(), f["tls"]["client"]["server_name"].clone()))
        .collect();
    let expected =
        [("mvfst 01", "graph.facebook.com"), ("T050", "fonts.googleapis.com"), ("T051", "www.google.com")];
    assert_eq!(seen, expected.map(|(version, name)| (Value::from(version), Value::from(name))));
}

#[test]
fn starttls() {
    assert_hellos(
        "starttls.pcap",
        &[
            (33684, "ftp.example.org t13d311000_e8f1e7e78f70_1f22a2ca17c4"),
            (35610, "postgres.example.org t13d311000_e8f1e7e78f70_1f22a2ca17c4"),
            (37192, "mysql.example.org t13d311000_e8f1e7e78f70_1f22a2ca17c4"),
            (42006, "smtp.example.org t13d311000_e8f1e7e78f70_1f22a2ca17c4"),
            (46996, "xmpp.example.org t13d311000_e8f1e7e78f70_1f22a2ca17c4"),
            (49742, "imap.example.org t13d311000_e8f1e7e78f70_1f22a2ca17c4"),
            (60276, "pop3.example.org t13d311000_e8f1e7e78f70_1f22a2ca17c4"),
        ],
    );
    let protocols: Vec<_> = flows("starttls.pcap").iter().map(|f| f["network"]["protocol"].clone()).collect();
    assert_eq!(protocols, ["smtp", "imap", "pop3", "ftp", "xmpp", "postgresql", "mysql"]);
}

#[test]
fn servers_say_what_they_chose_and_who_they_are() {
    let flows = flows("tls.pcap");
    let said =
        |path: &str| flows.iter().map(|f| f.pointer(path).cloned().unwrap_or_default()).collect::<Vec<_>>();
    // As tshark 4.0 has them. The last server but one asks for another hello, the last one answers with an alert.
    assert_eq!(said("/tls/version")[..5], ["1.3", "1.2", "1.2", "1.2", "1.3"].map(Value::from));
    let (gcm, ecdhe) = ("TLS_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
    assert_eq!(said("/tls/cipher")[..5], [gcm, ecdhe, ecdhe, ecdhe, gcm].map(Value::from));
    assert_eq!(said("/tls/version")[5], Value::Null);
    assert_eq!(said("/tls/next_protocol")[1], "h2");
    assert_eq!(said("/tls/server/hello_retry")[4], true);
    let names = said("/tls/server/x509/alternative_names");
    assert_eq!(names[1], serde_json::json!(["www.example.org", "*.example.org"]));
    assert_eq!(said("/tls/server/x509/subject/common_name")[3], serde_json::json!(["www.example.org"]));
    // A resumed session shows none, and neither does TLS 1.3.
    assert_eq!([&names[0], &names[2]], [&Value::Null; 2]);
}
