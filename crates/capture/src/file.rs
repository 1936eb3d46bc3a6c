//! Capture files.

/// What went wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {}
