//! How the command line asks for records.

use super::Ndjson;
use crate::args::ReportArgs;
use crate::vendors::{self, Vendors};
use crate::view::chosen::Chosen;

/// `--json`, `--json=FILE`.
pub(in crate::view) fn chosen(args: &ReportArgs) -> Option<Chosen> {
    let path = args.json.as_deref()?;
    let make = Chosen::new(|means| {
        let view = Ndjson::new(means.live).with_geo(means.geo.clone());
        Box::new(view.with_vendors(Vendors::read(&vendors::TABLES)))
    });
    Some(make.at(path).taking_events())
}
