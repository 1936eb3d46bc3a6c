//! How a live run begins where there is no live capture: not at all.

use std::path::Path;

use crate::exit::Exit;
use crate::pipeline::{Files, Job, Live};
use crate::plan::Interfaces;

/// How a run could not begin: the exit status, and one line.
pub(crate) type Refusal = (Exit, String);

/// Says that captures can be read.
pub(crate) fn open(_: &Interfaces, _: &mut Job, _: bool, _: bool) -> Result<Live, Refusal> {
    Err((Exit::NotPermitted, "interfaces are captured on Linux only; -r FILE reads a capture".to_owned()))
}

/// Nothing was begun.
pub(crate) fn confine(_: &[&Path], _: bool, _: bool) -> Result<(), Refusal> {
    Ok(())
}

/// Captures are read as whoever started the program: what confines them is Linux's.
pub(crate) fn confine_to(_: &Files, _: &[&Path], _: bool, _: bool) -> Result<(), Refusal> {
    Ok(())
}
