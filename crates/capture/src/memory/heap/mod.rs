//! The C library's heap: where it is, and what of it is kept.

mod sys;

/// Has whatever is allocated from here on lie together, in large pages, and has what is freed of it be kept: a live capture asks
/// for as much again at every report, and fresh pages cost more than what is written there.
///
/// To be called first of all: what was allocated before stays where it is. On another C library than GNU's nothing changes.
pub fn large_heap() {
    sys::enlarge();
}

/// Hands freed memory back to the kernel, where the C library keeps some: after much of it was used once, for something
/// that is over.
pub fn give_back() {
    sys::trim();
}

/// Brings what is in use into large pages: once much has been freed, and what was allocated since lies wherever there was room.
/// It copies as many bytes as the heap has.
///
/// A kernel before 6.1 leaves it as it is.
pub fn gather_heap() {
    sys::gather();
}

/// Has so many bytes be there for what is allocated next.
pub(super) fn make_room(bytes: usize) {
    sys::make_room(bytes);
}

/// Has all threads take memory from one heap. Those that threads begin of their own grow page by page, at a system call each;
/// this one by some dozens. It suits a program of which one thread does nearly all there is to do.
pub fn share_heap() {
    sys::share();
}
