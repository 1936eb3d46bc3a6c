//! Which views the command line asks for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{VIEWS, View};
use crate::args::ReportArgs;
use crate::geo::Geo;

/// What views are made with, beside their own options.
#[derive(Debug, Default)]
pub struct Means {
    /// Packets are those of this machine's interfaces.
    pub live: bool,
    /// Where addresses are, if a database was named.
    pub geo: Option<Arc<Geo>>,
}

/// What makes a view.
type Make = dyn FnOnce(&Means) -> Box<dyn View>;

/// One view that was asked for.
pub struct Chosen {
    /// Its file; `None` is standard output.
    pub to: Option<PathBuf>,
    /// It is shown unless another one takes its place on standard output.
    pub is_default: bool,
    /// It tells of single events, which are read deeper and kept for it.
    pub takes_events: bool,
    make: Box<Make>,
}

impl Chosen {
    /// A view on standard output, which `make` makes: before privileges are given up, so that it may read files.
    pub(super) fn new(make: impl FnOnce(&Means) -> Box<dyn View> + 'static) -> Self {
        Chosen { to: None, is_default: false, takes_events: false, make: Box::new(make) }
    }

    /// The same where an option's `path` says: `-` is standard output.
    pub(super) fn at(self, path: &Path) -> Self {
        Chosen { to: (path != Path::new("-")).then(|| path.to_owned()), ..self }
    }

    /// The same, shown unless another one takes its place.
    pub(super) fn by_default(self) -> Self {
        Chosen { is_default: true, ..self }
    }

    /// The same, which tells of single events.
    pub(super) fn taking_events(self) -> Self {
        Chosen { takes_events: true, ..self }
    }

    /// The view itself.
    pub fn make(self, means: &Means) -> (Box<dyn View>, Option<PathBuf>) {
        ((self.make)(means), self.to)
    }
}

impl fmt::Debug for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chosen").field("to", &self.to).finish_non_exhaustive()
    }
}

/// The views that `args` ask for. Standard output has room for one; an error is one line of what to type instead.
pub fn chosen(args: &ReportArgs) -> Result<Vec<Chosen>, String> {
    let mut all: Vec<Chosen> = VIEWS.iter().filter_map(|chosen| chosen(args)).collect();
    match all.iter().filter(|view| view.to.is_none() && !view.is_default).count() {
        0 => {}
        1 => all.retain(|view| !view.is_default),
        _ => return Err("only one view has room on standard output: give the others a file".to_owned()),
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn the_report_gives_way_on_standard_output() {
        let places = |typed: &[&str]| {
            let cli = Cli::parse_from([&["sockethound"], typed].concat());
            let views = chosen(&cli.report).unwrap();
            views.into_iter().map(|view| (view.to, view.is_default)).collect::<Vec<_>>()
        };
        assert_eq!(places(&[]), [(None, true)]);
        assert_eq!(places(&["--json"]), [(None, false)]);
        assert_eq!(places(&["--json=-"]), [(None, false)]);
        assert_eq!(places(&["--json=x"]), [(None, true), (Some("x".into()), false)]);
    }
}
