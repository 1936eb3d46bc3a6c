use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use super::reading::FEW;
use super::*;

/// A tree in which processes hold the given sockets, from file 3 on.
fn tree(processes: &[(u32, &[u64])]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (pid, inodes) in processes {
        add(root.path(), *pid, inodes);
    }
    made(root.path(), 1);
    root
}

fn add(root: &Path, pid: u32, inodes: &[u64]) {
    let folder = root.join(pid.to_string()).join("fd");
    fs::create_dir_all(&folder).unwrap();
    for (number, inode) in inodes.iter().enumerate() {
        symlink(format!("socket:[{inode}]"), folder.join((number + 3).to_string())).unwrap();
    }
}

/// Says that a process was made.
fn made(root: &Path, last_pid: u32) {
    fs::write(root.join("loadavg"), format!("0 0 0 1/1 {last_pid}\n")).unwrap();
}

fn find(holders: &mut Holders, inodes: &[u64], effort: Effort) -> Vec<Holder> {
    holders.find(inodes, effort, Instant::now())
}

/// Says when a process was made, and by whom.
fn began(root: &Path, pid: u32, parent: u32, start: u64) {
    let stat = format!("{pid} (x) S {parent} 1 1 0 -1 0 1 0 0 0 0 0 0 0 20 0 1 0 {start} 1 1\n");
    fs::write(root.join(pid.to_string()).join("stat"), stat).unwrap();
}

#[test]
fn of_several_holders_the_one_that_began_first_but_init() {
    let root = tree(&[(1, &[10, 11]), (700, &[10, 12]), (500, &[10, 12])]);
    began(root.path(), 1, 0, 5);
    began(root.path(), 500, 700, 31);
    began(root.path(), 700, 1, 30);
    let mut holders = Holders::new(Proc::new(root.path()));
    let found = find(&mut holders, &[10, 11, 12, 13], Effort::Changed);
    let process = Holder::Process;
    assert_eq!(found, [process(700), process(1), process(700), Holder::NotFound]);
    assert_eq!(find(&mut holders, &[13], Effort::Everything), [Holder::Nobody]);
    fs::remove_dir_all(root.path().join("700")).unwrap();
    made(root.path(), 2);
    assert_eq!(find(&mut holders, &[99, 10], Effort::Changed), [Holder::NotFound, process(500)]);
}

#[test]
fn of_those_that_began_in_one_tick_the_parent() {
    let root = tree(&[(700, &[10]), (500, &[10]), (300, &[10])]);
    began(root.path(), 700, 1, 30);
    began(root.path(), 500, 700, 30);
    began(root.path(), 300, 500, 30);
    let mut holders = Holders::new(Proc::new(root.path()));
    assert_eq!(find(&mut holders, &[10], Effort::New), [Holder::Process(700)]);
    // Its parent is none of them.
    began(root.path(), 500, 1, 30);
    let mut holders = Holders::new(Proc::new(root.path()));
    assert_eq!(find(&mut holders, &[10], Effort::New), [Holder::Process(500)]);
}

#[test]
fn a_new_process_is_read_when_one_was_made() {
    let root = tree(&[(500, &[10])]);
    let mut holders = Holders::new(Proc::new(root.path()));
    add(root.path(), 501, &[20]);
    assert_eq!(find(&mut holders, &[20], Effort::Changed), [Holder::NotFound], "none was made");
    made(root.path(), 501);
    assert_eq!(find(&mut holders, &[20], Effort::Changed), [Holder::Process(501)]);
}

#[test]
fn processes_that_ended_are_forgotten() {
    let root = tree(&[(500, &[10])]);
    let mut holders = Holders::new(Proc::new(root.path()));
    made(root.path(), 500);
    assert_eq!(find(&mut holders, &[1], Effort::New), [Holder::NotFound]);
    // One after the other, each asked for while it lives.
    for pid in 501..1500 {
        add(root.path(), pid, &[u64::from(pid)]);
        fs::write(root.path().join(format!("{pid}/status")), format!("Tgid:\t{pid}\n")).unwrap();
        made(root.path(), pid);
        assert_eq!(find(&mut holders, &[u64::from(pid)], Effort::New), [Holder::Process(pid)]);
        fs::remove_dir_all(root.path().join(pid.to_string())).unwrap();
    }
    assert!(holders.processes.len() <= 2 * (2 + FEW as usize), "{}", holders.processes.len());
    // Whoever is looked at and is not there any more.
    assert_eq!(find(&mut holders, &[1], Effort::Changed), [Holder::NotFound]);
    assert_eq!(holders.processes.keys().copied().collect::<Vec<_>>(), [500]);
    assert!(!holders.index.has(1499));
}

#[test]
fn a_file_number_used_again_is_verified() {
    let root = tree(&[(500, &[10, 11])]);
    let mut holders = Holders::new(Proc::new(root.path()));
    let link = root.path().join("500/fd/3");
    fs::remove_file(&link).unwrap();
    symlink("socket:[30]", &link).unwrap();
    assert_eq!(find(&mut holders, &[10], Effort::Everything), [Holder::Nobody]);
    assert_eq!(find(&mut holders, &[30, 11], Effort::Everything), [Holder::Process(500); 2]);
}

#[test]
fn the_budget_bounds_what_is_read() {
    let many: Vec<u64> = (1000..1400).collect();
    let root = tree(&[(500, &many), (501, &[7])]);
    let mut holders = Holders::new(Proc::new(root.path()));
    let now = Instant::now();
    let before = holders.spent();
    for _ in 0..1000 {
        holders.find(&[9], Effort::Everything, now);
    }
    let spent = (holders.spent() - before) as f64;
    assert!(spent < READS_AT_ONCE + 2000.0, "{spent}");
    assert_eq!(holders.find(&[9], Effort::Everything, now), [Holder::NotFound]);
    let later = now + Duration::from_secs(10);
    assert_eq!(holders.find(&[9], Effort::Everything, later), [Holder::Nobody]);
}
