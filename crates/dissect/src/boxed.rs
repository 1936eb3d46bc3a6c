//! Tables on the heap.

/// So many of `value`, which would be too large for the stack on their way to the heap.
pub(crate) fn boxed<T: Copy, const N: usize>(value: T) -> Box<[T; N]> {
    match vec![value; N].into_boxed_slice().try_into() {
        Ok(array) => array,
        Err(_) => unreachable!("its length is N"),
    }
}
