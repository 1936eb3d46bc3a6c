//! What the program says of its own privileges, with and without them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const NOBODY: u32 = 65534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A copy of the program that everybody may run.
struct Program {
    folder: TempDir,
}

impl Program {
    /// Where file capabilities count: some folders are mounted `nosuid`, others are closed to everybody else.
    fn new() -> Option<Self> {
        let built = Path::new(env!("CARGO_BIN_EXE_sockethound"));
        let places = [built.parent().unwrap(), Path::new("/var/tmp"), Path::new("/tmp")];
        for place in places {
            let Ok(folder) = tempfile::tempdir_in(place) else { continue };
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
            let program = Self { folder };
            fs::copy(built, program.path()).unwrap();
            if program.command().arg("--version").output().is_ok_and(|output| output.status.success()) {
                return Some(program);
            }
        }
        println!("skipped: there is no folder whose programs everybody may run");
        None
    }

    /// The program, run by an ordinary user.
    fn command(&self) -> Command {
        let mut command = Command::new(self.path());
        command.current_dir("/");
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("sockethound")
    }

    /// Gives the file capabilities; `false`, and a reason, where that cannot be.
    fn grant(&self, capabilities: &str) -> bool {
        let done = Command::new("setcap").arg(capabilities).arg(self.path()).output();
        let granted = done.is_ok_and(|output| output.status.success());
        if !granted {
            println!("skipped: setcap does not work here");
        }
        granted
    }

    fn doctor(&self, args: &[&str]) -> String {
        let output = self.command().arg("doctor").args(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self) -> Value {
        let text = self.doctor(&["--json"]);
        assert_eq!(text.lines().count(), 1);
        serde_json::from_str(&text).unwrap()
    }
}

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
    assert!(text.contains(" no  packets of interfaces: Operation not permitted (os error 1)\n"), "{text}");
    assert!(text.contains("yes  owners: processes of this user: ready in "), "{text}");
    assert!(text.ends_with(&format!("\nMore works after: {command}\n")), "{text}");
}

#[test]
fn root_what_the_file_is_given_works() {
    if !is_root() {
        println!("skipped: needs root");
        return;
    }
    let Some(program) = Program::new() else { return };
    // Capture alone: a process with more than its user has is hidden from its user's others.
    if !program.grant("cap_net_raw+ep") {
        return;
    }
    let report = program.json();
    assert_eq!(report["user"]["id"], NOBODY);
    assert_eq!(report["sockethound"]["capabilities"], serde_json::json!(["cap_net_raw"]));
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
    if !is_root() {
        println!("skipped: needs root");
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
    for name in ["capture", "owners", "other_users", "landlock", "seccomp"] {
        assert_eq!(probe(&report, name)["works"], true, "{name}: {report}");
    }
}

#[test]
fn the_owner_process_is_nobodys_to_start() {
    let output = Command::new(env!("CARGO_BIN_EXE_sockethound"))
        .arg("owner-service")
        .stdin(std::process::Stdio::null())
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
