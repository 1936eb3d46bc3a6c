//! Memory in pages of 2 MiB where much of it is asked for at once.
//!
//! A flow table is read at random: on a million flows nearly every packet misses the translation of its flow's address,
//! and in a virtual machine a miss walks two page tables. With large pages, a capture of a million flows takes a fifth
//! less CPU time.

mod sys;

pub use self::sys::{LargePages, give_back, keep_freed, make_ready, share_heap};
