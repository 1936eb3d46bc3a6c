//! The program, capturing live in network namespaces of its own: known traffic in, exact counts, paths and owners out.
//!
//! Needs root; without it every test says so and does nothing.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test's own surroundings must work")]

mod containers;
mod counts;
mod ends;
mod flood;
mod lab;
mod late;
mod once;
mod owners;
mod peer;
mod program;
mod resolvers;
mod settled;
mod sockets;
#[path = "../../../capture/tests/ring/sys.rs"]
mod sys;
mod terminal;
mod traffic;
mod translated;
mod ways;
