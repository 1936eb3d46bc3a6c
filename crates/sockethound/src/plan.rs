//! From what was typed to what is done: checks that belong together, defaults, names.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dissect::app::Depth;
use flow::{Config, GroupBy, Keep, Options, ProcessPattern, Selection, Timeouts};

use crate::args::ReportArgs;
use crate::hosts;
use crate::pipeline::{Files, Job};
use crate::view::chosen::{Chosen, chosen};

/// Where local names stand (hosts(5)).
const HOSTS: &str = "/etc/hosts";
/// Rows of `--count 0`.
const ALL: usize = usize::MAX;

/// Everything that a run needs.
#[derive(Debug)]
pub struct Plan {
    /// Where packets come from.
    pub source: Source,
    /// How they are counted.
    pub job: Job,
    /// What it is shown in.
    pub views: Vec<Chosen>,
    /// Databases that say where addresses are.
    pub geoip: Vec<PathBuf>,
    /// No progress, no warnings.
    pub quiet: bool,
    /// Give up no privileges.
    pub no_sandbox: bool,
}

/// Where packets come from.
#[derive(Debug)]
pub enum Source {
    /// Captures.
    Files(Files),
    /// This machine's interfaces.
    Interfaces(Interfaces),
}

/// What is captured of which interfaces.
#[expect(clippy::struct_excessive_bools, reason = "one switch, one field")]
#[derive(Clone, Debug)]
pub struct Interfaces {
    /// Their names; none for all.
    pub names: Vec<String>,
    /// Capture what is addressed to others, too.
    pub promiscuous: bool,
    /// Bytes kept of each packet, 0 for all; `None` for as many as are read.
    pub snaplen: Option<u32>,
    /// Memory for packets, in bytes; `None` for as much as suits.
    pub ring_bytes: Option<usize>,
    /// How many threads count.
    pub workers: usize,
    /// Use the clocks of network cards.
    pub hardware_clock: bool,
    /// Look up names of addresses that have none.
    pub resolve: bool,
    /// Load no programs into the kernel.
    pub no_bpf: bool,
    /// Memory for what they would tell, in KiB.
    pub bpf_ring: u32,
    /// What the ring has no room for is dropped, not counted.
    pub drop_when_late: bool,
}

impl Plan {
    /// Checks and completes `args`; an error is one line of what to type instead.
    pub fn new(args: ReportArgs) -> Result<Self, String> {
        let live = args.read.is_empty();
        check(&args, live)?;
        let views = chosen(&args)?;
        for path in views.iter().filter_map(|view| view.to.as_ref()) {
            if args.read.iter().any(|read| is_same_file(read, path)) {
                return Err(format!("{} is read: it cannot be written too", path.display()));
            }
        }
        Ok(Plan {
            job: job(&args, live, views.iter().any(|view| view.takes_events)),
            views,
            geoip: args.geoip.clone(),
            quiet: args.quiet,
            no_sandbox: args.no_sandbox,
            source: source(args, live),
        })
    }
}

/// Says what does not go together.
fn check(args: &ReportArgs, live: bool) -> Result<(), String> {
    if live && (args.since.is_some() || args.until.is_some()) {
        return Err("--since and --until choose packets of captures: name one with -r FILE".to_owned());
    }
    if args.read.iter().filter(|p| *p == Path::new("-")).count() > 1 {
        return Err("standard input can be read only once".to_owned());
    }
    if args.group.is_some() && !args.sort.is_of_groups() {
        return Err("groups are sorted by bytes, packets, first or last (-s)".to_owned());
    }
    if !live && args.group.is_some_and(GroupBy::is_of_processes) {
        let instead = "use -g=host, -g=name, -g=service or -g=interface";
        return Err(format!("captures do not say who owned a flow: {instead}"));
    }
    Ok(())
}

fn job(args: &ReportArgs, live: bool, events: bool) -> Job {
    let config = Config {
        rows: if args.count == 0 { ALL } else { args.count },
        sort: args.sort,
        selection: Selection {
            no_local: args.no_local,
            exclude_lan: args.exclude_lan,
            local: args.local.clone(),
            told: BTreeSet::new(),
            processes: with_real_paths(&args.process),
            own: Vec::new(),
        },
        group: args.group,
        dns_lines: args.dns_count,
        events,
        live: None,
    };
    let shows_names = events || args.resolve || args.group == Some(GroupBy::Name);
    Job {
        options: Options {
            decap: !args.no_decap,
            max_flows: args.max_flows as usize,
            keep: Keep { all: events, answers: config.dns_lines, once: live, nameless: !shows_names },
            depth: if events { Depth::All } else { Depth::Names },
            live: live.then_some(Timeouts {
                tcp_closed: args.tcp_closed,
                tcp_idle: args.tcp_idle,
                idle: args.idle,
            }),
            ..Options::default()
        },
        config,
        names: if args.resolve { hosts::read(Path::new(HOSTS)) } else { Vec::new() },
        interval: (!args.once).then_some(args.time),
        duration: args.duration,
    }
}

fn source(args: ReportArgs, live: bool) -> Source {
    if !live {
        return Source::Files(Files {
            paths: args.read,
            since: args.since,
            until: args.until,
            utc: args.utc,
        });
    }
    Source::Interfaces(Interfaces {
        names: args.interface,
        promiscuous: args.promisc,
        snaplen: args.snaplen,
        ring_bytes: args.ring.map(|mib| (mib * f64::from(1 << 20)) as usize),
        workers: usize::from(args.workers),
        hardware_clock: args.hardware_clock,
        resolve: args.resolve,
        no_bpf: args.no_bpf,
        bpf_ring: args.bpf_ring,
        drop_when_late: args.drop_when_late,
    })
}

/// Patterns, and for what is no executable's own path (`/bin/sh` where `/bin` is a link) another one for that: it is what the
/// kernel tells.
fn with_real_paths(patterns: &[ProcessPattern]) -> Vec<ProcessPattern> {
    let real = patterns.iter().filter_map(|pattern| {
        let ProcessPattern::Executable(path) = pattern else { return None };
        let real = std::fs::canonicalize(path).ok()?.into_os_string().into_string().ok()?;
        (real != *path).then_some(ProcessPattern::Executable(real))
    });
    patterns.iter().cloned().chain(real).collect()
}

/// Whether both are one regular file, by whatever names.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| {
        let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some((meta.dev(), meta.ino()))
    };
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_is_meant_by_whatever_path_leads_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(folder.path()).unwrap().join("programs");
        std::fs::create_dir(&real).unwrap();
        std::fs::write(real.join("tool"), "").unwrap();
        let link = folder.path().join("bin");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let exe = |path: &Path| ProcessPattern::Executable(path.to_str().unwrap().to_owned());
        let asked = [exe(&link.join("tool")), exe(Path::new("/no/such")), ProcessPattern::Pid(5), exe(&real)];
        let mut expected = asked.to_vec();
        expected.push(exe(&real.join("tool")));
        assert_eq!(with_real_paths(&asked), expected);
    }
}
