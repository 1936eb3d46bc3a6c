//! The program, as a library for its tests.

pub mod args;
#[cfg(target_os = "linux")]
mod attribution;
#[cfg(target_os = "linux")]
pub mod doctor;
pub mod exit;
pub mod geo;
mod hosts;
pub mod pipeline;
pub mod plan;
#[cfg(target_os = "linux")]
pub mod privilege;
mod progress;
pub mod resolver;
pub mod run;
pub mod services;
mod sink;
#[cfg(target_os = "linux")]
mod start;
#[cfg(not(target_os = "linux"))]
#[path = "no_start.rs"]
mod start;
pub mod vendors;
pub mod view;
pub mod when;
