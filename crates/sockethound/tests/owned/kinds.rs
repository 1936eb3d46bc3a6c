//! Every kind of socket, each used by a process that ends at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::lab::Lab;
use crate::program::{Run, Running, end};
use crate::user::{Cgroup, Made, User, sysctl};

/// Long enough for packets to be counted and flows to be asked about.
pub(crate) fn settle() {
    std::thread::sleep(Duration::from_millis(700));
}

/// The one flow of this transport that has this end.
fn flow<'a>(run: &'a Run, transport: &str, at: SocketAddr) -> &'a Value {
    let has = |flow: &&Value| {
        flow["network"]["transport"] == transport
            && [&flow["source"], &flow["destination"]].iter().any(|side| end(side) == at)
    };
    let found: Vec<_> = run.flows().filter(has).collect();
    assert_eq!(found.len(), 1, "{transport} {at}: {found:#?} of {:#?}", run.flows().collect::<Vec<_>>());
    found[0]
}

/// The kernel told that the flow is this process's.
pub(crate) fn told(flow: &Value, pid: u32, name: &str) {
    assert_eq!((&flow["process"]["pid"], &flow["process"]["name"]), (&pid.into(), &name.into()), "{flow:#}");
    assert_eq!(flow["sockethound"]["attribution"]["source"], "bpf", "{flow:#}");
    assert_eq!(flow["sockethound"]["attribution"]["confidence"], "exact", "{flow:#}");
    assert_eq!(flow["user"]["id"], 0, "{flow:#}");
}

#[test]
fn root_every_kind_of_client() {
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    lab.add_v6("a", "va", "fd00:N::1/64");
    lab.add_v6("b", "vb", "fd00:N::2/64");
    let v4 = user.serve(&lab, "b", "the-server", "sink 10.N.1.2 0");
    let v6 = user.serve(&lab, "b", "the-server", "sink fd00:N::2 0");
    let running = Running::start(&lab, "a", "-i va");
    let (four, six) = (format!("10.N.1.2 {}", v4.port), format!("fd00:N::2 {}", v6.port));
    let mapped = format!("::ffff:10.N.1.2 {}", v4.port);
    let mut clients: Vec<(String, &str, &str, Vec<Made>)> = Vec::new();
    for (kind, transport) in [
        ("tcp", "tcp"),
        ("silent", "tcp"),
        ("udp", "udp"),
        ("unconnected", "udp"),
        ("udplite", "udplite"),
        ("inherited", "tcp"),
        ("passed", "tcp"),
        ("inherited-udp", "udp"),
        ("passed-udp", "udp"),
        ("uring", "tcp"),
        ("uring-thread", "tcp"),
    ] {
        for (version, to) in [("4", &four), ("6", &six), ("m", &mapped)] {
            let name = format!("{kind}-{version}");
            let made = user.run(&lab, "a", &name, &format!("{kind} {to}"));
            let near = if version == "6" { "fd00:N::1" } else { "10.N.1.1" };
            clients.push((name, transport, near, made));
        }
    }
    settle();
    let run = running.stop();
    for (name, transport, near, made) in clients {
        assert_eq!(made.len(), 1, "{name}");
        let at = SocketAddr::new(lab.filled(near).parse().unwrap(), made[0].port);
        told(flow(&run, transport, at), made[0].pid, &name);
    }
    let ledger = run.ledger("va");
    assert_eq!(ledger["unknown"]["packets"], 0, "{ledger}");
}

/// One socket, fifty flows.
#[test]
fn root_many_destinations() {
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let running = Running::start(&lab, "a", "-i va");
    let made = user.run(&lab, "a", "the-resolver", "destinations 10.N.1.2 5000");
    settle();
    let run = running.stop();
    let from = lab.at(&format!("10.N.1.1:{}", made[0].port));
    let flows: Vec<_> = run.flows().filter(|flow| end(&flow["source"]) == from).collect();
    assert_eq!(flows.len(), 50);
    for flow in flows {
        told(flow, made[0].pid, "the-resolver");
    }
}

/// Protocols without ports; each in a run of its own, since a flow is all that passes between two addresses.
#[test]
fn root_sockets_without_ports() {
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    sysctl(&lab, "a", "net.ipv4.ping_group_range=0 2147483647");
    for (kind, number) in [("raw", 253), ("raw-ping", 1), ("ping", 1)] {
        let running = Running::start(&lab, "a", "-i va");
        let made = user.run(&lab, "a", kind, &format!("{kind} 10.N.1.2 0"));
        settle();
        let run = running.stop();
        let of = |flow: &&Value| flow["network"]["iana_number"] == number;
        let flows: Vec<_> = run.flows().filter(of).collect();
        assert_eq!(flows.len(), 1, "{kind}: {flows:#?}");
        told(flows[0], made[0].pid, kind);
    }
}

/// Who accepts, whoever listens.
#[test]
fn root_every_kind_of_server() {
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let running = Running::start(&lab, "b", "-i vb");
    let mut servers = BTreeMap::new();
    for kind in ["accepts", "forks", "activated"] {
        let server = user.serve(&lab, "b", kind, &format!("{kind} 10.N.1.2 0"));
        let port = server.port;
        user.run(&lab, "a", "the-client", &format!("tcp 10.N.1.2 {port}"));
        servers.insert(kind, (port, server.made()));
    }
    settle();
    let run = running.stop();
    for (kind, (port, made)) in servers {
        let flow = flow(&run, "tcp", lab.at(&format!("10.N.1.1:{}", made.port)));
        assert_eq!(end(&flow["destination"]).port(), port);
        told(flow, made.pid, kind);
        let (_, from_server) = crate::program::packets(flow);
        assert!(from_server > 0);
    }
}

/// What a process is called when it uses the socket is what counts, not what it is called later.
#[test]
fn root_another_program_is_executed() {
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let server = user.serve(&lab, "b", "the-server", "sink 10.N.1.2 0");
    let other = user.named("the-second");
    let running = Running::start(&lab, "a", "-i va");
    let to = format!("10.N.1.2 {} {}", server.port, other.display());
    let goes_on = user.run(&lab, "a", "the-first", &format!("executed {to}"));
    let closed = user.run(&lab, "a", "the-first", &format!("closed-before {to}"));
    settle();
    let run = running.stop();
    let at = |made: &[Made]| lab.at(&format!("10.N.1.1:{}", made[0].port));
    told(flow(&run, "tcp", at(&goes_on)), goes_on[0].pid, "the-second");
    let before = flow(&run, "tcp", at(&closed));
    told(before, closed[0].pid, "the-first");
    assert!(before["process"]["executable"].as_str().unwrap().ends_with("/the-first"), "{before:#}");
    let executed = format!(" closed-before {}", lab.filled(&to));
    assert!(before["process"]["command_line"].as_str().unwrap().ends_with(&executed), "{before:#}");
}

#[test]
fn root_a_pid_that_is_used_again() {
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let server = user.serve(&lab, "b", "the-server", "sink 10.N.1.2 0");
    let running = Running::start(&lab, "a", "-i va");
    let made = user.run(&lab, "a", "the-parent", &format!("reused 10.N.1.2 {}", server.port));
    settle();
    let run = running.stop();
    assert_eq!(made.len(), 2);
    assert_eq!(made[0].pid, made[1].pid);
    for (made, name) in made.iter().zip(["reused-one", "reused-two"]) {
        told(flow(&run, "tcp", lab.at(&format!("10.N.1.1:{}", made.port))), made.pid, name);
    }
}

/// A flow that passes through this host belongs to the process in the container, even if that is gone at once; and the
/// container is known by its cgroup.
#[test]
fn root_a_client_in_another_namespace_and_cgroup() {
    let (Some(lab), Some(user)) = (Lab::routed(), User::new()) else { return };
    let id = "c0ffee".repeat(10) + "c0ff";
    let Some(cgroup) = Cgroup::new(&format!("docker-{id}.scope")) else {
        return eprintln_skipped("no cgroup can be made");
    };
    let server = user.serve(&lab, "s", "the-server", "sink 10.N.2.1 0");
    let running = Running::start(&lab, "r", "");
    let client = user.named("in-container");
    let script = format!(
        "echo $$ > {} && exec {} tcp {} {}",
        cgroup.procs().display(),
        client.display(),
        lab.filled("10.N.2.1"),
        server.port
    );
    let output = lab.within("c", || Command::new("sh").args(["-c", &script]).output().unwrap());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (pid, port) = text.trim().split_once(' ').unwrap();
    settle();
    let run = running.stop();
    let flow = flow(&run, "tcp", lab.at(&format!("10.N.1.1:{port}")));
    told(flow, pid.parse().unwrap(), "in-container");
    assert_eq!(flow["container"]["id"], id.as_str(), "{flow:#}");
}

/// Who lets a packet go on (NFQUEUE) runs when it is sent, but it is not who sends it.
#[test]
fn root_a_packet_that_waits_for_a_verdict() {
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let rule = "-A OUTPUT -p udp -j NFQUEUE --queue-num 7";
    let mut command = Command::new("iptables-legacy");
    command.args(rule.split(' '));
    if !lab.within("a", move || command.status()).is_ok_and(|status| status.success()) {
        return eprintln_skipped("needs iptables with NFQUEUE");
    }
    let judge = user.serve(&lab, "a", "the-judge", "verdicts 10.N.1.1 7");
    let running = Running::start(&lab, "a", "-i va");
    let mut made = Vec::new();
    for (kind, name) in [("udp", "one"), ("unconnected", "two"), ("inherited-udp", "three")] {
        made.push((name, user.run(&lab, "a", name, &format!("{kind} 10.N.1.2 9"))[0]));
    }
    settle();
    let run = running.stop();
    drop(judge);
    for (name, made) in made {
        let flow = flow(&run, "udp", lab.at(&format!("10.N.1.1:{}", made.port)));
        assert_eq!(flow["process"]["name"], name, "{flow:#}");
    }
    let judges = |r: &&Value| r["kind"] == "process" && r["process"]["name"] == "the-judge";
    assert_eq!(run.records.iter().find(judges), None);
}

#[allow(clippy::print_stderr)]
fn eprintln_skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// Of a process with very many files not all are looked at: whoever sends through a socket that is not among the first is taken
/// to have it.
#[test]
fn root_a_socket_among_very_many_files() {
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let running = Running::start(&lab, "a", "-i va");
    let made = user.run(&lab, "a", "the-heir", "inherited-far-udp 10.N.1.2 9")[0];
    settle();
    let run = running.stop();
    told(flow(&run, "udp", lab.at(&format!("10.N.1.1:{}", made.port))), made.pid, "the-heir");
}

/// A five-tuple that another process takes over is another flow.
#[test]
fn root_a_port_that_is_used_again() {
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    sysctl(&lab, "a", "net.ipv4.ip_local_port_range=40000 40001");
    let running = Running::start(&lab, "a", "-i va");
    let mut made = Vec::new();
    for name in ["one", "two", "three", "four"] {
        made.push((name, user.run(&lab, "a", name, "udp 10.N.1.2 9")[0]));
        settle();
    }
    let run = running.stop();
    let flows: Vec<_> = run.flows().filter(|flow| flow["network"]["transport"] == "udp").collect();
    assert_eq!(flows.len(), made.len(), "{flows:#?}");
    for (name, made) in made {
        let pid: Value = made.pid.into();
        let flow =
            flows.iter().find(|flow| flow["process"]["pid"] == pid).unwrap_or_else(|| panic!("{flows:#?}"));
        told(flow, made.pid, name);
        assert_eq!(end(&flow["source"]).port(), made.port);
        assert_eq!(flow["network"]["packets"], 1);
    }
}
