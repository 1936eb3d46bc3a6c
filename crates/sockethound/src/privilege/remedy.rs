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
    let situation =
        Situation { root: geteuid().is_root(), grantable: bounding_set(), files_grant: files_grant(&path) };
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
}

impl Situation {
    fn command(self, capabilities: CapabilitySet, path: &str) -> String {
        if !self.grantable.contains(capabilities) {
            let missing = capabilities - self.grantable;
            let options: Vec<String> =
                missing.iter_names().map(|(name, _)| format!("--cap-add={name}")).collect();
            return format!("start the container or service with {}", options.join(" "));
        }
        if !self.files_grant || self.root {
            return format!("sudo {path}");
        }
        // In setcap's order of importance, not the kernel's numbers.
        let rest = names(capabilities - WANTED);
        let wanted = "cap_net_raw,cap_sys_ptrace,cap_dac_read_search";
        let all = if rest.is_empty() { wanted.to_owned() } else { format!("{wanted},{rest}") };
        format!("sudo setcap {all}+ep {path} (or: sudo {path})")
    }
}

/// Whether the capabilities of a file take effect when it is run from here.
fn files_grant(path: &Path) -> bool {
    let nosuid = statvfs(path).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::NOSUID));
    !nosuid && no_new_privs() != Ok(true)
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

    const ORDINARY: Situation = Situation { root: false, grantable: CapabilitySet::all(), files_grant: true };

    #[test]
    fn the_command_that_would_help() {
        assert_eq!(
            ORDINARY.command(WANTED, "/usr/bin/sockethound"),
            "sudo setcap cap_net_raw,cap_sys_ptrace,cap_dac_read_search+ep /usr/bin/sockethound (or: sudo /usr/bin/sockethound)"
        );
        let conntrack = ORDINARY.command(WANTED | CapabilitySet::NET_ADMIN, "x");
        assert!(conntrack.contains("cap_dac_read_search,cap_net_admin+ep x"), "{conntrack}");
        let nosuid = Situation { files_grant: false, ..ORDINARY };
        assert_eq!(nosuid.command(WANTED, "x"), "sudo x");
        let container = Situation { grantable: CapabilitySet::SYS_PTRACE, root: true, ..ORDINARY };
        assert_eq!(
            container.command(CAPTURE | CapabilitySet::SYS_PTRACE, "x"),
            "start the container or service with --cap-add=NET_RAW"
        );
    }

    #[test]
    fn paths_are_quoted_for_the_shell() {
        assert_eq!(quoted(Path::new("/usr/local/bin/sockethound-1.0")), "/usr/local/bin/sockethound-1.0");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
