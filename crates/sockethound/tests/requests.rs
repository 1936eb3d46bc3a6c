//! Whom requests in clear ask for, as tshark 4.0 says it of the same captures.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod run;

use serde_json::Value;

fn records() -> Vec<Value> {
    let capture = run::root().join("fixtures/requests.pcap");
    run::records(&run::run(&["-r", capture.to_str().unwrap(), "--json"]).stdout)
}

/// `tshark -Y 'http.host || http2.headers.authority'`: each in order, with HTTP's ports.
#[test]
fn every_request_names_its_server() {
    let records = records();
    let names = run::of_kind(&records, "name").into_iter().map(|name| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&name["sockethound"]["name_source"]), text(&name["destination"]["domain"]))
    });
    let expected = [
        ("http", "one.example:8081"),
        ("http", "two.example"),
        ("http", "long.example"),
        ("http2", "three.example:8082"),
        ("http2", "four.example"),
        ("http2", "five.example"),
        ("http", "192.0.2.1:8081"),
        ("http2", "six.example"),
    ];
    assert_eq!(
        names.collect::<Vec<_>>(),
        expected.map(|(source, name)| (source.to_owned(), name.to_owned()))
    );
}

#[test]
fn flows_say_what_the_first_request_was() {
    let records = records();
    let flows = run::of_kind(&records, "flow");
    let of = |name: &str| flows.iter().find(|flow| flow["destination"]["domain"] == name).unwrap();
    let first = of("one.example");
    assert_eq!(first["network"]["protocol"], "http");
    assert_eq!(first["http"]["request"]["method"], "GET");
    assert_eq!(first["http"]["request"]["path_length"], "/index.html?q=1".len());
    assert_eq!(first["http"]["response"]["status_code"], 200);
    assert_eq!(first["user_agent"]["original"], "fixture/1");
    let second = of("four.example");
    assert_eq!((&second["network"]["protocol"], &second["http"]["version"]), (&"http2".into(), &"2".into()));
    assert_eq!(of("six.example")["network"]["protocol"], "http2", "it was upgraded");
}

/// `tshark -Y http.host -T fields -e ip.src -e udp.srcport -e tcp.srcport -e ip.dst -e udp.dstport -e tcp.dstport -e http.host`.
#[test]
fn names_in_tunnels_have_the_ends_of_both() {
    let capture = run::root().join("fixtures/vxlan.pcap");
    for more in [&[][..], &["--no-decap"]] {
        let arguments = [&["-r", capture.to_str().unwrap(), "--json"], more].concat();
        let records = run::records(&run::run(&arguments).stdout);
        let names = run::of_kind(&records, "name");
        let [name] = names[..] else { panic!("{names:?}") };
        let ends = |of: &Value| {
            [&of["source"]["ip"], &of["source"]["port"], &of["destination"]["ip"], &of["destination"]["port"]]
                .map(Value::to_string)
                .join(" ")
        };
        assert_eq!(ends(name), r#""192.168.17.20" 33219 "192.168.17.1" 4789"#);
        assert_eq!(
            (&name["network"]["iana_number"], &name["destination"]["domain"]),
            (&17.into(), &"10.42.0.1".into())
        );
        let flow = &name["sockethound"]["flow"];
        assert_eq!(ends(flow), r#""10.42.0.20" 34192 "10.42.0.1" 80"#);
        assert_eq!(flow["iana_number"], 6);
    }
}
