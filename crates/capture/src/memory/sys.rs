//! An allocator that asks the kernel for large pages, and else leaves all to the C library's.
#![allow(unsafe_code, reason = "an allocator's contract, the C library's allocator, and one system call")]

use std::alloc::{GlobalAlloc, Layout};
use std::ops::Range;
use std::ptr;

use super::tables;

/// A large page of x86-64, and of AArch64 with pages of 4 KiB.
pub(super) const LARGE: usize = 2 << 20;
/// The least that large pages are asked for. What is smaller is few pages, and clearing large ones for it costs more than
/// their fewer misses save.
const LEAST: usize = 3 * LARGE;
/// What is at least so large and aligned to lines of the processor's cache is a table, most of which may never be used: it is
/// memory of its own, of which only those pages come that are touched.
const TABLE: usize = 1 << 20;
/// What the kernel aligns to, on any processor.
const PAGE: usize = 4096;
/// What `malloc` aligns to (`max_align_t`).
const ALIGNED: usize = align_of::<libc::max_align_t>();

/// The C library's allocator; what is at least three large pages long begins on one, and the kernel is asked to use
/// them.
///
/// The kernel may refuse (`/sys/kernel/mm/transparent_hugepage/enabled` may say `never`): then pages are small, and
/// all is as without it. What grows stays where it is or is moved by its page tables, as ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct LargePages;

/// Has the kernel give the pages of memory that will be written soon, all at once: that takes half of the time that it takes
/// when they are written, one after the other.
///
/// A kernel before 5.14 gives them when they are written.
pub fn make_ready(memory: Range<*const u8>) {
    // SAFETY: it asks for a number.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(LARGE);
    let before = memory.start.addr() % page;
    let length = memory.end.addr().saturating_sub(memory.start.addr()) + before;
    let start = memory.start.wrapping_sub(before).cast_mut();
    // SAFETY: nothing of what is in these pages changes, whosever they are. Failure leaves all as it is.
    unsafe { libc::madvise(start.cast(), length.next_multiple_of(page), libc::MADV_POPULATE_WRITE) };
}

/// Asks the kernel for large pages in the `len` bytes at `start`.
fn advise(start: *mut u8, len: usize) {
    if len < LEAST {
        return;
    }
    let before = start.align_offset(LARGE);
    let whole = len.saturating_sub(before) & !(LARGE - 1);
    if whole > 0 && !start.is_null() {
        // SAFETY: the range is whole pages of an allocation of ours, and the advice changes nothing of what is in it.
        // Failure leaves small pages.
        unsafe { libc::madvise(start.wrapping_add(before).cast(), whole, libc::MADV_HUGEPAGE) };
    }
}

/// Whether a block is one of the kernel's and not of the C library's.
fn is_table(layout: Layout) -> bool {
    (ALIGNED + 1..=PAGE).contains(&layout.align()) && (TABLE..LEAST).contains(&layout.size())
}

/// So many bytes of the kernel's, all zero; null if there are none.
pub(super) fn mapped(size: usize) -> *mut u8 {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at a place of the kernel's choice touches no memory of ours.
    let start = unsafe { libc::mmap(ptr::null_mut(), size, access, kind, -1, 0) };
    if start == libc::MAP_FAILED { ptr::null_mut() } else { start.cast() }
}

/// So many bytes, aligned more strictly than `malloc` does; null if there are none.
fn aligned(align: usize, size: usize) -> *mut u8 {
    let mut start = ptr::null_mut();
    // SAFETY: `align` is a power of two and, being above that of `malloc`, a multiple of a pointer's size.
    let failed = unsafe { libc::posix_memalign(&raw mut start, align, size) };
    if failed == 0 { start.cast() } else { ptr::null_mut() }
}

// SAFETY: every block is of the size and with the alignment that were asked for. It is the C library's, all of whose blocks are
// freed and resized by the same two functions, or, as its layout says, a mapping.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        if size >= LEAST {
            let start = aligned(LARGE.max(layout.align()), size);
            advise(start, size);
            start
        } else if is_table(layout) {
            let table = tables::take(size);
            if table.is_null() { mapped(size) } else { table }
        } else if layout.align() > ALIGNED {
            aligned(layout.align(), size)
        } else {
            // SAFETY: any size may be asked for.
            unsafe { libc::malloc(size).cast() }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= ALIGNED {
            // SAFETY: any size may be asked for. Fresh memory of the kernel is zero already.
            let start = unsafe { libc::calloc(1, layout.size()) }.cast();
            advise(start, layout.size());
            return start;
        }
        // SAFETY: the caller's promise.
        let start = unsafe { self.alloc(layout) };
        if !start.is_null() && !is_table(layout) {
            // SAFETY: so many bytes were just allocated there.
            unsafe { start.write_bytes(0, layout.size()) };
        }
        start
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if is_table(layout) {
            if tables::give(start, layout.size()) {
                return;
            }
            // SAFETY: a mapping of so many bytes, by the caller's promise that it was allocated with this layout and not freed yet.
            unsafe { libc::munmap(start.cast(), layout.size()) };
            return;
        }
        // SAFETY: a block of the C library's, by the caller's promise not freed yet.
        unsafe { libc::free(start.cast()) };
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= ALIGNED {
            // SAFETY: a block of the C library's; the size is not zero, by the caller's promise.
            let to = unsafe { libc::realloc(start.cast(), size) }.cast();
            advise(to, size);
            return to;
        }
        // SAFETY: the caller promises a size that is not zero and fits the alignment.
        let to = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !to.is_null() {
            // SAFETY: both are allocated, apart from each other, and hold so many bytes.
            unsafe { to.copy_from_nonoverlapping(start, layout.size().min(size)) };
            // SAFETY: it was allocated with this layout, and is not used any more.
            unsafe { self.dealloc(start, layout) };
        }
        to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_through_every_change_of_size() {
        for align in [1, 8, 64, 4096] {
            let sizes =
                [1, 4096, TABLE - 1, TABLE, TABLE + 1, LEAST - 1, LEAST, LEAST + 1, 2 * LEAST, LARGE, 100];
            let byte = |at: usize| (at % 251) as u8;
            let mut layout = Layout::from_size_align(sizes[0], align).unwrap();
            // SAFETY: sizes are not zero, and each block is freed once, with the layout that it has.
            unsafe {
                let mut start = LargePages.alloc(layout);
                start.write(byte(0));
                for size in sizes {
                    let kept = layout.size().min(size);
                    start = LargePages.realloc(start, layout, size);
                    layout = Layout::from_size_align(size, align).unwrap();
                    let bytes = std::slice::from_raw_parts_mut(start, size);
                    assert!(start.addr().is_multiple_of(align));
                    assert!(bytes.iter().take(kept).enumerate().all(|(at, b)| *b == byte(at)));
                    bytes.iter_mut().enumerate().for_each(|(at, b)| *b = byte(at));
                }
                LargePages.dealloc(start, layout);
            }
        }
    }

    #[test]
    fn what_is_made_ready_stays_what_it_is() {
        let mut bytes = vec![7_u8; 1 << 20];
        let all = bytes.as_ptr_range();
        make_ready(all.start.wrapping_add(5)..all.end.wrapping_sub(9));
        make_ready(all.end..all.start);
        assert!(bytes.iter().all(|byte| *byte == 7));
        bytes.reserve_exact(1 << 20);
        let room = bytes.spare_capacity_mut().as_ptr_range();
        make_ready(room.start.cast()..room.end.cast());
        bytes.resize(2 << 20, 7);
        assert!(bytes.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn what_is_long_begins_on_a_large_page() {
        for (size, align) in [(LEAST, 1), (LEAST + 5, 64), (5, 64), (2 * LEAST, 2 * LARGE)] {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: sizes are not zero, and each block is freed once, with its layout.
            unsafe {
                let start = LargePages.alloc(layout);
                assert!(size < LEAST || start.addr().is_multiple_of(LARGE));
                assert!(start.addr().is_multiple_of(align));
                LargePages.dealloc(start, layout);
                let start = LargePages.alloc_zeroed(layout);
                assert!(start.addr().is_multiple_of(align));
                assert!(std::slice::from_raw_parts(start, size).iter().all(|b| *b == 0));
                LargePages.dealloc(start, layout);
            }
        }
    }
}
