//! An allocator that asks the kernel for large pages, and else leaves all to the system's.
#![allow(unsafe_code, reason = "an allocator's contract, and one system call")]

use std::alloc::{GlobalAlloc, Layout, System};

/// A large page of x86-64, and of AArch64 with pages of 4 KiB; the least that is worth one.
const LARGE: usize = 2 << 20;

/// The system's allocator; what is at least a large page long begins on one, and the kernel is asked to use them.
///
/// The kernel may refuse (`/sys/kernel/mm/transparent_hugepage/enabled` may say `never`): then pages are small, and
/// all is as without it.
#[derive(Clone, Copy, Debug, Default)]
pub struct LargePages;

/// How the system is asked for `layout`. The same for an allocation and its end.
fn asked(layout: Layout) -> Layout {
    if layout.size() < LARGE {
        return layout;
    }
    layout.align_to(LARGE).unwrap_or(layout)
}

/// Asks the kernel for large pages at `start`, of which `len` bytes were just allocated there.
fn advise(start: *mut u8, len: usize) {
    if len >= LARGE && !start.is_null() {
        // SAFETY: the range is whole pages of an allocation of ours, and the advice changes nothing of what is in it.
        // Failure leaves small pages.
        unsafe { libc::madvise(start.cast(), len & !(LARGE - 1), libc::MADV_HUGEPAGE) };
    }
}

// SAFETY: every call is handed to the system's allocator with a layout of the same size that is aligned at least as
// strictly, and that depends on the given one alone, so that what one call allocated another frees.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, and `asked` keeps the size, which is not zero.
        let start = unsafe { System.alloc(asked(layout)) };
        advise(start, layout.size());
        start
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() < LARGE {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: as in `alloc`.
        let start = unsafe { self.alloc(layout) };
        if !start.is_null() {
            // SAFETY: so many bytes were just allocated there.
            unsafe { start.write_bytes(0, layout.size()) };
        }
        start
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: it was allocated above with what `asked` makes of the same layout.
        unsafe { System.dealloc(start, asked(layout)) };
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.size() < LARGE && size < LARGE {
            // SAFETY: the caller's promise; both layouts are handed on as they are.
            return unsafe { System.realloc(start, layout, size) };
        }
        // SAFETY: the caller promises a size that fits the alignment.
        let fresh = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the size is not zero, by the caller's promise.
        let to = unsafe { self.alloc(fresh) };
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
        let sizes = [1, 4096, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE, LARGE, 100];
        let byte = |at: usize| (at % 251) as u8;
        let mut layout = Layout::from_size_align(sizes[0], 8).unwrap();
        // SAFETY: sizes are not zero, and each block is freed once, with the layout that it has.
        unsafe {
            let mut start = LargePages.alloc(layout);
            start.write(byte(0));
            for size in sizes {
                let kept = layout.size().min(size);
                start = LargePages.realloc(start, layout, size);
                layout = Layout::from_size_align(size, 8).unwrap();
                let bytes = std::slice::from_raw_parts_mut(start, size);
                assert!(size < LARGE || (start as usize).is_multiple_of(LARGE));
                assert!(bytes.iter().take(kept).enumerate().all(|(at, b)| *b == byte(at)));
                bytes.iter_mut().enumerate().for_each(|(at, b)| *b = byte(at));
            }
            LargePages.dealloc(start, layout);
            let zeroed = Layout::from_size_align(LARGE + 5, 1).unwrap();
            let start = LargePages.alloc_zeroed(zeroed);
            assert!(std::slice::from_raw_parts(start, zeroed.size()).iter().all(|b| *b == 0));
            LargePages.dealloc(start, zeroed);
        }
    }
}
