//! A real resolver that is asked over TLS and HTTPS by a real client.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::lab::{Lab, run, wait_until};
use crate::program::{Run, Running};

/// unbound in a namespace, with a certificate of its own; ends with the test.
struct Resolver {
    child: Child,
    _folder: TempDir,
}

/// What it is told; `DIR` is its folder, `ADDRESS` its address.
const CONFIGURATION: &str = r#"
server:
  interface: ADDRESS@53
  interface: ADDRESS@853
  interface: ADDRESS@443
  tls-port: 853
  https-port: 443
  tls-service-key: "DIR/key.pem"
  tls-service-pem: "DIR/certificate.pem"
  access-control: 0.0.0.0/0 allow
  username: ""
  chroot: ""
  directory: "DIR"
  pidfile: "DIR/pid"
  use-syslog: no
  module-config: "iterator"
  local-zone: "example.test." redirect
  local-data: "example.test. 300 A ADDRESS"
  local-zone: "resolver.arpa." static
  local-data: '_dns.resolver.arpa. 300 SVCB 1 dns.lab.example. alpn="h2,dot" ipv4hint=ADDRESS'
remote-control:
  control-enable: no
"#;

impl Resolver {
    fn start(lab: &Lab, side: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (key, certificate) = (place("key.pem"), place("certificate.pem"));
        let words =
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=dns.google";
        let words: Vec<_> = words.split(' ').chain(["-keyout", &key, "-out", &certificate]).collect();
        run("openssl", &words);
        let address = lab.filled("10.N.1.2");
        let text = CONFIGURATION.replace("ADDRESS", &address).replace("DIR", folder.path().to_str().unwrap());
        fs::write(place("unbound.conf"), text).unwrap();
        let mut command = Command::new("unbound");
        command.args(["-d", "-c", &place("unbound.conf")]).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = lab.within(side, move || command.spawn().expect("unbound is installed"));
        Resolver { child, _folder: folder }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What kdig, with these words, prints of the resolver's answers.
fn kdig(lab: &Lab, words: &str) -> String {
    let (space, server) = (lab.space("a"), lab.filled("10.N.1.2"));
    let server = format!("@{server}");
    let all = ["netns", "exec", &space, "kdig", &server, "+short"].into_iter();
    run("ip", &all.chain(words.split_whitespace()).collect::<Vec<_>>())
}

/// So many lookups over one connection, each answered.
fn ask(lab: &Lab, how: &str, count: usize) {
    let names: Vec<_> = (0..count).map(|n| format!("name{n}.example.test A")).collect();
    let said = kdig(lab, &format!("+keepopen {how} {}", names.join(" ")));
    assert_eq!(said.trim(), vec![lab.filled("10.N.1.2"); count].join("\n"), "{how}");
}

/// Kind, resolver, evidence and estimate of each flow of encrypted lookups.
fn told(run: &Run) -> Vec<(String, u64)> {
    let told = |flow: &Value| {
        let dns = flow["sockethound"].get("encrypted_dns")?;
        let word = |name: &str| dns[name].as_str().unwrap().to_owned();
        let text = [word("kind"), word("resolver"), word("by")].join(" ");
        Some((text, dns["estimated_queries"].as_u64().unwrap()))
    };
    let mut all: Vec<_> = run.flows().filter_map(told).collect();
    all.sort();
    all
}

#[test]
fn root_encrypted_lookups_are_told_by_resolver() {
    let Some(lab) = Lab::pair() else { return };
    let _resolver = Resolver::start(&lab, "b");
    wait_until("the resolver answers", || {
        lab.within("a", || TcpStream::connect(lab.at("10.N.1.2:853")).is_ok())
    });
    let running = Running::start(&lab, "a", "-i va");
    ask(&lab, "+tls", 10);
    ask(&lab, "+https +tls-sni=dns.google", 10);
    ask(&lab, "+https-get +tls-sni=dns.google", 10);
    // What the resolver itself announces in plain DNS.
    kdig(&lab, "_dns.resolver.arpa SVCB");
    ask(&lab, "+https +tls-sni=dns.lab.example", 1);
    ask(&lab, "", 1);
    let run = running.stop();
    let own = format!("dot {} alpn", lab.filled("10.N.1.2"));
    let told = told(&run);
    let names: Vec<_> = told.iter().map(|(text, _)| text.as_str()).collect();
    let mut expected =
        ["doh dns.google name", "doh dns.google name", "doh dns.lab.example announced", own.as_str()];
    expected.sort_unstable();
    assert_eq!(names, expected);
    for (text, queries) in &told {
        let asked = if text.contains("lab") { 1 } else { 10 };
        // How far off an estimate may be.
        assert!(queries.abs_diff(asked) <= 1, "{text}: ~{queries} of {asked}");
    }
    // The last report has a line for each resolver, below those of plain DNS.
    let report = run.stdout.rsplit("DNS Activity (including encrypted DNS):").next().unwrap();
    for words in ["example.test", "doh  dns.google", "dot  ", " flows, ", ", ~", " queries"] {
        assert!(report.contains(words), "{words:?} in {report}");
    }
}
