//! Memory that lies together, in pages of 2 MiB where there is much of it.
//!
//! A flow table is read at random: on a million flows nearly every packet misses the translation of its flow's address,
//! and in a virtual machine a miss walks two page tables. With large pages, a capture of a million flows takes a fifth
//! less CPU time.
//!
//! And what a virtual machine has not touched for some seconds, its host may have taken out of its tables, large page by
//! large page. A program that wakes twice a second to do little then spends most of its time on having its places looked up
//! again. Where memory has been in use for long, what a program allocates, and what is read of its file, lies in whatever
//! small pages were free, each in another large one: some hundred places. Brought together, there are some twenty.

mod gather;
mod heap;
mod sys;

pub use self::gather::gather_program;
pub use self::heap::{give_back, large_heap, share_heap};
pub use self::sys::{LargePages, make_ready};
