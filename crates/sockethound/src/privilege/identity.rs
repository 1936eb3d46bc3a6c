//! Which user the program becomes.
//!
//! Started by root, it becomes who invoked sudo (`SUDO_UID`, sudo(8)), else
//! nobody. Started setuid root, it becomes who started it. Supplementary groups
//! are given up altogether. Any other user stays.

use std::{env, fmt, fs};

use rustix::io::Result;
use rustix::process::{Gid, Uid, getegid, geteuid, getgid, getuid};
use rustix::thread::{set_keep_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// nobody and nogroup, where the password file does not say otherwise.
const NOBODY: (u32, u32) = (65534, 65534);

/// A user, with its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    uid: Uid,
    gid: Gid,
}

/// Who comes after root; `None` for whoever is not root.
pub(super) fn successor() -> Option<Identity> {
    if !geteuid().is_root() {
        return None;
    }
    if !getuid().is_root() {
        return Some(Identity { uid: getuid(), gid: getgid() });
    }
    let number = |name| env::var(name).ok()?.parse().ok();
    let invoker = number("SUDO_UID").zip(number("SUDO_GID")).filter(|(uid, _)| *uid != 0);
    let passwd = fs::read("/etc/passwd").unwrap_or_default();
    let (uid, gid) = invoker.or_else(|| nobody(&String::from_utf8_lossy(&passwd))).unwrap_or(NOBODY);
    // The highest number means nobody at all, not even a user of that number.
    (uid != u32::MAX && gid != u32::MAX)
        .then(|| Identity { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid) })
}

fn nobody(passwd: &str) -> Option<(u32, u32)> {
    let entry = passwd.lines().find_map(|line| line.strip_prefix("nobody:"))?;
    let mut fields = entry.split(':').skip(1).map(str::parse);
    fields.next()?.ok().zip(fields.next()?.ok()).filter(|(uid, _)| *uid != 0)
}

impl Identity {
    /// Becomes it for good; permitted capabilities stay.
    ///
    /// These calls change the calling thread only.
    pub(super) fn assume(self) -> Result<()> {
        set_keep_capabilities(true)?;
        let assumed = set_thread_groups(&[])
            .and_then(|()| set_thread_res_gid(self.gid, self.gid, self.gid))
            .and_then(|()| set_thread_res_uid(self.uid, self.uid, self.uid));
        set_keep_capabilities(false)?;
        assumed?;
        assert!(geteuid() == self.uid && getegid() == self.gid);
        Ok(())
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}", self.uid.as_raw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_whom_the_password_file_says() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:99:98:Nobody:/:/sbin/nologin\n";
        assert_eq!(nobody(passwd), Some((99, 98)));
        assert_eq!(nobody("root:x:0:0:::\n"), None);
        assert_eq!(nobody("nobody:x:0:0:::\n"), None);
        assert_eq!(nobody("nobody:x:\n"), None);
    }
}
