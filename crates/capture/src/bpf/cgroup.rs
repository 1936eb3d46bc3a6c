//! The root of the cgroups (version 2), wherever it is mounted.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use super::sys;

/// Opens it: where it is mounted, else by a mount of its own, which takes `CAP_SYS_ADMIN`.
///
/// # Errors
/// Of the last attempt; `NotFound` if this kernel has none.
pub(super) fn root() -> io::Result<OwnedFd> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for path in mounts.lines().filter_map(mount_point) {
        if let Ok(folder) = File::open(path) {
            return Ok(folder.into());
        }
    }
    sys::detached_mount(c"cgroup2")
}

/// Where a line of mountinfo (proc(5)) says that the root of a cgroup2 is.
fn mount_point(line: &str) -> Option<&str> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    (file_system.starts_with("cgroup2 ") && root == "/").then_some(point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_that_of_version_2() {
        let unified = "39 30 0:33 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
        assert_eq!(mount_point(unified), Some("/sys/fs/cgroup/unified"));
        let v1 = "31 30 0:25 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu";
        assert_eq!(mount_point(v1), None);
        let part = "39 30 0:33 /a /mnt rw - cgroup2 cgroup2 rw";
        assert_eq!(mount_point(part), None);
    }
}
