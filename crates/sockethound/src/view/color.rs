//! Colours. They never carry meaning alone: what is loud is marked as well.

use anstyle::{AnsiColor, Style as Ansi};

/// 1 MB/s and more: red, bold, `!!`.
const LOUD: f64 = 1_048_576.0;
/// 100 KB/s and more: yellow, `!`.
const BUSY: f64 = 102_400.0;
/// 10 KB/s and more: green. Below: cyan.
const STEADY: f64 = 10_240.0;

/// Headings.
pub(super) const HEADING: Ansi = Ansi::new().bold();
/// What matters less.
pub(super) const QUIET: Ansi = Ansi::new().dimmed();
/// What is not as it should be.
pub(super) const WARNING: Ansi = AnsiColor::Yellow.on_default();
/// What must not be.
pub(super) const ALARM: Ansi = AnsiColor::Red.on_default().bold();
/// Names that were looked up.
pub(super) const NAME: Ansi = AnsiColor::Cyan.on_default();

/// Whether escape sequences are written at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) color: bool,
}

impl Style {
    /// `text` in `style`; nothing but `text` without colour.
    pub(super) fn paint(self, style: Ansi, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// Colour and mark of a rate in bytes a second; `None` where no time passed.
pub(super) fn of_rate(rate: Option<f64>) -> (Ansi, &'static str) {
    let rate = rate.unwrap_or(0.0);
    if rate >= LOUD {
        (AnsiColor::Red.on_default().bold(), "!!")
    } else if rate >= BUSY {
        (AnsiColor::Yellow.on_default(), "!")
    } else if rate >= STEADY {
        (AnsiColor::Green.on_default(), "")
    } else {
        (AnsiColor::Cyan.on_default(), "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_belong_to_the_upper_side() {
        let marks = [1_048_576.0, 1_048_575.9, 102_400.0, 102_399.9].map(|rate| of_rate(Some(rate)).1);
        assert_eq!(marks, ["!!", "!", "!", ""]);
        assert_ne!(of_rate(Some(10_240.0)), of_rate(Some(10_239.9)));
        assert_eq!(of_rate(None), of_rate(Some(0.0)));
    }

    #[test]
    fn no_colour_is_no_escape() {
        assert_eq!(Style { color: false }.paint(ALARM, "x"), "x");
        assert!(Style { color: true }.paint(ALARM, "x").starts_with('\u{1b}'));
    }
}
