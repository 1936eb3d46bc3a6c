//! What the program says that it may do.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::program::{NOBODY, Program, root};

fn probe<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rows = report["sockethound"]["probes"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap()
}

#[test]
fn without_privileges_the_command_is_named() {
    let Some(program) = Program::new() else { return };
    let report = program.json();
    let capture = probe(&report, "capture");
    if capture["works"] == true {
        println!("skipped: this user may capture");
        return;
    }
    assert_eq!(capture["errno"], libc::EPERM);
    assert_eq!(probe(&report, "owners")["works"], true, "of one's own processes");
    let path = fs::canonicalize(program.path()).unwrap();
    let command = report["sockethound"]["command"].as_str().unwrap();
    assert!(command.contains(path.to_str().unwrap()), "{command}");

    let text = program.doctor(&[]);
    assert!(
        text.contains(
            " no  packets of interfaces: Operation not permitted (os error 1); takes cap_net_raw\n"
        ),
        "{text}"
    );
    assert!(text.contains("yes  owners: processes of this user: ready in "), "{text}");
    assert!(text.ends_with(&format!("\nMore works after: {command}\n")), "{text}");
}

#[test]
fn root_what_the_file_is_given_works() {
    if !root() {
        return;
    }
    let Some(program) = Program::new() else { return };
    // Capture alone: a process with more than its user has is hidden from its user's others.
    if !program.grant("cap_net_raw+ep") {
        return;
    }
    let report = program.json();
    assert_eq!(report["user"]["id"], NOBODY);
    assert_eq!(report["sockethound"]["capabilities"], json!(["cap_net_raw"]));
    assert_eq!(probe(&report, "capture")["works"], true);
    assert_eq!(probe(&report, "owners")["works"], true);
    assert_eq!(probe(&report, "other_users")["works"], false);

    assert!(program.grant("cap_net_raw,cap_sys_ptrace,cap_dac_read_search+ep"));
    let report = program.json();
    for name in ["capture", "owners", "other_users"] {
        assert_eq!(probe(&report, name)["works"], true, "{name}: {report}");
    }
    assert_eq!(probe(&report, "conntrack")["errno"], libc::EPERM);
}

/// What the unit gives the service, without systemd.
#[test]
fn root_what_the_unit_grants_is_enough() {
    if !root() {
        return;
    }
    let Some(program) = Program::new() else { return };
    let unit =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../dist/sockethound.service")).unwrap();
    let setting =
        |name: &str| unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap();
    let granted = setting("AmbientCapabilities").to_lowercase();
    assert_eq!(setting("CapabilityBoundingSet").to_lowercase(), granted);
    let sets: Vec<String> = granted.split(' ').map(|name| name.replace("cap_", "+")).collect();
    let sets = format!("-all,{}", sets.join(","));
    let output = Command::new("setpriv")
        .args(["--reuid=33", "--regid=33", "--clear-groups", "--no-new-privs"])
        .args(["--inh-caps", &sets, "--ambient-caps", &sets, "--bounding-set", &sets])
        .arg(program.path())
        .args(["doctor", "--json"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    for name in ["capture", "owners", "other_users", "conntrack", "landlock", "seccomp"] {
        assert_eq!(probe(&report, name)["works"], true, "{name}: {report}");
    }
    // Where the kernel lets anybody do this.
    let events = probe(&report, "kernel_events");
    assert!(
        events["works"] == true || !events["reason"].as_str().unwrap().contains("not permitted"),
        "{events}"
    );
}

/// Most containers have no more; processes of the container's own root are its root's to read.
#[test]
fn root_in_a_container_owners_are_found() {
    if !root() {
        return;
    }
    let Some(program) = Program::new() else { return };
    let sets = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,\
        +sys_chroot,+mknod,+audit_write,+setfcap";
    let output = Command::new("setpriv")
        .args(["--bounding-set", sets])
        .arg(program.path())
        .args(["doctor", "--json"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    for name in ["capture", "owners", "landlock", "seccomp"] {
        assert_eq!(probe(&report, name)["works"], true, "{name}: {report}");
    }
    let command = report["sockethound"]["command"].as_str().unwrap();
    assert!(command.starts_with("from where ") && command.contains("--cap-add=SYS_PTRACE"));
}

#[test]
fn the_owner_process_is_nobodys_to_start() {
    let output = Command::new(env!("CARGO_BIN_EXE_sockethound"))
        .arg("owner-service")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("started by sockethound itself"), "{said}");
    let help = Command::new(env!("CARGO_BIN_EXE_sockethound")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("doctor") && !help.contains("owner-service"), "{help}");
}
