//! The instruction that asks memory for what will be wanted.
#![allow(unsafe_code, reason = "the instruction takes an address")]

/// Has the byte at `at` and its neighbours brought into the second-level cache; past the end it does nothing.
#[inline(always)]
pub(super) fn prefetch(bytes: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if at < bytes.len() {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a hint, which never faults; the address is inside of the slice.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(bytes.as_ptr().wrapping_add(at).cast()) };
    }
    // Others have no such instruction in stable Rust; their own guesses must do.
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, at);
}
