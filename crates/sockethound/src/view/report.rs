//! wip
use super::View;
use std::io::{self, Write};
#[derive(Clone, Debug)]
pub struct Options {
    pub width: Option<usize>,
    pub color: bool,
    pub units: crate::args::UnitsArg,
    pub utc: bool,
    pub resolve: bool,
    pub verbose: bool,
    pub sort: flow::SortKey,
}
pub struct Report(Options);
impl Report {
    pub fn new(o: Options) -> Self {
        Self(o)
    }
}
impl View for Report {
    fn name(&self) -> &'static str {
        "report"
    }
    fn show(&mut self, s: &flow::Snapshot, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{:?} {:?}", s.total, s.ledger)
    }
}
