//! What the C library lets be set of its heap, mallopt(3).
#![allow(unsafe_code, reason = "numbers of the C library's allocator, and advice about its memory")]

#[cfg(target_env = "gnu")]
pub(super) use self::gnu::{enlarge, share, trim};

#[cfg(not(target_env = "gnu"))]
pub(super) fn enlarge() {}
#[cfg(not(target_env = "gnu"))]
pub(super) fn share() {}
#[cfg(not(target_env = "gnu"))]
pub(super) fn trim() {}

#[cfg(target_env = "gnu")]
mod gnu {
    use std::hint::black_box;

    use super::super::super::sys::LARGE;

    /// The heap grows by so much at once, in addresses (the sockets of a machine with 20,000 take 10 MiB); pages come as they are
    /// touched.
    const ROOM: libc::c_int = 24 << 20;
    /// What is as large as this is memory of its own, and not kept.
    const FRESH: libc::c_int = 2 << 20;
    /// So much is kept at the end of what is in use: more than the room, which would be handed back at once.
    const KEPT: libc::c_int = 2 * ROOM;
    /// By how much the heap grows otherwise (the C library's own number).
    const USUAL: libc::c_int = 128 << 10;
    /// More than there is to be had without growing, as a rule.
    const MORE: usize = 1 << 20;

    pub(in super::super) fn enlarge() {
        // SAFETY: these set numbers of the allocator; a refusal leaves them as they were.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, FRESH);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        }
        let next = grow();
        // What lies before the first large page would get small ones: it is never used.
        let before = next.align_offset(LARGE);
        // SAFETY: any size may be asked for. A block that is kept for good may be forgotten.
        unsafe { black_box(libc::malloc(before.saturating_sub(64))) };
    }

    pub(in super::super) fn trim() {
        // SAFETY: it may be called at any time; no block that is in use is touched.
        unsafe { libc::malloc_trim(0) };
        grow();
    }

    pub(in super::super) fn share() {
        // SAFETY: it sets a number of the allocator; a refusal leaves it as it was.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }

    /// Makes room at the end of the heap, in large pages; gives where what is allocated next lies.
    fn grow() -> *mut u8 {
        // SAFETY: numbers of the allocator, a block that is freed at once, and where the heap ends.
        let (next, end) = unsafe {
            libc::mallopt(libc::M_TOP_PAD, ROOM);
            let next = black_box(libc::malloc(MORE)).cast::<u8>();
            libc::free(next.cast());
            libc::mallopt(libc::M_TOP_PAD, USUAL);
            (next, libc::sbrk(0).cast::<u8>())
        };
        let start = next.wrapping_add(next.align_offset(LARGE));
        let length = end.addr().saturating_sub(start.addr()) & !(LARGE - 1);
        // Else the block was not of this heap.
        if length <= (ROOM as usize + MORE) * 2 {
            // SAFETY: advice about whole pages of the heap, which changes nothing of what is in them. Failure leaves small ones.
            unsafe { libc::madvise(start.cast(), length, libc::MADV_HUGEPAGE) };
        }
        next
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn blocks_keep_what_is_in_them() {
            let text = |n: usize| vec![n as u8; 1 + n * 37 % 9000];
            let mut blocks: Vec<Vec<u8>> = (0..200).map(text).collect();
            enlarge();
            blocks.extend((200..600).map(text));
            blocks.extend([vec![7; 6 << 20], vec![8; MORE], vec![9; 3 * MORE]]);
            blocks.retain(|block| block.len() % 2 == 1 || block.len() > 9000);
            trim();
            blocks.extend((600..900).map(text));
            for block in &blocks {
                assert!(block.iter().all(|byte| *byte == block[0]));
            }
        }
    }
}
