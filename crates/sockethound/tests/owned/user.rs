//! Processes that use sockets: the program in `sockets/`, built once, run under names that the test knows.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::lab::Lab;

/// Sets what may have spaces in it.
pub(crate) fn sysctl(lab: &Lab, side: &str, setting: &str) {
    crate::lab::run("ip", &["netns", "exec", &lab.space(side), "sysctl", "-qw", setting]);
}

/// A flow that was made: whose it is, and its own port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) pid: u32,
    pub(crate) port: u16,
}

/// The built program, in a folder of its own.
pub(crate) struct User {
    folder: TempDir,
}

impl User {
    /// `None`, with a reason, where there is no compiler.
    #[allow(clippy::print_stderr)]
    pub(crate) fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let sources = ["main", "clients", "hands", "rings", "servers", "much", "verdicts"]
            .map(|name| format!("{}/tests/owned/sockets/{name}.c", env!("CARGO_MANIFEST_DIR")));
        let built = folder.path().join("sockets");
        let done = Command::new("cc").args(["-O1", "-o"]).arg(&built).args(sources).output();
        match done {
            Ok(output) if output.status.success() => Some(Self { folder }),
            Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => {
                eprintln!("skipped: no C compiler: {error}");
                None
            }
        }
    }

    /// Its path under another name, which becomes the process's.
    pub(crate) fn named(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        if !path.exists() {
            symlink(self.folder.path().join("sockets"), &path).unwrap();
        }
        path
    }

    fn command(&self, lab: &Lab, name: &str, words: &str) -> Command {
        let mut command = Command::new(self.named(name));
        command.args(lab.filled(words).split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// Runs one to its end; the flows that it made.
    pub(crate) fn run(&self, lab: &Lab, side: &str, name: &str, words: &str) -> Vec<Made> {
        let mut command = self.command(lab, name, words);
        let output = lab.within(side, move || command.output().unwrap());
        assert!(output.status.success(), "{name} {words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(made).collect()
    }

    /// Starts one that listens; its port is known.
    pub(crate) fn serve(&self, lab: &Lab, side: &str, name: &str, words: &str) -> Server {
        let mut command = self.command(lab, name, words);
        command.stdin(Stdio::piped());
        let mut child = lab.within(side, move || command.spawn().unwrap());
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("{name} {words}: {line}"));
        Server { input: child.stdin.take(), child, output, port }
    }
}

fn made(line: &str) -> Made {
    let (pid, port) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
    Made { pid: pid.parse().unwrap(), port: port.parse().unwrap() }
}

/// A process that listens; ends with the test.
pub(crate) struct Server {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pub(crate) port: u16,
}

impl Server {
    /// What it has answered for, when it has ended by itself.
    pub(crate) fn made(mut self) -> Made {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        made(line.trim())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A cgroup (version 2) that is gone with the test; `None` where none can be made.
pub(crate) struct Cgroup(PathBuf);

impl Cgroup {
    pub(crate) fn new(name: &str) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let root = mounts.lines().find(|line| line.contains(" - cgroup2 "))?.split(' ').nth(4)?;
        let path = PathBuf::from(root).join(name);
        fs::create_dir(&path).ok()?;
        Some(Self(path))
    }

    pub(crate) fn procs(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
