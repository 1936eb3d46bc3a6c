//! What the C library lets be set of its heap, mallopt(3).
#![allow(unsafe_code, reason = "numbers of the C library's allocator, and advice about its memory")]

#[cfg(target_env = "gnu")]
pub(super) use self::gnu::{enlarge, gather, make_room, share, trim};

#[cfg(not(target_env = "gnu"))]
pub(super) fn enlarge() {}
#[cfg(not(target_env = "gnu"))]
pub(super) fn gather() {}
#[cfg(not(target_env = "gnu"))]
pub(super) fn make_room(_: usize) {}
#[cfg(not(target_env = "gnu"))]
pub(super) fn share() {}
#[cfg(not(target_env = "gnu"))]
pub(super) fn trim() {}

#[cfg(target_env = "gnu")]
mod gnu {
    use std::hint::black_box;
    use std::ptr;
    use std::sync::atomic::{AtomicPtr, Ordering};

    use super::super::super::sys::{LARGE, make_ready};

    /// The heap grows by so much at once, in addresses (the sockets of a machine with 20,000 take 10 MiB); pages come as they are
    /// touched.
    const ROOM: libc::c_int = 24 << 20;
    /// What is as large as this is memory of its own, and not kept.
    const FRESH: libc::c_int = 2 << 20;
    /// So much is kept at the end of what is in use: more than the room, which would be handed back at once.
    const KEPT: libc::c_int = 2 * ROOM;
    /// The largest number that the allocator takes for that.
    const LARGEST: libc::c_int = 32 << 20;
    /// By how much the heap grows otherwise (the C library's own number).
    const USUAL: libc::c_int = 128 << 10;
    /// More than there is to be had without growing, as a rule.
    const MORE: usize = 1 << 20;
    /// The first large page; null if there is none.
    static FIRST: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

    pub(in super::super) fn enlarge() {
        // SAFETY: these set numbers of the allocator; a refusal leaves them as they were.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, FRESH);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        }
        let (next, first) = grow();
        FIRST.store(first, Ordering::Relaxed);
        // What lies before the first large page would get small ones: it is never used.
        let before = first.addr().saturating_sub(next.addr());
        // SAFETY: any size may be asked for. A block that is kept for good may be forgotten.
        unsafe { black_box(libc::malloc(before.saturating_sub(64))) };
    }

    /// The heap does not end earlier than before: what were added to it again would be a mapping of its own, and no large page
    /// lies in two.
    pub(in super::super) fn trim() {
        // SAFETY: both may be called at any time; no block that is in use is touched.
        let behind = unsafe {
            libc::malloc_trim(KEPT as usize);
            libc::mallinfo().keepcost
        };
        let room = usize::try_from(behind).unwrap_or_default().saturating_sub(MORE);
        if room < LARGE || room > LARGEST as usize {
            return;
        }
        // SAFETY: of a block, which is freed at once, the whole large pages, which nobody wants to read.
        unsafe {
            let block = at_the_end(room);
            let before = block.align_offset(LARGE);
            let whole = room.saturating_sub(before) & !(LARGE - 1);
            if !block.is_null() && whole > 0 {
                libc::madvise(block.wrapping_add(before).cast(), whole, libc::MADV_DONTNEED);
            }
            libc::free(block.cast());
        }
    }

    pub(in super::super) fn gather() {
        let first = FIRST.load(Ordering::Relaxed);
        // SAFETY: it tells where the heap ends.
        let end = unsafe { libc::sbrk(0) }.addr();
        let whole = if first.is_null() { 0 } else { end.saturating_sub(first.addr()) / LARGE };
        for page in (0..whole).map(|n| first.wrapping_add(n * LARGE)) {
            if is_touched(page) {
                // SAFETY: nothing of what is in these pages changes, whosever they are. Failure leaves small ones.
                unsafe { libc::madvise(page.cast(), LARGE, libc::MADV_COLLAPSE) };
            }
        }
    }

    pub(in super::super) fn make_room(bytes: usize) {
        // SAFETY: any size may be asked for, and a block be freed.
        unsafe {
            let block = at_the_end(bytes);
            make_ready(block.cast_const()..block.wrapping_add(bytes).cast_const());
            libc::free(block.cast());
        }
    }

    /// A block behind all that is in use, to be freed again; null if there is none.
    ///
    /// # Safety
    /// As of `malloc`: of its bytes nothing is known.
    unsafe fn at_the_end(bytes: usize) -> *mut u8 {
        // SAFETY: numbers of the allocator; any size may be asked for.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
            let block = black_box(libc::malloc(bytes));
            libc::mallopt(libc::M_MMAP_THRESHOLD, FRESH);
            block.cast()
        }
    }

    /// Whether any page is there of the large one that begins at `start`.
    fn is_touched(start: *mut u8) -> bool {
        let mut each = [0; LARGE / 4096];
        // SAFETY: it writes one byte for each page of the range, of which there are no more than of 4 KiB, and fails if not all
        // of it is mapped.
        let failed = unsafe { libc::mincore(start.cast(), LARGE, each.as_mut_ptr()) };
        failed == 0 && each.iter().any(|page| page & 1 == 1)
    }

    pub(in super::super) fn share() {
        // SAFETY: it sets a number of the allocator; a refusal leaves it as it was.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }

    /// Makes room at the end of the heap, in large pages; gives where what is allocated next lies, and the first of them: null if
    /// there are none.
    fn grow() -> (*mut u8, *mut u8) {
        // SAFETY: numbers of the allocator, a block that is freed at once, and where the heap ends.
        let (next, end) = unsafe {
            libc::mallopt(libc::M_TOP_PAD, ROOM);
            let next = black_box(libc::malloc(MORE)).cast::<u8>();
            libc::free(next.cast());
            libc::mallopt(libc::M_TOP_PAD, USUAL);
            (next, libc::sbrk(0).cast::<u8>())
        };
        let first = next.wrapping_add(next.align_offset(LARGE));
        let length = end.addr().saturating_sub(first.addr()) & !(LARGE - 1);
        // Else the block was not of this heap.
        if length == 0 || length > (ROOM as usize + MORE) * 2 {
            return (next, ptr::null_mut());
        }
        // SAFETY: advice about whole pages of the heap, which changes nothing of what is in them. Failure leaves small ones.
        unsafe { libc::madvise(first.cast(), length, libc::MADV_HUGEPAGE) };
        (next, first)
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
            gather();
            for block in &blocks {
                assert!(block.iter().all(|byte| *byte == block[0]));
            }
        }
    }
}
