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

use super::capabilities::{ATTRIBUTION, CAPTURE, bounding_set, names};

/// What a live report works best with.
pub const WANTED: CapabilitySet = CAPTURE.union(ATTRIBUTION);

/// What was refused, with the command that would allow it: `…: sudo setcap cap_net_raw,…+ep /usr/bin/sockethound`.
pub fn refusal(error: impl Display) -> String {
    format!("{error}: {}", command(WANTED))
}

/// The command that gives this program `capabilities`, with the real path of the executable.
pub fn command(capabilities: CapabilitySet) -> String {
    let path = std::env::current_exe()
        .and_then(std::fs::canonicalize)
        .unwrap_or_else(|_| PathBuf::from("sockethound"));
    let situation = Situation {
        root: geteuid().is_root(),
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
    /// What any program started here could get.
    grantable: CapabilitySet,
    /// File capabilities are heeded.
    files_grant: bool,
    /// Nothing that is started gets more than this process has (no_new_privs).
    stuck: bool,
}

impl Situation {
    /// All of `capabilities` that is to be had; if nothing is, that is for whoever started the container to change.
    fn command(self, capabilities: CapabilitySet, path: &str) -> String {
        let granted = capabilities & self.grantable;
        if granted.is_empty() {
            let options: Vec<String> =
                capabilities.iter_names().map(|(name, _)| format!("--cap-add={name}")).collect();
            return format!("start the container with {}", options.join(" "));
        }
        if self.stuck {
            return format!("from where no_new_privs is not set: sudo {path}");
        }
        // Nothing that may do as SYS_ADMIN does is left lying around in a file.
        if self.root || !self.files_grant || granted == CapabilitySet::SYS_ADMIN {
            return format!("sudo {path}");
        }
        // A file has one set of capabilities: what it has already must be in it.
        let set = (granted | WANTED & self.grantable) - CapabilitySet::SYS_ADMIN;
        format!("sudo setcap {}+ep {path} (or: sudo {path})", names(set))
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

    const ORDINARY: Situation =
        Situation { root: false, grantable: CapabilitySet::all(), files_grant: true, stuck: false };

    #[test]
    fn the_command_that_would_help() {
        assert_eq!(
            ORDINARY.command(WANTED, "/usr/bin/sockethound"),
            "sudo setcap cap_net_raw,cap_sys_ptrace,cap_dac_read_search+ep /usr/bin/sockethound (or: sudo /usr/bin/sockethound)"
        );
        let conntrack = ORDINARY.command(WANTED | CapabilitySet::NET_ADMIN, "x");
        assert!(conntrack.contains("cap_dac_read_search,cap_net_admin+ep x"), "{conntrack}");
        assert_eq!(ORDINARY.command(CapabilitySet::SYS_ADMIN, "x"), "sudo x");
        let all = ORDINARY.command(CapabilitySet::SYS_ADMIN | CapabilitySet::SYS_PTRACE, "x");
        assert!(all.contains("cap_dac_read_search+ep x"), "{all}");
        let nosuid = Situation { files_grant: false, ..ORDINARY };
        assert_eq!(nosuid.command(WANTED, "x"), "sudo x");
        let stuck = Situation { stuck: true, ..ORDINARY };
        assert_eq!(stuck.command(WANTED, "x"), "from where no_new_privs is not set: sudo x");
        let container = Situation { grantable: CapabilitySet::SYS_PTRACE, root: true, ..ORDINARY };
        assert_eq!(container.command(CAPTURE, "x"), "start the container with --cap-add=NET_RAW");
        // A file that asks for more than there is could not be run at all.
        let container = Situation { grantable: CAPTURE, ..ORDINARY };
        assert_eq!(container.command(WANTED, "x"), "sudo setcap cap_net_raw+ep x (or: sudo x)");
    }

    #[test]
    fn paths_are_quoted_for_the_shell() {
        assert_eq!(quoted(Path::new("/usr/local/bin/sockethound-1.0")), "/usr/local/bin/sockethound-1.0");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
