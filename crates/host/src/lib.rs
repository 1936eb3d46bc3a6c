//! What the host knows: who holds a socket, and which addresses are its own.
//!
//! [`Owners`] answers [`Question`]s: the kernel is asked for the one socket
//! that a five-tuple belongs to (sock_diag), `/proc` for the process that holds
//! it, and the process for its name, user, unit and container. Everything is
//! asked on demand, for a set of flows at once, at a bounded rate; nothing here
//! runs periodically. [`service`] lets a process that was forked beforehand, and
//! kept its privileges, answer over a socket pair. [`Conntrack`] tells which
//! five-tuples are one flow before and behind a translation of addresses.
#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod addresses;
#[cfg(target_os = "linux")]
mod asking;
mod budget;
mod cgroup;
#[cfg(target_os = "linux")]
mod conntrack;
mod container;
#[cfg(target_os = "linux")]
mod diag;
#[cfg(target_os = "linux")]
mod fds;
#[cfg(target_os = "linux")]
mod holders;
#[cfg(target_os = "linux")]
pub mod kernel;
#[cfg(target_os = "linux")]
mod namespaces;
#[cfg(target_os = "linux")]
mod netlink;
mod owner;
#[cfg(target_os = "linux")]
mod owners;
mod proc;
mod proc_net;
#[cfg(target_os = "linux")]
pub mod service;
mod sockets;
mod users;

#[cfg(target_os = "linux")]
pub use addresses::LocalAddresses;
pub use budget::Budget;
pub use cgroup::Placement;
#[cfg(target_os = "linux")]
pub use conntrack::{Conntrack, Translation};
pub use flow::{
    Answer, Attributed, Change, Container, Elsewhere, End, Evidence, Owner, Protocol, Question, Reason,
    Runtime,
};
#[cfg(target_os = "linux")]
pub use namespaces::{DiagSockets, NetNamespace};
#[cfg(target_os = "linux")]
pub use owners::{Config, Costs, Owners};
pub use proc::{Proc, Stat};
pub use sockets::{Socket, SocketTable, State};
pub use users::is_user;
