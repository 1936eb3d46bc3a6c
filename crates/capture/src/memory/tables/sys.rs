//! Addresses that are reserved for tables, and given out once.
#![allow(unsafe_code, reason = "system calls about memory, and addresses in it")]

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::super::sys::{LARGE, make_ready, mapped};

/// So many bytes of addresses: some tables grow a few times, and none is given out twice.
const ROOM: usize = 64 << 20;
/// What tables begin on: a page, of any size that there is.
const GRAIN: usize = 64 << 10;

/// Where they begin; null until somebody asks.
static START: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
/// How many are given out.
static GIVEN: AtomicUsize = AtomicUsize::new(0);

/// So many bytes, all zero, of which only what is touched is there, in large pages; null if there are none left.
pub(in super::super) fn take(size: usize) -> *mut u8 {
    let (start, size) = (start(), size.next_multiple_of(GRAIN));
    let at = if start.is_null() { ROOM } else { GIVEN.fetch_add(size, Ordering::Relaxed) };
    if at.saturating_add(size) > ROOM { ptr::null_mut() } else { start.wrapping_add(at) }
}

/// Has so many bytes be there of those that are not given out.
pub(in super::super) fn make_room(bytes: usize) {
    let (start, given) = (start(), GIVEN.load(Ordering::Relaxed).min(ROOM));
    if !start.is_null() {
        let next = start.wrapping_add(given).cast_const();
        make_ready(next..next.wrapping_add(bytes.min(ROOM - given)));
    }
}

/// Gives back what [`take`] has given; `false` if it has not.
pub(in super::super) fn give(table: *mut u8, size: usize) -> bool {
    let start = START.load(Ordering::Acquire);
    let is_ours = !start.is_null() && (start.addr()..start.addr() + ROOM).contains(&table.addr());
    if is_ours {
        // SAFETY: whole pages that were given out with that size, which nobody uses any more. Failure keeps them.
        unsafe { libc::madvise(table.cast(), size.next_multiple_of(GRAIN), libc::MADV_DONTNEED) };
    }
    is_ours
}

/// Where the addresses begin, on a large page; null if there are none.
fn start() -> *mut u8 {
    let start = START.load(Ordering::Acquire);
    if !start.is_null() {
        return start;
    }
    let all = mapped(ROOM + LARGE);
    if all.is_null() {
        return all;
    }
    let begin = all.wrapping_add(all.align_offset(LARGE));
    // SAFETY: advice about a mapping of ours. Failure leaves small pages.
    unsafe { libc::madvise(begin.cast(), ROOM, libc::MADV_HUGEPAGE) };
    match START.compare_exchange(ptr::null_mut(), begin, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => begin,
        Err(first) => {
            // SAFETY: the mapping that was just made, of which nobody knows.
            unsafe { libc::munmap(all.cast(), ROOM + LARGE) };
            first
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_apart_zero_and_given_out_once() {
        let sizes = [1 << 20, (3 << 20) + 5, 1];
        let tables = sizes.map(|size| (take(size), size));
        for (table, size) in tables {
            assert!(!table.is_null() && table.addr().is_multiple_of(GRAIN));
            // SAFETY: so many bytes were just given out.
            let bytes = unsafe { std::slice::from_raw_parts_mut(table, size) };
            assert!(bytes.iter().all(|byte| *byte == 0));
            bytes.fill(1);
        }
        assert!(tables.iter().all(|(table, size)| give(*table, *size)));
        make_room(1 << 20);
        let again = take(1 << 20);
        assert!(tables.iter().all(|(table, _)| *table != again));
        assert!(give(again, 1 << 20));
        let mut elsewhere = 0;
        assert!(!give(&raw mut elsewhere, 1));
        assert!(take(ROOM + 1).is_null());
    }
}
