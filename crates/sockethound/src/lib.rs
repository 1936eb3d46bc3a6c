//! The program, as a library for its tests.

pub mod args;
pub mod exit;
mod hosts;
pub mod pipeline;
pub mod plan;
mod progress;
pub mod resolver;
pub mod run;
mod sink;
pub mod view;
pub mod when;
