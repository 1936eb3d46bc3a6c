//! From what was typed to what is done: checks that belong together, defaults, names.

use std::collections::BTreeSet;
use std::io::{IsTerminal, stdout};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dissect::app::Depth;
use flow::{Config, GroupBy, Keep, Options, Selection, Timeouts};

use crate::args::{ColorArg, ReportArgs};
use crate::hosts;
use crate::pipeline::{Files, Job};
use crate::services::Services;
use crate::view::report;

/// Where local names stand (hosts(5)).
const HOSTS: &str = "/etc/hosts";
/// What ports are called (services(5)).
const SERVICES: &str = "/etc/services";
/// Rows of `--count 0`.
const ALL: usize = usize::MAX;

/// Everything that a run needs.
#[derive(Debug)]
pub struct Plan {
    /// Where packets come from.
    pub source: Source,
    /// How they are counted.
    pub job: Job,
    /// The report on standard output, unless JSON takes its place.
    pub report: Option<report::Options>,
    /// Where JSON goes: `-` is standard output.
    pub json: Option<PathBuf>,
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
    /// Memory for packets, in bytes.
    pub ring_bytes: usize,
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
        let json_on_stdout = args.json.as_deref() == Some(Path::new("-"));
        Ok(Plan {
            job: job(&args, live),
            report: (!json_on_stdout).then(|| report_options(&args)),
            json: args.json.clone(),
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
    if let Some(json) = &args.json
        && args.read.iter().any(|path| is_same_file(path, json))
    {
        return Err(format!("{} is read: it cannot be written too", json.display()));
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

fn job(args: &ReportArgs, live: bool) -> Job {
    let config = Config {
        rows: if args.count == 0 { ALL } else { args.count },
        sort: args.sort,
        selection: Selection {
            no_local: args.no_local,
            exclude_lan: args.exclude_lan,
            local: args.local.clone(),
            told: BTreeSet::new(),
            processes: args.process.clone(),
            own: Vec::new(),
        },
        group: args.group,
        dns_lines: args.dns_count,
        events: args.json.is_some(),
        live: None,
    };
    Job {
        options: Options {
            decap: !args.no_decap,
            max_flows: args.max_flows as usize,
            keep: Keep { all: config.events, answers: config.dns_lines, once: live },
            depth: if config.events { Depth::All } else { Depth::Names },
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
        ring_bytes: (args.ring * f64::from(1 << 20)) as usize,
        workers: usize::from(args.workers),
        hardware_clock: args.hardware_clock,
        resolve: args.resolve,
        no_bpf: args.no_bpf,
        bpf_ring: args.bpf_ring,
        drop_when_late: args.drop_when_late,
    })
}

/// Whether both are one regular file, by whatever names.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| {
        let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some((meta.dev(), meta.ino()))
    };
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

fn report_options(args: &ReportArgs) -> report::Options {
    let terminal = stdout().is_terminal();
    let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    report::Options {
        lines: None,
        width: if terminal { report::Width::Terminal } else { report::Width::None },
        color: match args.color {
            ColorArg::Auto => terminal && !dumb && !no_color,
            ColorArg::Always => true,
            ColorArg::Never => false,
        },
        repaint: terminal && !dumb,
        units: args.units,
        utc: args.utc,
        resolve: args.resolve,
        verbose: args.verbose,
        dns_lines: args.dns_count > 0,
        sort: args.sort,
        group: args.group,
        services: Arc::new(Services::read(Path::new(SERVICES))),
        geo: None,
    }
}
