//! From what was typed to what is done: checks that belong together, defaults, names.

use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};

use flow::{Config, GroupBy, Keep, Options, Selection};

use crate::args::{ColorArg, GroupArg, ReportArgs};
use crate::hosts;
use crate::pipeline::Job;
use crate::view::report;

/// Where local names stand (hosts(5)).
const HOSTS: &str = "/etc/hosts";
/// Rows of `--count 0`.
const ALL: usize = usize::MAX;

/// Everything that a run needs.
#[derive(Debug)]
pub struct Plan {
    /// What is read, and how it is counted.
    pub job: Job,
    /// The report on standard output, unless JSON takes its place.
    pub report: Option<report::Options>,
    /// Where JSON goes: `-` is standard output.
    pub json: Option<PathBuf>,
    /// No progress, no warnings.
    pub quiet: bool,
}

impl Plan {
    /// Checks and completes `args`; an error is one line of what to type instead.
    pub fn new(args: ReportArgs) -> Result<Self, String> {
        if args.read.is_empty() {
            return Err("nothing to read: name a capture with -r FILE (- is standard input)".to_owned());
        }
        if args.read.iter().filter(|p| *p == Path::new("-")).count() > 1 {
            return Err("standard input can be read only once".to_owned());
        }
        let group = args.group.map(group_by).transpose()?;
        let json_on_stdout = args.json.as_deref() == Some(Path::new("-"));
        let report = (!json_on_stdout).then(|| report_options(&args));
        let names = if args.resolve { hosts::read(Path::new(HOSTS)) } else { Vec::new() };
        let config = Config {
            rows: if args.count == 0 { ALL } else { args.count },
            sort: args.sort.into(),
            selection: Selection {
                no_local: args.no_local,
                exclude_lan: args.exclude_lan,
                local: args.local,
            },
            group,
            dns_lines: args.dns_count,
            events: args.json.is_some(),
        };
        let job = Job {
            paths: args.read,
            options: Options {
                decap: !args.no_decap,
                max_flows: args.max_flows as usize,
                keep: Keep { all: config.events, answers: config.dns_lines },
                ..Options::default()
            },
            config,
            names,
            since: args.since,
            until: args.until,
            utc: args.utc,
            interval: (!args.once).then_some(args.time),
            duration: args.duration,
        };
        Ok(Plan { job, report, json: args.json, quiet: args.quiet })
    }
}

fn group_by(arg: GroupArg) -> Result<GroupBy, String> {
    match arg {
        GroupArg::Host => Ok(GroupBy::Host),
        GroupArg::Name => Ok(GroupBy::Name),
        GroupArg::Service => Ok(GroupBy::Service),
        GroupArg::Interface => Ok(GroupBy::Interface),
        GroupArg::Process | GroupArg::Container | GroupArg::User => {
            Err("captures do not say who owned a flow: use -g=host, -g=name, -g=service or -g=interface"
                .to_owned())
        }
    }
}

fn report_options(args: &ReportArgs) -> report::Options {
    let terminal = stdout().is_terminal();
    let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    report::Options {
        width: terminal
            .then(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)))
            .flatten(),
        color: match args.color {
            ColorArg::Auto => terminal && !dumb && !no_color,
            ColorArg::Always => true,
            ColorArg::Never => false,
        },
        repaint: terminal && !dumb,
        units: args.units.into(),
        utc: args.utc,
        resolve: args.resolve,
        verbose: args.verbose,
        dns_lines: args.dns_count > 0,
        sort: args.sort.into(),
    }
}
