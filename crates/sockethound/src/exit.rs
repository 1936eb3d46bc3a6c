//! Exit statuses.

/// Why the program ends. Where several apply, the greatest speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Exit {
    /// All was done.
    #[default]
    Done = 0,
    /// Something failed while running, or there was nothing to read.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The kernel does not let us.
    NotPermitted = 3,
    /// No interface of that name.
    NoSuchInterface = 4,
    /// An input is damaged; the report of its good part was printed.
    Damaged = 6,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}
