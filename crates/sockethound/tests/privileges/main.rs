//! The program with and without privileges.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod doctor;
mod files;
mod live;
mod process;
mod program;
