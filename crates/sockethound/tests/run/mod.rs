//! Runs the built program over captures.
#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// The program, in UTC and without the caller's colours.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockethound"));
    command.env("TZ", "UTC").env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    program().args(args).output().unwrap()
}

/// The program, running, with its input and outputs at hand.
pub(crate) fn piped(args: &[&str]) -> Child {
    let mut command = program();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Runs the program over `bytes` on its standard input.
pub(crate) fn run_on(bytes: &[u8], args: &[&str]) -> Output {
    let mut child = piped(args);
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A program that ends early does not want the rest.
        scope.spawn(move || stdin.write_all(bytes).ok());
        child.wait_with_output().unwrap()
    })
}

/// What a run that must succeed prints.
pub(crate) fn text(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of `--json` output.
pub(crate) fn records(stdout: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stdout).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The records of one kind.
pub(crate) fn of_kind<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|r| r["kind"] == kind).collect()
}

/// One end of a record: `source`, `destination`.
pub(crate) fn end(end: &Value) -> SocketAddr {
    let port = u16::try_from(end["port"].as_u64().unwrap()).unwrap();
    SocketAddr::new(end["ip"].as_str().unwrap().parse().unwrap(), port)
}

/// What nDPI says of the flows of each capture of the shared corpus, and where those are; without the corpus, says so.
#[expect(clippy::print_stderr, reason = "says what is left out")]
pub(crate) fn ndpi() -> Option<(PathBuf, HashMap<String, Vec<Value>>)> {
    let corpus = shared().join("corpus");
    let said = corpus.join("ndpi.json");
    let Ok(text) = std::fs::read_to_string(&said) else {
        eprintln!("skipped: no {}", said.display());
        return None;
    };
    Some((corpus.join("captures"), serde_json::from_str(&text).unwrap()))
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The path of one fixture.
pub(crate) fn fixture(name: &str) -> String {
    root().join("fixtures").join(name).to_str().unwrap().to_owned()
}

/// Every fixture that is a capture.
pub(crate) fn fixtures() -> Vec<PathBuf> {
    let captures = captures_in(&root().join("fixtures"));
    assert!(captures.len() >= 15, "fixtures are missing");
    captures
}

/// Every capture of the shared corpus; none where there is none.
pub(crate) fn corpus() -> Vec<PathBuf> {
    captures_in(&shared().join("corpus/captures"))
}

/// Where what is shared between projects stands.
pub(crate) fn shared() -> PathBuf {
    let place = std::env::var_os("SOCKETHOUND_SHARED").map_or_else(|| "../shared".into(), PathBuf::from);
    root().join(place)
}

fn captures_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut captures: Vec<_> = entries.map(|e| e.unwrap().path()).filter(|p| is_capture(p)).collect();
    captures.sort();
    captures
}

fn is_capture(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.contains(".pcap") || name.contains(".cap")
}
