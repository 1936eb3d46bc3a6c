//! Nothing stays in the kernel, however the program ends; and while it runs, little stays permitted.

use std::fs;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::kinds::{settle, told};
use crate::lab::{Lab, wait_until};
use crate::program::{Running, end};
use crate::user::User;

/// The process that looks up owners for `of`.
fn owner_service(of: Pid) -> u32 {
    let mut found = None;
    wait_until("the process that looks up owners runs", || {
        let pids =
            fs::read_dir("/proc").unwrap().filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok());
        found = pids.into_iter().find(|pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.contains("(owner-service)")
                && stat.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap()
                    == of.as_raw_nonzero().to_string()
        });
        found.is_some()
    });
    found.unwrap()
}

/// The ids of what a process holds in the kernel: `prog` or `link`, as its descriptors say.
fn held(what: &str, pid: u32) -> Vec<u64> {
    let folder = format!("/proc/{pid}/fdinfo");
    let files = fs::read_dir(folder).unwrap().filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    let prefix = format!("{what}_id:");
    let mut ids: Vec<u64> = files
        .filter_map(|text| text.lines().find_map(|line| line.strip_prefix(&prefix)?.trim().parse().ok()))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Those of `ids` that are still there.
fn left(what: &str, ids: &[u64]) -> Vec<u64> {
    // It gives an error instead of a list if one of them, anybody's, goes while it looks.
    let list = (0..100).find_map(|_| {
        let output = Command::new("bpftool").args(["-j", what, "list"]).output().unwrap();
        let list: Value = serde_json::from_slice(&output.stdout).ok()?;
        list.as_array().cloned()
    });
    let all = list.expect("bpftool lists them").into_iter().filter_map(|entry| entry["id"].as_u64());
    all.filter(|id| ids.contains(id)).collect()
}

#[test]
#[allow(clippy::print_stderr)]
fn root_nothing_stays_attached() {
    let Some(lab) = Lab::pair() else { return };
    if Command::new("bpftool").arg("version").output().is_err() {
        return eprintln!("skipped: needs bpftool");
    }
    for (who, signal) in [("it", Signal::KILL), ("its service", Signal::KILL), ("it", Signal::INT)] {
        let running = Running::start(&lab, "a", "-i va");
        let service = owner_service(running.pid());
        let (links, programs) = (held("link", service), held("prog", service));
        assert!(links.len() >= 8 && programs.len() >= 8, "{links:?} {programs:?}");
        assert_eq!((left("link", &links), left("prog", &programs)), (links.clone(), programs.clone()));
        let whom = if who == "it" { running.pid() } else { Pid::from_raw(service as i32).unwrap() };
        kill_process(whom, signal).unwrap();
        wait_until("everything is gone", || {
            left("link", &links).is_empty() && left("prog", &programs).is_empty()
        });
    }
}

#[test]
fn root_two_side_by_side() {
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let server = user.serve(&lab, "b", "the-server", "sink 10.N.1.2 0");
    let first = Running::start(&lab, "a", "-i va");
    let second = Running::start(&lab, "a", "-i va");
    let both = user.run(&lab, "a", "seen-by-both", &format!("tcp 10.N.1.2 {}", server.port))[0];
    settle();
    let first = first.stop();
    let one = user.run(&lab, "a", "seen-by-one", &format!("tcp 10.N.1.2 {}", server.port))[0];
    settle();
    let second = second.stop();
    for (run, made, name) in
        [(&first, both, "seen-by-both"), (&second, both, "seen-by-both"), (&second, one, "seen-by-one")]
    {
        let of_it = |flow: &&Value| end(&flow["source"]).port() == made.port;
        told(run.flows().find(of_it).unwrap(), made.pid, name);
    }
}

/// `CAP_SYS_PTRACE` and `CAP_DAC_READ_SEARCH`.
const PTRACE_AND_SEARCH: u64 = (1 << 19) | (1 << 2);

/// Programs run and are read without any of the capabilities that it took to load them.
#[test]
fn root_capabilities_are_given_up() {
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let running = Running::start(&lab, "a", "-i va");
    let service = owner_service(running.pid());
    let capabilities = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("CapPrm:")).unwrap().trim().to_owned();
        u64::from_str_radix(&line, 16).unwrap()
    };
    wait_until("capabilities are given up", || capabilities(service) == PTRACE_AND_SEARCH);
    assert_eq!(capabilities(running.pid().as_raw_nonzero().get() as u32), 0);
    let made = user.run(&lab, "a", "the-client", "unconnected 10.N.1.2 9")[0];
    settle();
    let run = running.stop();
    let of_it = |flow: &&Value| end(&flow["source"]).port() == made.port;
    told(run.flows().find(of_it).unwrap(), made.pid, "the-client");
}
