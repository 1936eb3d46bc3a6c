//! How the command line asks for the report.

use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::sync::Arc;

use super::{Options, Report, Width};
use crate::args::{ColorArg, ReportArgs};
use crate::services::Services;
use crate::view::View;
use crate::view::chosen::{Chosen, Means};

/// What ports are called (services(5)).
const SERVICES: &str = "/etc/services";

/// The report, which is there unless something else is asked for.
#[expect(clippy::unnecessary_wraps, reason = "as of every view")]
pub(in crate::view) fn chosen(args: &ReportArgs) -> Option<Chosen> {
    let options = options(args);
    let make = move |means: &Means| -> Box<dyn View> {
        Box::new(Report::new(Options { geo: means.geo.clone(), ..options }))
    };
    Some(Chosen::new(make).by_default())
}

fn options(args: &ReportArgs) -> Options {
    let terminal = stdout().is_terminal();
    let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    Options {
        lines: None,
        width: if terminal { Width::Terminal } else { Width::None },
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
