//! The program, as a library for its tests.

pub mod args;
#[cfg(target_os = "linux")]
pub mod doctor;
pub mod exit;
mod hosts;
pub mod pipeline;
pub mod plan;
#[cfg(target_os = "linux")]
pub mod privilege;
mod progress;
pub mod run;
mod sink;
pub mod view;
pub mod when;
