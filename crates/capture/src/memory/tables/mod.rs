//! Memory of tables, side by side in large pages.
//!
//! Flows that begin are a page here and a page there of each table; in a virtual machine each of them, when it is cleared and
//! whenever it is walked over later, may have to be looked up by the host. Side by side, ten thousand flows are five places.

mod sys;

pub(super) use self::sys::{give, make_room, take};
