//! The one command that would allow more.
//!
//! A file capability is not enough where the file system or a parent ignores it
//! (`nosuid`, no_new_privs), and no command inside a container gets what the
//! container was not given.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, no_new_privs};

use super::capabilities::{ATTRIBUTION, CAPTURE, bounding_set, held, names};
use super::rung::{CGROUPS, TRACING};

/// What a live report works best with.
pub const WANTED: CapabilitySet = CAPTURE.union(ATTRIBUTION).union(CGROUPS).union(TRACING);

/// What was refused, with the command that would allow it: `…: sudo setcap cap_net_raw,…+ep /usr/bin/sockethound`.
pub fn refusal(error: impl Display) -> String {
    command(WANTED).map_or_else(|| error.to_string(), |command| format!("{error}: {command}"))
}

/// The command that gives this program `capabilities`, with the real path of the executable; `None` if none does.
pub fn command(capabilities: CapabilitySet) -> Option<String> {
    let path = std::env::current_exe().and_then(std::fs::canonicalize);
    let path = path.unwrap_or_else(|_| PathBuf::from("sockethound"));
    let situation = Situation {
        root: geteuid().is_root(),
        held: held().unwrap_or(CapabilitySet::empty()),
        grantable: bounding_set(),
        files_grant: files_grant(&path),
        stuck: no_new_privs() == Ok(true),
    };
    situation.command(capabilities, &quoted(&path))
}

/// What decides which command helps.
#[derive(Clone, Copy, Debug)]
struct Situation {
    root: bool,
    /// What this process has.
    held: CapabilitySet,
    /// What any program started here could get.
    grantable: CapabilitySet,
    /// File capabilities are heeded.
    files_grant: bool,
    /// Nothing that is started gets more than this process has (no_new_privs).
    stuck: bool,
}

impl Situation {
    /// All of `capabilities` that is to be had; if nothing is, that is for whoever started this shell, service or container to change.
    fn command(self, capabilities: CapabilitySet, path: &str) -> Option<String> {
        let granted = (capabilities - self.held) & self.grantable;
        if granted.is_empty() {
            let missing = capabilities - self.held - CapabilitySet::SYS_ADMIN;
            let options: Vec<String> =
                missing.iter_names().map(|(name, _)| format!("--cap-add={name}")).collect();
            let (names, options) = (names(missing), options.join(" "));
            return (!missing.is_empty())
                .then(|| format!("from where {names} may be had (of a container: {options})"));
        }
        if self.stuck {
            return Some(format!("from where no_new_privs is not set: sudo {path}"));
        }
        // Nothing that may do as SYS_ADMIN does is left lying around in a file.
        if self.root || !self.files_grant || granted == CapabilitySet::SYS_ADMIN {
            return Some(format!("sudo {path}"));
        }
        // A file has one set of capabilities: what it has already must be in it.
        let set = (granted | WANTED & self.grantable) - CapabilitySet::SYS_ADMIN;
        Some(format!("sudo setcap {}+ep {path} (or: sudo {path})", names(set)))
    }
}

/// Whether the capabilities of a file take effect when it is run from here.
fn files_grant(path: &Path) -> bool {
    !statvfs(path).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::NOSUID))
}

/// The path, as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    if text.chars().all(plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDINARY: Situation = Situation {
        root: false,
        held: CapabilitySet::empty(),
        grantable: CapabilitySet::all(),
        files_grant: true,
        stuck: false,
    };

    fn command(situation: Situation, capabilities: CapabilitySet) -> String {
        situation.command(capabilities, "x").unwrap_or_default()
    }

    #[test]
    fn the_command_that_would_help() {
        let everything = "sudo setcap cap_net_raw,cap_sys_ptrace,cap_dac_read_search,cap_net_admin,cap_perfmon,cap_bpf+ep x (or: sudo x)";
        assert_eq!(command(ORDINARY, WANTED), everything);
        // What a file has already must be said again.
        let capturing = Situation { held: CAPTURE, ..ORDINARY };
        assert_eq!(command(capturing, ATTRIBUTION), everything);
        let more = command(ORDINARY, WANTED | CapabilitySet::SYSLOG);
        assert!(more.contains("cap_net_admin,cap_syslog,cap_perfmon,cap_bpf+ep x"), "{more}");
        assert_eq!(command(ORDINARY, CapabilitySet::SYS_ADMIN), "sudo x");
        let all = command(ORDINARY, CapabilitySet::SYS_ADMIN | CapabilitySet::SYS_PTRACE);
        assert_eq!(all, everything);
        assert_eq!(command(Situation { files_grant: false, ..ORDINARY }, WANTED), "sudo x");
        let stuck = command(Situation { stuck: true, ..ORDINARY }, WANTED);
        assert_eq!(stuck, "from where no_new_privs is not set: sudo x");
    }

    #[test]
    fn nothing_in_a_container_gets_what_that_was_not_given() {
        let root = Situation { root: true, held: CAPTURE, grantable: CAPTURE, ..ORDINARY };
        let wanted = command(root, WANTED | CapabilitySet::SYS_ADMIN);
        assert_eq!(
            wanted,
            "from where cap_sys_ptrace,cap_dac_read_search,cap_net_admin,cap_perfmon,cap_bpf may be had (of a container: \
             --cap-add=DAC_READ_SEARCH --cap-add=NET_ADMIN --cap-add=SYS_PTRACE --cap-add=PERFMON --cap-add=BPF)"
        );
        // A file that asks for more than there is could not be run at all.
        let user = Situation { grantable: CAPTURE, ..ORDINARY };
        assert_eq!(command(user, WANTED), "sudo setcap cap_net_raw+ep x (or: sudo x)");
    }

    #[test]
    fn whoever_has_all_gets_no_more() {
        let root = Situation { root: true, held: CapabilitySet::all(), ..ORDINARY };
        assert_eq!(root.command(WANTED, "x"), None);
        assert_eq!(
            Situation { held: WANTED, grantable: WANTED, ..root }.command(CapabilitySet::SYS_ADMIN, "x"),
            None
        );
    }

    #[test]
    fn paths_are_quoted_for_the_shell() {
        assert_eq!(quoted(Path::new("/usr/local/bin/sockethound-1.0")), "/usr/local/bin/sockethound-1.0");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
