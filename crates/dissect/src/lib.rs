//! Bytes to facts.
//!
//! [`Dissection::of`] reads one packet from its link type down to its
//! transport payload; [`app`] reads what the payload says. Pure: no I/O, no
//! clock, no allocation per packet, no panic. Any bytes give a dissection;
//! how it ended is [`Stop`].
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

pub mod app;
mod boxed;
mod dissection;
mod facts;
pub mod names;
mod neighbour;
pub mod packet;
mod port_set;

pub use dissection::{Dissection, Layer, MAX_LAYERS, MAX_TUNNELS, Tunnel};
pub use facts::{
    Direction, Endpoint, FiveTuple, Fragment, Icmp, Ip, KernelCount, LinkType, Packet, Pause, SettledCount,
    Stop, Stretch, Tcp, TcpFlags, Timestamp, Unread, Way,
};
pub use neighbour::Mac;
