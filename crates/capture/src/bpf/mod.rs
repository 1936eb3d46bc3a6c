//! What programs in the kernel tell: whose sockets are, while they live.
//!
//! The programs are C, compiled beforehand (`*.bpf.c` beside their `*.bpf.o`), and
//! find the running kernel's layouts by themselves (CO-RE). Links hold them, so
//! that nothing stays attached when the process ends, however it does.

mod cgroup;
mod load;
mod owners;
mod sys;

pub use self::load::{Object, Place, Refusal};
pub use self::owners::{Event, Hooks, Kind, Known, Options, Process, namespace_cookie};
