//! The instruction that asks memory for what will be wanted.
#![allow(unsafe_code, reason = "the instruction takes an address")]

/// Has the byte at `at` and its neighbours brought into the second-level cache, wherever that is: past the end it may be
/// nobody's memory, and nothing comes of it.
#[inline(always)]
pub(super) fn prefetch(bytes: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a hint, which may be given any address and never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(bytes.as_ptr().wrapping_add(at).cast()) };
    }
    // Others have no such instruction in stable Rust; their own guesses must do.
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, at);
}

/// Has what stands at `place` brought near, one line of the processor's cache. A hint: any address may be given.
#[inline(always)]
pub fn bring_near(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which may be given any address and never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a hint, which may be given any address and never faults.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) place, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = place;
}
