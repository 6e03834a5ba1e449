//! Text that a guest wrote, made safe to show: no terminal control, no forged lines, no unlimited length.

use bg_identity::{Lines, Most, excerpt};

/// `text` on one line, in at most `max` bytes plus the sign for what was cut off.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    excerpt(text, Lines::Escaped, Most::Bytes(max))
}

/// The same, but keeps line breaks.
pub(crate) fn lines(text: &str, max: usize) -> String {
    excerpt(text, Lines::Kept, Most::Bytes(max))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terminal_control_is_escaped() {
        assert_eq!(one_line("a\nb\u{1b}[31m\u{202e}", 1000), "a\\nb\\u{1b}[31m\\u{202e}");
        assert_eq!(lines("a\nb\u{1b}", 1000), "a\nb\\u{1b}");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(one_line("ééé", 4), "éé…");
        assert_eq!(one_line("ééé", 5), "éé…");
        assert_eq!(one_line("ééé", 6), "ééé");
    }

    proptest! {
        #[test]
        fn no_control_character_gets_through(text in any::<String>(), max in 0_usize..200) {
            let shown = one_line(&text, max);
            prop_assert_eq!(bg_identity::first_hidden(&shown), None);
            prop_assert!(shown.len() <= max + '…'.len_utf8());
        }
    }
}
