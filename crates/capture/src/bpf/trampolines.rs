//! Whether programs may enter functions of the kernel (fentry), which nothing here depends on.

use super::load::{Object, Place, Refusal};

static OBJECT: &[u8] = aya::include_bytes_aligned!("trampolines.bpf.o");

/// Loads a program that enters a function, does nothing, and is not attached.
///
/// # Errors
/// What the kernel answered: kernels refuse it for many reasons, even to root, although their types name the function.
pub fn probe() -> Result<(), Refusal> {
    Object::open(OBJECT, &[], &[])?.attach("entered", Place::Function("tcp_v4_connect"))
}
