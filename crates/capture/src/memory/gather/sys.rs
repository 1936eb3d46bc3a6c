//! The system calls that put memory in the place of what is mapped.
#![allow(unsafe_code, reason = "system calls that replace a mapping by its copy")]

use std::ptr;

use super::Part;
use crate::memory::sys::{LARGE, mapped};

/// Puts copies of `parts`, which are mapped and readable, in their places; the copies lie together. Whatever fails leaves them
/// as they are.
pub(super) fn gather(parts: &[Part]) {
    let Some(first) = parts.first() else { return };
    // As far into a large page as the first part is: so its page tables can be moved whole.
    let before = first.range.start % LARGE;
    let length = before + parts.iter().map(|part| part.range.len()).sum::<usize>();
    let room = length.next_multiple_of(LARGE) + LARGE;
    let start = mapped(room);
    if start.is_null() {
        return;
    }
    let end = start.wrapping_add(room);
    let area = start.wrapping_add(start.align_offset(LARGE));
    // SAFETY: advice about the new mapping. Failure leaves small pages.
    unsafe { libc::madvise(area.cast(), room - LARGE, libc::MADV_HUGEPAGE) };
    let mut next = area.wrapping_add(before);
    release(start, next);
    for part in parts {
        let copy = next;
        next = next.wrapping_add(part.range.len());
        if !replace(part, copy) {
            release(copy, next);
        }
    }
    release(next, end);
}

/// Copies a part to `copy`, and moves that to where the part is. The kernel looks for reasons to refuse before it takes the
/// part away; only if it then had no memory for the page tables' own bookkeeping would the part be lost, and the process with it.
fn replace(part: &Part, copy: *mut u8) -> bool {
    let (length, moved) = (part.range.len(), copy.cast::<libc::c_void>());
    let access = if part.executable { libc::PROT_READ | libc::PROT_EXEC } else { libc::PROT_READ };
    let to = ptr::with_exposed_provenance_mut::<libc::c_void>(part.range.start);
    // SAFETY: `copy` is of the new mapping, which nobody else knows of, and as long. What is replaced is mapped, readable and not
    // written to, by the caller's word; the kernel does it in one step, as others see it: whoever runs or reads there finds the
    // same bytes before and after.
    unsafe {
        copy.copy_from_nonoverlapping(to.cast::<u8>().cast_const(), length);
        libc::mprotect(moved, length, access) == 0
            && libc::mremap(moved, length, length, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, to)
                != libc::MAP_FAILED
    }
}

/// Unmaps what is left of the new mapping.
fn release(start: *mut u8, end: *mut u8) {
    if start < end {
        // SAFETY: nobody has used it, or will.
        unsafe { libc::munmap(start.cast(), end.addr() - start.addr()) };
    }
}
