//! What tshark says of public captures, against what the program says: never fewer captures right than before.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod run;

use std::path::Path;
use std::process::Command;

/// Scores every capture of the corpus; `floor` has the least percentage of captures exactly right, a category each.
#[expect(clippy::print_stderr, reason = "says what it leaves out")]
fn keeps(floor: &str, program: &[&str], compare: &[&str]) {
    let script = run::shared().join("corpus/compare.py");
    if !script.exists() {
        return eprintln!("skipped: no {}", script.display());
    }
    if Command::new("python3").arg("--version").output().is_err() {
        return eprintln!("skipped: no python3");
    }
    let floor = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(floor);
    let out = tempfile::NamedTempFile::new().unwrap();
    let ours = [env!("CARGO_BIN_EXE_sockethound"), "-r", "{file}", "--json"];
    let output = Command::new("python3")
        .arg(script)
        .args(["--cmd", &[&ours, program].concat().join(" ")])
        .args(compare)
        .arg("--floor")
        .arg(floor)
        .arg("--out")
        .arg(out.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn innermost_flows() {
    keeps("corpus-floor.json", &[], &[]);
}

#[test]
fn outermost_flows() {
    keeps("corpus-floor-outer.json", &["--no-decap"], &["--outer"]);
}
