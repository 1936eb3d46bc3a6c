//! The program, run by other users.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// An ordinary user.
pub(crate) const NOBODY: u32 = 65534;

/// Whether this is root's.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the test may run; prints why not.
pub(crate) fn root() -> bool {
    if !is_root() {
        println!("skipped: needs root");
    }
    is_root()
}

/// A copy of the program that everybody may run.
pub(crate) struct Program {
    folder: TempDir,
}

impl Program {
    /// Where file capabilities count: some folders are mounted `nosuid`, others are closed to everybody else.
    pub(crate) fn new() -> Option<Self> {
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
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.path());
        command.current_dir("/");
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("sockethound")
    }

    /// Gives the file capabilities; `false`, and a reason, where that cannot be.
    pub(crate) fn grant(&self, capabilities: &str) -> bool {
        let done = Command::new("setcap").arg(capabilities).arg(self.path()).output();
        let granted = done.is_ok_and(|output| output.status.success());
        if !granted {
            println!("skipped: setcap does not work here");
        }
        granted
    }

    pub(crate) fn doctor(&self, args: &[&str]) -> String {
        let output = self.command().arg("doctor").args(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        let text = self.doctor(&["--json"]);
        assert_eq!(text.lines().count(), 1);
        let report = serde_json::from_str(&text).unwrap();
        let schema = serde_json::from_str(sockethound::view::SCHEMA).unwrap();
        jsonschema::validate(&schema, &report).unwrap();
        report
    }
}
