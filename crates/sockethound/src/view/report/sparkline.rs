//! A flow's last intervals as a line of bars.

use flow::RECENT;

/// From an eighth of the greatest to all of it.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One column an interval, scaled to the greatest of them; blank where nothing passed.
pub(super) fn of(recent: &[u64; RECENT]) -> String {
    let most = recent.iter().copied().max().unwrap_or(0);
    let bar = |&bytes: &u64| {
        if bytes == 0 {
            return ' ';
        }
        let eighths = (u128::from(bytes) * 8).div_ceil(u128::from(most)) as usize;
        BARS[eighths - 1]
    };
    recent.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_to_the_greatest() {
        let mut recent = [0; RECENT];
        assert_eq!(of(&recent), " ".repeat(RECENT));
        recent[..10].copy_from_slice(&[1, 125, 126, 250, 500, 0, 874, 875, 876, 1000]);
        assert_eq!(of(&recent), "▁▁▂▂▄ ▇▇██        ");
        assert_eq!(of(&[u64::MAX; RECENT]), "█".repeat(RECENT));
    }
}
