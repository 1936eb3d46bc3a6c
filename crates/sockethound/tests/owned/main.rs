//! The program, told by the kernel whose sockets are: every kind of socket, processes that end at once, and what happens
//! where the kernel tells less.
//!
//! Needs root, and a C compiler for what uses the sockets; without them every test says so and does nothing.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test's own surroundings must work")]

#[path = "../live/lab.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod lab;
#[path = "../live/program.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod program;
#[path = "../../../capture/tests/ring/sys.rs"]
mod sys;

mod accounts;
mod attached;
mod kinds;
mod many;
mod rungs;
mod user;
