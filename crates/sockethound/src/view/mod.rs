//! Views: the same snapshot, many shapes. A view reads; it never feeds back.
//!
//! Adding one is a file here, its `mod` line and its line in `VIEWS`; the option that asks for it stands in `args.rs`.

pub mod chosen;
mod clock;
mod color;
mod json;
pub mod ndjson;
pub mod report;
pub(crate) mod text;
mod units;

use std::io::{self, Write};

use flow::{Event, Snapshot};

use self::chosen::Chosen;
use crate::args::ReportArgs;

/// Every view: whether and how the command line asks for it.
static VIEWS: &[fn(&ReportArgs) -> Option<Chosen>] = &[report::chosen::chosen, ndjson::chosen::chosen];

/// The JSON Schema of every line that [`ndjson::Ndjson`] writes.
pub const SCHEMA: &str = include_str!("../../schema/ndjson.schema.json");

/// One shape of output.
pub trait View {
    /// Whether each [`Self::show`] takes the place of the one before, as on a terminal.
    fn repaints(&self) -> bool {
        false
    }

    /// Writes what happened since the last call, if this view tells of single events.
    fn events(&mut self, _events: &[Event], _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// Writes what stands at one instant.
    fn show(&mut self, snapshot: &Snapshot, out: &mut dyn Write) -> io::Result<()>;
}
