//! A process under test, and what the kernel says of it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// This program in a role, ended when dropped.
pub(crate) struct Subject {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Subject {
    /// Starts it, and gives what it says first.
    pub(crate) fn start(role: &str, set_up: impl FnOnce(&mut Command)) -> (Self, String) {
        // Not by its path, whose folders may be closed to other users.
        Self::start_by(Command::new("/proc/self/exe"), role, set_up)
    }

    /// One in a network namespace.
    pub(crate) fn within(namespace: &str, role: &str, set_up: impl FnOnce(&mut Command)) -> (Self, String) {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(std::env::current_exe().unwrap());
        Self::start_by(command, role, set_up)
    }

    fn start_by(mut command: Command, role: &str, set_up: impl FnOnce(&mut Command)) -> (Self, String) {
        command.args(["role", role]).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.env_remove("SUDO_UID").env_remove("SUDO_GID");
        set_up(&mut command);
        let mut child = command.spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut subject = Self { child, answers };
        let first = subject.line();
        (subject, first)
    }

    /// One that is `uid`'s.
    pub(crate) fn of_user(role: &str, uid: u32) -> (Self, String) {
        Self::start(role, |command| {
            command.uid(uid).gid(uid);
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it answers.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        self.line()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "it ended: {:?}", self.child.try_wait());
        line.trim_end().to_owned()
    }

    /// Ends it as nothing can be prepared for.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The process that it started.
    pub(crate) fn offspring(&self) -> u32 {
        let children = format!("/proc/{0}/task/{0}/children", self.pid());
        fs::read_to_string(children).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A field of `/proc/PID/status`.
pub(crate) fn status(pid: u32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {field}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A set of capabilities there.
pub(crate) fn capabilities(pid: u32, set: &str) -> u64 {
    u64::from_str_radix(&status(pid, set), 16).unwrap()
}

/// Waits until something holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the process runs, or could.
pub(crate) fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
