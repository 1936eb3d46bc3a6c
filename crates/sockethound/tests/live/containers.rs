//! Containers of processes that end at once, in cgroups that are made while the program runs.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lab::Lab;
use crate::program::Running;

/// A folder of cgroups (version 2), which is removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    /// `None`, and a reason on standard error, where there can be none.
    #[allow(clippy::print_stderr)]
    fn new() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let root = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let at = words.next()?;
            (words.next() == Some("cgroup2")).then_some(at)
        });
        let folder = root.map(|root| Path::new(root).join(format!("shlv-{}", std::process::id())));
        let folder = folder.filter(|folder| fs::create_dir_all(folder.join("docker")).is_ok());
        if folder.is_none() {
            eprintln!("skipped: needs a cgroup2 file system to make folders in");
        }
        folder.map(Self)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let docker = self.0.join("docker");
        for entry in fs::read_dir(&docker).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(entry.path());
        }
        let _ = fs::remove_dir(docker);
        let _ = fs::remove_dir(&self.0);
    }
}

/// One after the other is made, and its only process connects and ends.
#[test]
fn root_containers_that_are_new() {
    let (Some(lab), Some(folder)) = (Lab::pair(), Folder::new()) else { return };
    let listener = lab.within("b", || TcpListener::bind(lab.at("10.N.1.2:0")).unwrap());
    let running = Running::start(&lab, "a", "-i va");
    let to = listener.local_addr().unwrap();
    let ids: BTreeSet<String> = (1..=9).map(|n| format!("{n:064x}")).collect();
    for id in &ids {
        let cgroup = folder.0.join("docker").join(id);
        fs::create_dir(&cgroup).unwrap();
        let script =
            format!("echo $$ >{}/cgroup.procs; : 3<>/dev/tcp/{}/{}", cgroup.display(), to.ip(), to.port());
        let status = lab.within("a", || Command::new("bash").arg("-c").arg(script).status().unwrap());
        assert!(status.success());
    }
    std::thread::sleep(std::time::Duration::from_millis(600));
    let run = running.stop();
    let flows = run.flows().filter(|flow| flow["destination"]["port"] == to.port());
    let containers: Vec<_> = flows.map(|flow| flow["container"]["id"].as_str().map(str::to_owned)).collect();
    assert_eq!(containers.len(), ids.len());
    let told: BTreeSet<String> = containers.iter().flatten().cloned().collect();
    assert_eq!(told, ids, "{containers:?}");
}
