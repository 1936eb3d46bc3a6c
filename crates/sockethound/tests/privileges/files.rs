//! Captures are read with no more than it takes to open them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{eventually, status};
use crate::program::{is_root, root};

const FILES: u64 = 1 << 1 | 1 << 2;

fn capture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/plain.pcap")
}

#[test]
fn what_reads_a_capture_is_confined() {
    let bytes = fs::read(capture()).unwrap();
    let (first, rest) = bytes.split_at(1000);
    let mut child = Command::new(env!("CARGO_BIN_EXE_sockethound"))
        .args(["-r", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(first).unwrap();
    eventually("it is confined", || status(child.id(), "Seccomp") == "2");
    assert_eq!(status(child.id(), "NoNewPrivs"), "1");
    for set in ["CapPrm", "CapEff"] {
        let held = u64::from_str_radix(&status(child.id(), set), 16).unwrap();
        assert_eq!(held & !FILES, 0, "{set}");
    }
    if is_root() {
        assert_eq!(status(child.id(), "CapBnd"), "0000000000000000");
    }
    stdin.write_all(rest).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("\"kind\":\"ledger\""));
}

#[test]
fn root_captures_of_others_are_read() {
    if !root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("theirs.pcap");
    fs::copy(capture(), &theirs).unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o600)).unwrap();
    for path in [&theirs, &folder.path().to_owned()] {
        std::os::unix::fs::chown(path, Some(1000), Some(1000)).unwrap();
    }
    let json = folder.path().join("out.json");
    let output = Command::new(env!("CARGO_BIN_EXE_sockethound"))
        .arg("-r")
        .arg(&theirs)
        .arg(format!("--json={}", json.display()))
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(fs::read_to_string(&json).unwrap().contains("\"kind\":\"ledger\""));
}
