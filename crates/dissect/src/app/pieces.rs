//! Numbered pieces of a message, put together.

/// The bytes from offset 0 up to the first one that no piece has.
///
/// Pieces come in any order, twice, or over each other; of what several have, the one with the lowest offset counts,
/// of equal ones the first.
pub(super) fn join(pieces: &mut [(usize, &[u8])]) -> Vec<u8> {
    pieces.sort_by_key(|(offset, _)| *offset);
    let mut joined = Vec::new();
    for (offset, bytes) in pieces {
        let Some(known) = joined.len().checked_sub(*offset) else { break };
        joined.extend_from_slice(bytes.get(known..).unwrap_or_default());
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_any_order_twice_and_over_each_other() {
        let all = b"abcdefgh";
        let cut = |from: usize, to: usize| (from, &all[from..to]);
        assert_eq!(join(&mut [cut(5, 8), cut(0, 3), cut(2, 6), cut(0, 3), cut(1, 2)]), all);
        assert_eq!(join(&mut [cut(5, 8), cut(0, 3)]), b"abc");
        assert_eq!(join(&mut [cut(1, 8)]), b"");
        assert_eq!(join(&mut [(usize::MAX, b"x"), cut(0, 8)]), all);
    }
}
