//! Live: packets that pass several interfaces count once, and every interface's account closes.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod counted;
mod ends;
#[path = "../kept/mod.rs"]
mod kept;
mod offload;
mod once;
mod openings;
mod pieces;
mod recorded;
mod replay;
mod settled;
mod source;
mod streams;
mod translated;
mod wire;
