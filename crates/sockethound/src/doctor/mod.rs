//! What this kernel and these privileges allow, and the one command that would allow more.
//!
//! Nothing is concluded from versions or capabilities: each row is something
//! that was tried just now.

mod probe;

use std::fmt::Write;

use anyhow::Result;
use rustix::process::geteuid;
use rustix::thread::CapabilitySet;
use serde_json::{Value, json};

use self::probe::{Failure, Outcome, PROBES, Probe};
use crate::privilege::{capabilities, remedy};

/// What was found, as text or as one line of JSON.
///
/// # Errors
/// If it cannot be written down; that something does not work is no error.
pub fn report(as_json: bool) -> Result<Vec<u8>> {
    let findings = Findings {
        kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        uid: geteuid().as_raw(),
        held: capabilities::held().unwrap_or(CapabilitySet::empty()),
        rows: PROBES.iter().map(|probe| (probe, (probe.run)())).collect(),
        remedy: remedy::command,
    };
    Ok(if as_json { format!("{}\n", findings.json()) } else { findings.text() }.into_bytes())
}

/// What was found.
struct Findings {
    kernel: String,
    uid: u32,
    held: CapabilitySet,
    rows: Vec<(&'static Probe, Outcome)>,
    /// What would give capabilities.
    remedy: fn(CapabilitySet) -> Option<String>,
}

impl Findings {
    /// The command that would make rows work that are not permitted; `None` if none would.
    fn more(&self) -> Option<String> {
        let refused =
            self.rows.iter().filter(|(_, outcome)| outcome.as_ref().is_err_and(Failure::is_refusal));
        let missing = refused.fold(CapabilitySet::empty(), |all, (probe, _)| all | probe.needs);
        (self.remedy)(missing)
    }

    /// Capabilities that a row is refused without.
    fn lacks(&self, probe: &Probe, failure: &Failure) -> CapabilitySet {
        if failure.is_refusal() { probe.needs - self.held } else { CapabilitySet::empty() }
    }

    /// What would make a row work, to follow what the kernel answered.
    fn takes(&self, probe: &Probe, failure: &Failure) -> String {
        match self.lacks(probe, failure) {
            none if !none.is_empty() => format!("; takes {}", capabilities::names(none)),
            _ if failure.is_unknown() && !probe.option.is_empty() => {
                format!("; takes a kernel with {}", probe.option)
            }
            _ => String::new(),
        }
    }

    /// The capabilities that are held, in words.
    fn holds(&self) -> String {
        let is_root = self.uid == 0 && self.held.contains(capabilities::bounding_set());
        let wanted = PROBES.iter().fold(CapabilitySet::empty(), |all, probe| all | probe.needs);
        match (is_root, wanted - self.held) {
            _ if self.held.is_empty() => "none".to_owned(),
            (true, none) if none.is_empty() => "all that are to be had".to_owned(),
            (true, some) => format!("all that are to be had, without {}", capabilities::names(some)),
            (false, _) => capabilities::names(self.held),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let user = if self.uid == 0 { "root".to_owned() } else { format!("uid {}", self.uid) };
        let (version, arch) = (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
        let _ = writeln!(text, "sockethound {version} on Linux {} {arch}, as {user}", self.kernel);
        let _ = writeln!(text, "capabilities: {}\n", self.holds());
        for (probe, outcome) in &self.rows {
            let (works, what) = match (outcome, probe.unused) {
                (Ok(_), Some(why)) => ("–", format!("allowed; {why}")),
                (Err(failure), Some(why)) => ("–", format!("refused ({}); {why}", brief(failure))),
                (Ok(found), None) => ("yes", found.clone()),
                (Err(failure), None) => ("no", format!("{failure}{}", self.takes(probe, failure))),
            };
            let separator = if what.is_empty() { "" } else { ": " };
            let _ = writeln!(text, "{works:>3}  {}{separator}{what}", probe.about);
        }
        let more = self.more();
        let _ = match &more {
            Some(command) => writeln!(text, "\nMore works after: {command}"),
            None if self.rows.iter().all(|(probe, outcome)| outcome.is_ok() || probe.unused.is_some()) => {
                writeln!(text, "\nEverything works.")
            }
            None => writeln!(text, "\nNo command gives more here."),
        };
        text
    }

    fn json(&self) -> Value {
        let names = names(self.held);
        let rows: Vec<Value> = self.rows.iter().map(|(probe, outcome)| self.row(probe, outcome)).collect();
        json!({
            "kind": "doctor",
            "schema": 1,
            "host": { "os": { "type": "linux", "kernel": self.kernel }, "architecture": std::env::consts::ARCH },
            "user": { "id": self.uid },
            "sockethound": {
                "version": env!("CARGO_PKG_VERSION"),
                "capabilities": names,
                "probes": rows,
                "command": self.more(),
            },
        })
    }

    fn row(&self, probe: &Probe, outcome: &Outcome) -> Value {
        let mut row = json!({ "name": probe.name, "about": probe.about, "works": outcome.is_ok() });
        if let Some(why) = probe.unused {
            row["unused"] = json!(why);
        }
        match outcome {
            Ok(found) => row["found"] = json!(found),
            Err(failure) => {
                row["reason"] = json!(failure.to_string());
                row["errno"] = json!(failure.errno);
                let lacks = self.lacks(probe, failure);
                if !lacks.is_empty() {
                    row["lacks"] = json!(names(lacks));
                }
            }
        }
        row
    }
}

/// Their names, one by one.
fn names(set: CapabilitySet) -> Vec<String> {
    capabilities::names(set).split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// What the kernel answered, in a word.
fn brief(failure: &Failure) -> String {
    failure.errno.map_or_else(|| failure.to_string(), |number| format!("errno {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(outcomes: impl Fn(&Probe) -> Outcome) -> Findings {
        Findings {
            kernel: "6.1.0".to_owned(),
            uid: 1000,
            held: CapabilitySet::empty(),
            rows: PROBES.iter().map(|probe| (probe, outcomes(probe))).collect(),
            remedy: |missing| {
                (!missing.is_empty()).then(|| format!("grant {}", capabilities::names(missing)))
            },
        }
    }

    fn refused() -> Outcome {
        Err(std::io::Error::from_raw_os_error(libc::EPERM).into())
    }

    #[test]
    fn what_works_needs_no_command() {
        let findings = findings(|_| Ok("fine".to_owned()));
        assert_eq!(findings.more(), None);
        let text = findings.text();
        assert!(text.starts_with("sockethound ") && text.contains(" on Linux 6.1.0 "), "{text}");
        assert!(text.contains("\ncapabilities: none\n"), "{text}");
        assert!(text.ends_with("\nEverything works.\n"), "{text}");
        let unused = PROBES.iter().filter(|probe| probe.unused.is_some()).count();
        assert_eq!(text.lines().filter(|line| line.starts_with("yes  ")).count(), PROBES.len() - unused);
        assert_eq!(text.lines().filter(|line| line.starts_with("  –  ")).count(), unused);
    }

    #[test]
    fn what_is_not_needed_fits_a_line() {
        let findings = findings(|_| refused());
        let text = findings.text();
        let row = text.lines().find(|line| line.starts_with("  –  ")).unwrap();
        assert!(row.ends_with(": refused (errno 1); neither it nor kprobes would tell more"), "{row}");
        assert!(row.chars().count() <= 100, "{row}");
    }

    #[test]
    fn a_refusal_names_errno_and_command() {
        let findings = findings(|probe| if probe.name == "capture" { refused() } else { Ok(String::new()) });
        let text = findings.text();
        assert!(
            text.contains(
                " no  packets of interfaces: Operation not permitted (os error 1); takes cap_net_raw\n"
            ),
            "{text}"
        );
        let json = findings.json();
        let rows = json["sockethound"]["probes"].as_array().unwrap();
        assert_eq!(rows[0]["errno"], 1);
        assert_eq!(rows[0]["works"], false);
        assert_eq!(rows[0]["lacks"], json!(["cap_net_raw"]));
        assert_eq!(rows[1]["works"], true);
        assert_eq!(json["sockethound"]["command"], "grant cap_net_raw");
        assert!(text.ends_with("\nMore works after: grant cap_net_raw\n"), "{text}");
    }

    #[test]
    fn what_a_kernel_lacks_no_command_gives() {
        let findings = findings(|_| Err(std::io::Error::from_raw_os_error(libc::ENOSYS).into()));
        assert_eq!(findings.more(), None);
        let text = findings.text();
        assert!(text.contains(" (os error 38); takes a kernel with CONFIG_NF_CT_NETLINK\n"), "{text}");
        assert!(!text.contains("; takes cap_"), "{text}");
        assert!(text.ends_with("\nNo command gives more here.\n"));
    }
}
