//! The process that owns a flow, as plain facts.

use std::io;
use std::path::Path;

use crate::Owner;
use crate::cgroup::Placement;
use crate::container::ContainerNames;
use crate::kernel::{Process, Program};
use crate::proc::{Proc, words};
use crate::users::Users;

/// The kernel's limit of a process's name, in bytes.
const COMM: usize = 15;

/// What is needed to read an [`Owner`].
#[derive(Debug)]
pub(crate) struct OwnerReader {
    pub(crate) proc: Proc,
    users: Users,
    containers: ContainerNames,
}

impl OwnerReader {
    /// `root` is the root of the file system, for the password file and the
    /// state files of container runtimes.
    pub(crate) fn new(proc: Proc, root: &Path) -> Self {
        let users = Users::new(root.join("etc/passwd"));
        Self { proc, users, containers: ContainerNames::new(root.to_owned()) }
    }

    /// Reads all facts of a process.
    ///
    /// # Errors
    /// `NotFound` if it has ended, or if its pid was taken over meanwhile.
    pub(crate) fn read(&mut self, pid: u32) -> io::Result<Owner> {
        let proc = &self.proc;
        let stat = proc.stat(pid)?;
        let executable = proc.executable(pid);
        let command_line = proc.command_line(pid);
        let uid = proc.uid(pid);
        let placement = proc.cgroup(pid).map(|text| Placement::parse(&text)).unwrap_or_default();
        let net_namespace = proc.net_namespace(pid).ok();
        if proc.stat(pid)?.start != stat.start {
            return Err(io::ErrorKind::NotFound.into());
        }
        let name = whole_name(&stat.comm, executable.as_deref(), &command_line);
        let owner = Owner {
            pid,
            start: stat.start,
            name,
            user: None,
            executable,
            command_line,
            uid,
            parent: stat.parent,
            cgroup: None,
            unit: None,
            container: None,
            net_namespace,
        };
        Ok(self.complete(owner, placement))
    }

    /// What can be said of a process that has ended.
    pub(crate) fn of_ended(
        &mut self,
        task: &Process,
        start: u64,
        program: Option<&Program>,
        placement: Placement,
    ) -> Owner {
        let executable = program.map(|program| program.path.clone());
        let command_line = program.map(|program| words(&program.arguments)).unwrap_or_default();
        let owner = Owner {
            pid: task.pid,
            start,
            name: whole_name(&task.name.text(), executable.as_deref(), &command_line),
            user: None,
            executable,
            command_line,
            uid: Some(task.uid),
            parent: task.parent,
            cgroup: None,
            unit: None,
            container: None,
            net_namespace: None,
        };
        self.complete(owner, placement)
    }

    /// Adds the user's name, and where the process stands.
    fn complete(&mut self, mut owner: Owner, placement: Placement) -> Owner {
        let account = owner.uid.and_then(|uid| self.users.account(uid));
        let mut container = placement.container;
        if let Some(container) = &mut container {
            container.name = self.containers.name(container, account.map(|account| account.home.as_path()));
        }
        owner.user = account.map(|account| account.name.clone());
        (owner.cgroup, owner.unit, owner.container) = (placement.path, placement.unit, container);
        owner
    }

    /// Whether `owner` still says what the process is: the same process, not
    /// having executed another program or changed its name.
    pub(crate) fn holds(&self, owner: &Owner) -> bool {
        let Ok(stat) = self.proc.stat(owner.pid) else { return false };
        stat.start == owner.start
            && owner.name.starts_with(&stat.comm)
            && self.proc.executable(owner.pid) == owner.executable
    }
}

/// The kernel's name is cut to 15 bytes: the executable's file name or the
/// first argument's give the rest, if they begin with it.
fn whole_name(comm: &str, executable: Option<&str>, command_line: &[String]) -> String {
    if comm.len() < COMM {
        return comm.to_owned();
    }
    let file_name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    // A title that the program wrote itself ("postgres: writer") ends at a colon or space.
    let first = command_line.first().map(|word| file_name(word.split([' ', ':']).next().unwrap_or_default()));
    executable
        .map(file_name)
        .into_iter()
        .chain(first)
        .find(|name| name.starts_with(comm))
        .unwrap_or_else(|| comm.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A process tree of one process, 4711, in its own folder.
    fn tree(comm: &str, executable: &str, command_line: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let process = root.path().join("proc/4711");
        fs::create_dir_all(process.join("ns")).unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        let stat = format!("4711 ({comm}) S 4690 1 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 112233 1 1\n");
        fs::write(process.join("stat"), stat).unwrap();
        fs::write(process.join("cmdline"), command_line).unwrap();
        fs::write(process.join("status"), "Uid:\t33\t33\t33\t33\n").unwrap();
        fs::write(process.join("cgroup"), "0::/system.slice/web.service\n").unwrap();
        fs::write(root.path().join("etc/passwd"), "www-data:x:33:33:www:/var/www:/bin/false\n").unwrap();
        symlink(executable, process.join("exe")).unwrap();
        symlink("net:[4026532001]", process.join("ns/net")).unwrap();
        root
    }

    fn read(root: &Path) -> (OwnerReader, Owner) {
        let mut reader = OwnerReader::new(Proc::new(root.join("proc")), root);
        let owner = reader.read(4711).unwrap();
        (reader, owner)
    }

    #[test]
    fn every_fact_of_a_process() {
        let root = tree("python3", "/usr/bin/python3.11 (deleted)", "python3\0-m\0http.server\0");
        let (_, owner) = read(root.path());
        let expected = Owner {
            pid: 4711,
            start: 112_233,
            name: "python3".to_owned(),
            executable: Some("/usr/bin/python3.11".to_owned()),
            command_line: vec!["python3".to_owned(), "-m".to_owned(), "http.server".to_owned()],
            uid: Some(33),
            user: Some("www-data".to_owned()),
            parent: 4690,
            cgroup: Some("/system.slice/web.service".to_owned()),
            unit: Some("web.service".to_owned()),
            container: None,
            net_namespace: Some(4_026_532_001),
        };
        assert_eq!(owner, expected);
    }

    #[test]
    fn a_cut_name_is_made_whole() {
        let root =
            tree("systemd-resolve", "/usr/lib/systemd/systemd-resolved", "/lib/systemd/systemd-resolved\0");
        assert_eq!(read(root.path()).1.name, "systemd-resolved");
        let root = tree("a-long-script-n", "/usr/bin/dash", "/opt/a-long-script-name\0");
        assert_eq!(read(root.path()).1.name, "a-long-script-name");
        let root = tree("exactly-fifteen", "/usr/bin/other", "other\0");
        assert_eq!(read(root.path()).1.name, "exactly-fifteen");
    }

    #[test]
    fn a_pid_used_again_is_another_process() {
        let root = tree("curl", "/usr/bin/curl", "curl\0");
        let (reader, owner) = read(root.path());
        assert!(reader.holds(&owner));
        let stat = "4711 (curl) S 4690 1 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 998877 1 1\n";
        fs::write(root.path().join("proc/4711/stat"), stat).unwrap();
        assert!(!reader.holds(&owner));
    }

    #[test]
    fn a_program_executed_later_is_noticed() {
        let root = tree("sh", "/usr/bin/dash", "sh\0");
        let (reader, owner) = read(root.path());
        let exe = root.path().join("proc/4711/exe");
        fs::remove_file(&exe).unwrap();
        symlink("/usr/bin/curl", exe).unwrap();
        assert!(!reader.holds(&owner));
    }
}
