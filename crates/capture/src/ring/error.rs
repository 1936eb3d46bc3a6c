//! Why live capture cannot begin, or go on.

use std::io;

/// What went wrong with live capture. Every message is one lowercase line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel does not let us.
    #[error("cannot capture: permission denied; needs CAP_NET_RAW")]
    NotPermitted {
        /// What it said.
        source: io::Error,
    },
    /// None of that name is there.
    #[error("no such interface: {name}")]
    NoSuchInterface {
        /// The name.
        name: String,
    },
    /// The kernel has no memory for the ring.
    #[error("no memory for a ring of {bytes} bytes: {source}")]
    NoMemory {
        /// What was asked for.
        bytes: u64,
        /// What the kernel said.
        source: io::Error,
    },
    /// The network namespace cannot be entered.
    #[error("cannot enter network namespace {name}: {source}")]
    Namespace {
        /// Its file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot capture: {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Error {
    /// `source`, which came of `what`.
    pub(super) fn system(what: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::NotPermitted { source },
            _ => Self::System { what, source },
        }
    }
}
