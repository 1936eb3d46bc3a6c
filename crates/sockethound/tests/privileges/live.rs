//! A live report with privileges, and without.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

use crate::process::{eventually, kill, lives, status};
use crate::program::{NOBODY, Program, is_root, root};

/// A live run, ended when dropped.
struct Run(Child);

impl Run {
    /// One that writes its records to `json`, and has begun when this returns.
    fn start(json: &Path, set_up: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sockethound"));
        command.args(["-i", "lo", "-t", "0.2"]).arg(format!("--json={}", json.display()));
        command.env_remove("SUDO_UID").env_remove("SUDO_GID").stdout(Stdio::piped()).process_group(0);
        set_up(&mut command);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("Network Traffic Summary"), "{line}");
        Self(child)
    }

    fn status(&self, field: &str) -> String {
        status(self.0.id(), field)
    }

    /// The process that looks up owners.
    fn service(&self) -> u32 {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.0.id())).unwrap();
        children.trim().parse().unwrap()
    }

    fn wait(&mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn without_privileges_the_exact_command_is_said() {
    let Some(program) = Program::new() else { return };
    let output = program.command().args(["--duration", "0.1"]).output().unwrap();
    if output.status.success() && !is_root() {
        println!("skipped: this user may capture");
        return;
    }
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    let path = fs::canonicalize(program.path()).unwrap();
    let all = "cap_net_raw,cap_sys_ptrace,cap_dac_read_search,cap_net_admin,cap_perfmon,cap_bpf";
    let command = format!("sudo setcap {all}+ep {}", path.display());
    assert_eq!(said.lines().count(), 1);
    assert!(said.contains("needs CAP_NET_RAW") && said.contains(&command), "{said}");
}

/// The soft limit of open files, and the hard one.
fn open_files(pid: u32) -> [u64; 2] {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let mut numbers = line.split_whitespace().map_while(|word| word.parse().ok());
    [(); 2].map(|()| numbers.next().unwrap())
}

#[test]
fn root_only_who_looks_into_every_namespace_opens_as_many_files_as_are_allowed() {
    if !root() {
        return;
    }
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(512), ..before }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = Run::start(&folder.path().join("records"), |_| {});
    let [soft, hard] = open_files(run.0.id());
    assert!(soft == 512 && hard > 512, "{soft} {hard}");
    assert_eq!(open_files(run.service()), [hard; 2]);
}

/// And the last report, which the terminal's Ctrl+C asks for, still has the owner of another user's socket.
#[test]
fn root_a_report_has_nothing_left_but_owners() {
    if !root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("out.json");
    // Who holds the socket is looked up: the kernel would tell who used it.
    let mut run = Run::start(&json, |command| {
        command.arg("--no-bpf").stderr(Stdio::null());
    });
    assert_eq!(run.status("Uid"), [NOBODY.to_string().as_str(); 4].join(" "));
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(run.status(set), "0000000000000000", "{set}");
    }
    assert_eq!(run.status("NoNewPrivs"), "1");
    assert_eq!(run.status("Seccomp"), "2");
    // Every thread, since all are younger.
    for task in fs::read_dir(format!("/proc/{}/task", run.0.id())).unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(status.contains("\nSeccomp:\t2\n") && status.contains("\nCapPrm:\t0000000000000000\n"));
    }

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let held = OwnedFd::from(socket.try_clone().unwrap());
    let mut holder = Command::new("sleep").arg("60").stdin(held).uid(33).gid(33).spawn().unwrap();
    socket.send_to(b"x", "127.0.0.1:9").unwrap();
    drop(socket);
    std::thread::sleep(Duration::from_millis(600));
    let service = run.service();
    kill(&["-INT", "--", &format!("-{}", run.0.id())]);
    assert_eq!(run.wait(), Some(0));
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually("the owner process ends", || !lives(service));

    let records = fs::read_to_string(&json).unwrap();
    let flows = records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let flow = flows.into_iter().find(|record| record["kind"] == "flow" && record["source"]["port"] == port);
    let flow = flow.unwrap_or_else(|| panic!("no flow from port {port}: {records}"));
    assert_eq!(flow["process"]["pid"], holder.id(), "{flow}");
    assert_eq!(flow["user"]["id"], 33, "{flow}");
}

#[test]
fn root_owners_are_looked_up_no_longer_than_asked_for() {
    if !root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::start(&folder.path().join("out.json"), |command| {
        command.stderr(Stdio::null());
    });
    let service = run.service();
    run.0.kill().unwrap();
    run.wait();
    eventually("the owner process ends", || !lives(service));
}

/// A rotation: the file is moved, and SIGHUP makes a new one where that can be; where not, that is said at the start.
#[test]
fn root_files_are_opened_again_where_they_can_be() {
    if !root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("out.json");
    let mut run = Run::start(&json, |command| {
        std::os::unix::fs::chown(folder.path(), Some(1000), Some(1000)).unwrap();
        command.env("SUDO_UID", "1000").env("SUDO_GID", "1000").stderr(Stdio::piped());
    });
    assert_eq!(run.status("Uid"), "1000 1000 1000 1000");
    let mut errors = BufReader::new(run.0.stderr.take().unwrap());
    fs::rename(&json, folder.path().join("moved.json")).unwrap();
    kill(&["-HUP", &run.0.id().to_string()]);
    let written =
        |json: &Path| fs::read_to_string(json).is_ok_and(|text| text.contains("\"kind\":\"summary\""));
    eventually("a new file", || written(&json));
    kill(&["-TERM", &run.0.id().to_string()]);
    assert_eq!(run.wait(), Some(0));
    let mut said = String::new();
    errors.read_line(&mut said).unwrap();
    assert_eq!(said, "");

    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("out.json");
    let mut run = Run::start(&json, |command| {
        command.stderr(Stdio::piped());
    });
    BufReader::new(run.0.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("warning: SIGHUP cannot open") && said.contains("out.json again"), "{said}");
    eventually("the file", || written(&json));
    kill(&["-TERM", &run.0.id().to_string()]);
    assert_eq!(run.wait(), Some(0));
}
