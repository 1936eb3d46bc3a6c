//! With fewer privileges the kernel tells less: each rung of the ladder, and what it is good for.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::kinds::settle;
use crate::lab::{Lab, wait_until};
use crate::user::User;

/// What a run with these capabilities said on standard error, and its records.
fn run(lab: &Lab, user: &User, capabilities: &[&str], port: u16) -> (String, Vec<Value>) {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = folder.path().join("sockethound");
    fs::copy(env!("CARGO_BIN_EXE_sockethound"), &program).unwrap();
    let place = |name: &str| folder.path().join(name);
    let sets = format!("-all,+{}", capabilities.join(",+"));
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"])
        .args(["--inh-caps", &sets, "--ambient-caps", &sets, "--bounding-set", &sets])
        .arg(&program)
        .args(["-i", "va", "-t", "0.25", "--duration", "60"])
        .arg(format!("--json={}", place("json").display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(place("stderr")).unwrap());
    let mut child = lab.within("a", move || command.spawn().unwrap());
    let text = |name: &str| fs::read_to_string(place(name)).unwrap_or_default();
    wait_until("the program captures", || {
        assert!(child.try_wait().unwrap().is_none(), "{}", text("stderr"));
        text("json").contains('\n')
    });
    user.run(lab, "a", "client-at-once", &format!("tcp 10.N.1.2 {port}"));
    user.run(lab, "a", "sender-at-once", "unconnected 10.N.1.2 9");
    settle();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(child.wait().unwrap().success(), "{}", text("stderr"));
    (text("stderr"), text("json").lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Who tells owners.
fn told_by(records: &[Value]) -> &str {
    records[0]["sockethound"]["owners_from"].as_str().unwrap()
}

/// Who tells owners, and the names of the owners of the TCP and the UDP flow.
fn owners(records: &[Value]) -> (&str, Option<&str>, Option<&str>) {
    let owner = |transport: &str| {
        let of_it = |flow: &&Value| flow["kind"] == "flow" && flow["network"]["transport"] == transport;
        records.iter().find(of_it).unwrap()["process"]["name"].as_str()
    };
    (told_by(records), owner("tcp"), owner("udp"))
}

#[test]
fn root_each_rung() {
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let server = user.serve(&lab, "b", "the-server", "sink 10.N.1.2 0");
    let port = server.port;
    let (client, sender) = (Some("client-at-once"), Some("sender-at-once"));

    let (said, records) = run(&lab, &user, &["net_raw", "bpf", "net_admin", "perfmon"], port);
    assert!(!said.contains("the kernel tells"), "{said}");
    assert_eq!(owners(&records), ("bpf", client, sender));

    // Without cgroups: connections only.
    let (said, records) = run(&lab, &user, &["net_raw", "bpf", "perfmon"], port);
    assert!(said.contains("tells no owners of UDP sockets without a peer"), "{said}");
    assert_eq!(owners(&records), ("bpf", client, None));

    // Without tracing: sockets are seen, but only their process's number, which is nobody's by then.
    let (said, records) = run(&lab, &user, &["net_raw", "bpf", "net_admin"], port);
    assert!(said.contains("tells no owners of sockets that were accepted or passed on"), "{said}");
    assert_eq!(told_by(&records), "bpf");

    for capabilities in [&["net_raw", "bpf"][..], &["net_raw"]] {
        let (said, records) = run(&lab, &user, capabilities, port);
        assert!(said.contains("tells no owners of sockets that end before they are looked up"), "{said}");
        assert!(said.contains("Operation not permitted"), "{said}");
        assert_eq!(owners(&records), ("sock_diag", None, None));
        assert_eq!(said.lines().filter(|line| line.contains("the kernel tells")).count(), 1, "{said}");
    }
}

#[test]
fn root_no_bpf_loads_nothing() {
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let running = crate::program::Running::start(&lab, "a", "-i va --no-bpf");
    user.run(&lab, "a", "sender-at-once", "unconnected 10.N.1.2 9");
    settle();
    let run = running.stop();
    assert_eq!(told_by(&run.records), "sock_diag");
    let udp = run.flows().find(|flow| flow["network"]["transport"] == "udp").unwrap();
    assert!(udp["process"].is_null(), "{udp:#}");
    assert!(!run.stderr.contains("kernel"), "{}", run.stderr);
}
