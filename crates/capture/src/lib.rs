//! Kernel or file to packets.
//!
//! A [`PacketSource`] lends batches of packets. What comes after it does not
//! know whether they came from a file, a pipe or a ring.
#![deny(unsafe_code)]

mod batch;
#[cfg(target_os = "linux")]
pub mod bpf;
mod fetch;
pub mod file;
#[cfg(target_os = "linux")]
pub mod memory;
#[cfg(target_os = "linux")]
pub mod ring;
mod source;

pub use batch::{Batch, InPlace, Reader, Record, Records};
pub use fetch::bring_near;
pub use source::{CaptureStats, Interface, Next, PacketSource};
