//! The tests, and what runs them.

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use tempfile::TempDir;

use crate::role::INTERFACE;
use crate::subject::{Subject, capabilities, eventually, lives, status};

const NET_RAW: u64 = 1 << 13;
const SYS_PTRACE: u64 = 1 << 19;
const DAC_READ_SEARCH: u64 = 1 << 2;
const NOBODY: u32 = 65534;

const TESTS: [(&str, fn()); 7] = [
    ("root_a_confined_process_has_nothing_left", root_a_confined_process_has_nothing_left),
    ("root_it_becomes_who_invoked_sudo", root_it_becomes_who_invoked_sudo),
    ("root_files_are_those_that_were_named", root_files_are_those_that_were_named),
    ("root_owners_are_found_from_inside", root_owners_are_found_from_inside),
    ("root_the_owner_process_ends_with_whoever_asks", root_the_owner_process_ends_with_whoever_asks),
    ("root_an_interface_that_comes_again_is_captured", root_an_interface_that_comes_again_is_captured),
    ("an_ordinary_user_is_confined_too", an_ordinary_user_is_confined_too),
];

/// Runs those whose names contain a word of `filter`, in the manner of cargo's own harness.
pub(crate) fn run(filter: &[&str]) -> ExitCode {
    let words: Vec<&&str> = filter.iter().filter(|word| !word.starts_with("--")).collect();
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(**word));
    let tests: Vec<_> = TESTS.iter().filter(|(name, _)| chosen(name)).collect();
    if filter.contains(&"--list") {
        for (name, _) in tests {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", tests.len());
    let mut failed = 0;
    for (name, test) in &tests {
        let passed = catch_unwind(test).is_ok();
        failed += usize::from(!passed);
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
    }
    let (verdict, passed, left) =
        (if failed == 0 { "ok" } else { "FAILED" }, tests.len() - failed, TESTS.len() - tests.len());
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {left} filtered out\n"
    );
    ExitCode::from(u8::from(failed > 0))
}

/// Whether the test may run; prints why not.
fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: needs root");
    }
    root
}

/// A folder that everybody may write to, with an output and a data file.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new(mode: u32) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let files = Self { folder };
        for name in ["out.json", "data", "other"] {
            fs::write(files.path(name), "x").unwrap();
            fs::set_permissions(files.path(name), fs::Permissions::from_mode(0o666)).unwrap();
        }
        fs::set_permissions(files.folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn confine(&self) -> String {
        format!("confine {} {}", self.path("out.json").display(), self.path("data").display())
    }
}

fn denied(answer: &str) {
    assert_eq!(answer, "PermissionDenied");
}

fn root_a_confined_process_has_nothing_left() {
    if !root() {
        return;
    }
    let files = Files::new(0o777);
    let (mut subject, _) = Subject::start("confined", |_| ());
    assert_eq!(subject.ask(&files.confine()), "");
    let pid = subject.pid();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(capabilities(pid, set), 0, "{set}");
    }
    for ids in ["Uid", "Gid"] {
        assert_eq!(status(pid, ids), [NOBODY.to_string().as_str(); 4].join(" "));
    }
    assert_eq!(status(pid, "Groups"), "");
    assert_eq!(status(pid, "NoNewPrivs"), "1");
    assert_eq!(status(pid, "Seccomp"), "2");
    denied(&subject.ask("read /etc/shadow"));
    denied(&subject.ask("socket"));
    denied(&subject.ask("exec /bin/true"));
    denied(&subject.ask("fork /bin/true"));
    denied(&subject.ask("read /proc/self/status"));
    assert_eq!(subject.ask("thread"), "ok");
    denied(&subject.ask("send 127.0.0.1:10"));
    assert_eq!(subject.ask("packets"), "ok 0");
}

fn root_it_becomes_who_invoked_sudo() {
    if !root() {
        return;
    }
    let files = Files::new(0o777);
    let (mut subject, _) = Subject::start("confined", |command| {
        command.env("SUDO_UID", "1000").env("SUDO_GID", "1001");
    });
    assert_eq!(subject.ask(&files.confine()), "");
    for pid in [subject.pid(), subject.offspring()] {
        eventually("it becomes the user", || status(pid, "Uid") == "1000 1000 1000 1000");
        assert_eq!(status(pid, "Gid"), "1001 1001 1001 1001");
    }
}

fn root_files_are_those_that_were_named() {
    if !root() {
        return;
    }
    let files = Files::new(0o777);
    let at = |verb, name| format!("{verb} {}", files.path(name).display());
    let (mut subject, _) = Subject::start("confined", |_| ());
    assert_eq!(subject.ask(&files.confine()), "");
    assert_eq!(subject.ask(&at("read", "data")), "ok");
    denied(&subject.ask(&at("create", "../made")));
    denied(&subject.ask(&at("read", "other")));
    denied(&subject.ask(&at("unlink", "other")));
    assert_eq!(subject.ask(&at("append", "out.json")), "ok");
    // A rotation has moved it away.
    fs::rename(files.path("out.json"), files.path("out.json.1")).unwrap();
    assert_eq!(subject.ask(&at("append", "out.json")), "ok");

    // An output may be a pipe, which has no place among the files.
    let (mut subject, _) = Subject::start("confined", |_| ());
    let said = subject.ask("confine /dev/stdout /dev/stdin");
    assert!(said.contains("SIGHUP cannot open /dev/stdout again"), "{said}");
    denied(&subject.ask("read /etc/shadow"));

    // Where nothing can be made, that is said, and the file stays open to be written.
    let files = Files::new(0o755);
    let (mut subject, _) = Subject::start("confined", |_| ());
    let said = subject.ask(&files.confine());
    assert!(said.contains("SIGHUP cannot open") && said.contains("out.json again"), "{said}");
    assert_eq!(subject.ask(&format!("append {}", files.path("out.json").display())), "ok");
    denied(&subject.ask(&format!("append {}", files.path("other").display())));
}

fn root_owners_are_found_from_inside() {
    if !root() {
        return;
    }
    let files = Files::new(0o777);
    let (holder, port) = Subject::of_user("holder", 33);
    let (mut subject, _) = Subject::start("confined", |_| ());
    subject.ask(&files.confine());
    assert_eq!(subject.ask(&format!("owner 127.0.0.1:{port}")), holder.pid().to_string());
    let service = subject.offspring();
    for set in ["CapPrm", "CapEff"] {
        assert_eq!(capabilities(service, set), SYS_PTRACE | DAC_READ_SEARCH, "{set}");
    }
    for set in ["CapInh", "CapBnd", "CapAmb"] {
        assert_eq!(capabilities(service, set), 0, "{set}");
    }
    assert_eq!(status(service, "Uid"), [NOBODY.to_string().as_str(); 4].join(" "));
    assert_eq!(status(service, "NoNewPrivs"), "1");
    assert_eq!(status(service, "Seccomp"), "2");
    // One that began later, as another user.
    let (later, port) = Subject::of_user("holder", 34);
    assert_eq!(subject.ask(&format!("owner 127.0.0.1:{port}")), later.pid().to_string());
}

fn root_the_owner_process_ends_with_whoever_asks() {
    if !root() {
        return;
    }
    let (subject, _) = Subject::start("confined", |_| ());
    let service = subject.offspring();
    eventually("it is at work", || status(service, "Seccomp") == "2");
    for signal in ["-INT", "-TERM", "-HUP", "-USR1"] {
        let sent = Command::new("kill").args([signal, &service.to_string()]).status().unwrap();
        assert!(sent.success());
    }
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(lives(service), "signals that are meant for the other one");
    subject.kill();
    eventually("it ends", || !lives(service));
}

/// A network namespace, gone when the test is.
struct Namespace(String);

impl Namespace {
    fn new() -> Self {
        let namespace = Self(format!("shnd-confined-{}", std::process::id()));
        ip(&["netns", "add", &namespace.0]);
        ip(&["-n", &namespace.0, "link", "set", "lo", "up"]);
        namespace
    }

    /// Makes the pair `va` and `vb`.
    fn add_pair(&self) {
        let within = |args: &[&str]| ip(&[&["-n", &self.0], args].concat());
        within(&["link", "add", "va", "type", "veth", "peer", "name", "vb"]);
        within(&["addr", "add", "10.9.0.1/24", "dev", "va"]);
        within(&["link", "set", "va", "up"]);
        within(&["link", "set", "vb", "up"]);
    }

    fn remove_pair(&self) {
        ip(&["-n", &self.0, "link", "del", "va"]);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
}

/// No capability is kept for that: the packet socket is open.
fn root_an_interface_that_comes_again_is_captured() {
    if !root() {
        return;
    }
    let files = Files::new(0o777);
    let namespace = Namespace::new();
    namespace.add_pair();
    let (mut sender, _) = Subject::within(&namespace.0, "sender", |_| ());
    let (mut subject, _) = Subject::within(&namespace.0, "confined", |command| {
        command.env(INTERFACE, "va");
    });
    assert_eq!(subject.ask(&files.confine()), "");
    assert_eq!(capabilities(subject.pid(), "CapEff"), 0);
    assert_eq!(sender.ask("10.9.0.2:9"), "ok");
    assert_eq!(subject.ask("wait"), "ok 0");
    namespace.remove_pair();
    // What was in the ring, and the end of the interface.
    while subject.ask("drain") != "none" {}
    namespace.add_pair();
    assert_eq!(sender.ask("10.9.0.2:9"), "ok");
    assert_eq!(subject.ask("wait"), "ok 0");
}

fn an_ordinary_user_is_confined_too() {
    let files = Files::new(0o777);
    let is_root = rustix::process::geteuid().is_root();
    let (mut subject, _) =
        if is_root { Subject::of_user("confined", NOBODY) } else { Subject::start("confined", |_| ()) };
    assert_eq!(subject.ask("packets"), if is_root { "none".to_owned() } else { subject.ask("packets") });
    assert_eq!(subject.ask(&files.confine()), "");
    assert_eq!(capabilities(subject.pid(), "CapPrm") & NET_RAW, 0);
    assert_eq!(status(subject.pid(), "Seccomp"), "2");
    denied(&subject.ask("socket"));
    denied(&subject.ask(&format!("read {}", files.path("other").display())));
    // Its own processes' owners are found without any privilege.
    let (holder, port) =
        if is_root { Subject::of_user("holder", NOBODY) } else { Subject::start("holder", |_| ()) };
    assert_eq!(subject.ask(&format!("owner 127.0.0.1:{port}")), holder.pid().to_string());
}
