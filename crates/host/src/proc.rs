//! `/proc`, read through a root that tests can replace (proc(5)).
//!
//! Everything may vanish between two reads; what is gone is an `io::Error` of
//! kind `NotFound` and never more than that.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes of a command line that are read: owners are kept by the thousand, and told with each of their flows.
const COMMAND_LINE: usize = 4096;

/// A mounted `/proc`.
#[derive(Debug, Clone)]
pub struct Proc {
    root: PathBuf,
}

/// The fields of `/proc/<pid>/stat` that identify a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// `comm`: the name, cut to 15 bytes by the kernel.
    pub comm: String,
    /// Process id of the parent (field 4).
    pub parent: u32,
    /// Clock ticks after boot at which it started (field 22): with the pid, it
    /// names a process for good.
    pub start: u64,
}

impl Default for Proc {
    fn default() -> Self {
        Self::new("/proc")
    }
}

impl Proc {
    /// The tree under `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The path of a file of a process.
    pub(crate) fn path(&self, pid: u32, file: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(file)
    }

    /// The path of a file of the reading process.
    pub(crate) fn own(&self, file: &str) -> PathBuf {
        self.root.join("self").join(file)
    }

    /// All process ids, in no order.
    pub fn pids(&self) -> io::Result<Vec<u32>> {
        let numeric = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
        Ok(fs::read_dir(&self.root)?.filter_map(numeric).collect())
    }

    /// The id that was given out last (`loadavg`, field 5): while it stays the
    /// same, no process was made.
    pub fn last_pid(&self) -> Option<u32> {
        let text = read(&self.root.join("loadavg")).ok()?;
        let text = std::str::from_utf8(&text).ok()?;
        text.split_whitespace().nth(4)?.parse().ok()
    }

    /// Identity of a process.
    pub fn stat(&self, pid: u32) -> io::Result<Stat> {
        let bytes = read(&self.path(pid, "stat"))?;
        parse_stat(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Whether the id is that of a process rather than of one of its further
    /// threads, whose folders are there too, though not listed.
    pub(crate) fn is_process(&self, pid: u32) -> bool {
        let status = read(&self.path(pid, "status")).unwrap_or_default();
        let status = String::from_utf8_lossy(&status);
        let leader = status.lines().find_map(|line| line.strip_prefix("Tgid:")).map(str::trim);
        leader.and_then(|leader| leader.parse().ok()) == Some(pid)
    }

    /// The effective user id (`status`, `Uid:`, second number).
    pub fn uid(&self, pid: u32) -> Option<u32> {
        let bytes = read(&self.path(pid, "status")).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        text.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().nth(1)?.parse().ok()
    }

    /// The arguments, as they were given, the first 4,096 bytes of them: there may be megabytes.
    pub fn command_line(&self, pid: u32) -> Vec<String> {
        let bytes = read_up_to(COMMAND_LINE, &self.path(pid, "cmdline")).unwrap_or_default();
        // There are none of a kernel thread, or of a process that is ending.
        words(bytes.strip_suffix(&[0]).unwrap_or(&bytes))
    }

    /// The path of the executable, without the kernel's ` (deleted)`.
    pub fn executable(&self, pid: u32) -> Option<String> {
        let path = fs::read_link(self.path(pid, "exe")).ok()?;
        let path = path.to_string_lossy();
        Some(path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned())
    }

    /// `/proc/<pid>/cgroup`.
    pub fn cgroup(&self, pid: u32) -> Option<String> {
        let bytes = read(&self.path(pid, "cgroup")).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Inode of the network namespace.
    ///
    /// # Errors
    /// Reading another user's takes `CAP_SYS_PTRACE`.
    pub fn net_namespace(&self, pid: u32) -> io::Result<u64> {
        namespace_of(&self.path(pid, "ns/net"))
    }

    /// Inode of the reading process's network namespace.
    pub fn own_net_namespace(&self) -> io::Result<u64> {
        namespace_of(&self.own("ns/net"))
    }
}

/// Reads a whole file.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_up_to(usize::MAX, path)
}

/// Reads the first `most` bytes of a file with few calls: those of `/proc` have no size, and reading them
/// in steps that grow from a few bytes costs more than what they say.
fn read_up_to(most: usize, path: &Path) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(length) if length >= most - bytes.len() => {
                bytes.extend_from_slice(buffer.get(..most - bytes.len()).unwrap_or_default());
                return Ok(bytes);
            }
            Ok(length) => bytes.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The number in a link such as `net:[4026531833]`.
fn namespace_of(path: &Path) -> io::Result<u64> {
    let link: OsString = fs::read_link(path)?.into();
    bracketed(link.as_encoded_bytes(), b"net:[").ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The number after `prefix` and before a closing bracket.
pub(crate) fn bracketed(link: &[u8], prefix: &[u8]) -> Option<u64> {
    let digits = link.strip_prefix(prefix)?.strip_suffix(b"]")?;
    let digit =
        |number: u64, byte: &u8| number.checked_mul(10)?.checked_add(u64::from(byte.wrapping_sub(b'0')));
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    digits.iter().try_fold(0, digit)
}

/// The name stands in parentheses and may hold any byte, parentheses included:
/// it ends at the last one.
fn parse_stat(bytes: &[u8]) -> Option<Stat> {
    let open = bytes.iter().position(|byte| *byte == b'(')?;
    let close = bytes.iter().rposition(|byte| *byte == b')')?;
    let comm = String::from_utf8_lossy(bytes.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace(); // from field 3, the state
    let parent = fields.nth(1)?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    Some(Stat { comm, parent, start })
}

/// The words of a command line, which zero bytes part.
pub(crate) fn words(bytes: &[u8]) -> Vec<String> {
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_parentheses_and_spaces() {
        let stat =
            b"4711 (a) R (b) S 4690 4711 4690 34816 4711 4194304 95 0 0 0 0 0 0 0 20 0 1 0 88112233 2 3";
        let expected = Stat { comm: "a) R (b".to_owned(), parent: 4690, start: 88_112_233 };
        assert_eq!(parse_stat(stat), Some(expected));
        assert_eq!(parse_stat(b"4711 (a) S 1"), None);
        assert_eq!(parse_stat(b")("), None);
    }

    #[test]
    fn link_numbers() {
        assert_eq!(bracketed(b"socket:[4021]", b"socket:["), Some(4021));
        assert_eq!(bracketed(b"net:[4026531833]", b"net:["), Some(4_026_531_833));
        assert_eq!(bracketed(b"socket:[]", b"socket:["), None);
        assert_eq!(bracketed(b"pipe:[12]", b"socket:["), None);
        assert_eq!(bracketed(b"socket:[99999999999999999999999]", b"socket:["), None);
    }

    #[test]
    fn a_tree_elsewhere_is_read() {
        let root = tempfile::tempdir().unwrap();
        let process = root.path().join("77");
        fs::create_dir(&process).unwrap();
        fs::create_dir(root.path().join("sys")).unwrap();
        fs::write(root.path().join("loadavg"), "0.00 0.01 0.05 1/99 4711\n").unwrap();
        fs::write(process.join("status"), "Name:\tx\nUid:\t0\t33\t33\t33\nGid:\t0\t0\t0\t0\n").unwrap();
        fs::write(process.join("cmdline"), b"x\0-a\0\0").unwrap();
        let proc = Proc::new(root.path());
        assert_eq!(proc.pids().unwrap(), [77]);
        assert_eq!(proc.last_pid(), Some(4711));
        assert_eq!(proc.uid(77), Some(33));
        assert_eq!(proc.command_line(77), ["x", "-a", ""]);
        let long = [&[b'y'; 4000][..], &[0], &[b'z'; 5000]].concat();
        fs::write(process.join("cmdline"), long).unwrap();
        assert_eq!(proc.command_line(77), ["y".repeat(4000), "z".repeat(95)]);
        assert_eq!(proc.executable(77), None);
        assert_eq!(proc.stat(78).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
