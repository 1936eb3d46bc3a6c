//! What programs in the kernel tell: whose sockets are, while they live.
//!
//! The programs are C, compiled beforehand (`*.bpf.c` beside their `*.bpf.o`), and
//! find the running kernel's layouts by themselves (CO-RE). Links hold them, so
//! that nothing stays attached when the process ends, however it does.

mod accounts;
mod cgroup;
mod event;
mod load;
mod owners;
mod sys;
mod trampolines;

pub(crate) use self::sys::Words;

pub use self::accounts::{Account, RoundTrip, Total};
pub use self::event::{Comm, Event, Kind, Known, Process, Program};
pub use self::load::{Object, Place, Refusal};
pub use self::owners::{Hooks, Options, hooks, is_counting, namespace_cookie};
pub use self::trampolines::probe as probe_trampolines;
