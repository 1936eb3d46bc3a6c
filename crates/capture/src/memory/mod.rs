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
mod tables;

pub use self::gather::gather_program;
pub use self::heap::{gather_heap, give_back, large_heap, share_heap};
pub use self::sys::{LargePages, make_ready};

/// What ten thousand flows of a live capture take of the heap, and of tables.
const HEAP: usize = 9 << 20;
const TABLES: usize = 10 << 20;

/// Has the memory be there that ten thousand flows take, before they begin: when they do, a third of what is done for them would
/// be to have it cleared.
pub fn make_room() {
    heap::make_room(HEAP);
    tables::make_room(TABLES);
}
