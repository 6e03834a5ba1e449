//! Text that a guest wrote, made safe to show: no control of a terminal, no line that looks like another's, no end without a
//! limit.

use std::fmt::Write;

/// Stands for what was cut off.
const CUT: char = '…';

/// `text` on one line, in at most `max` bytes and the sign for what was cut off.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    shown(text, max, false)
}

/// The same, but line breaks remain.
pub(crate) fn lines(text: &str, max: usize) -> String {
    shown(text, max, true)
}

fn shown(text: &str, max: usize, keep_line_breaks: bool) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for char in text.chars() {
        let before = out.len();
        match char {
            '\n' if keep_line_breaks => out.push('\n'),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if is_control(char) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "{}", char.escape_unicode());
            }
            _ => out.push(char),
        }
        if out.len() > max {
            out.truncate(before);
            out.push(CUT);
            break;
        }
    }
    out
}

/// Whether `char` does something other than show itself: control characters (C0, C1, with ANSI's escape), line and paragraph
/// separators, what turns the direction of text around, what is invisible.
fn is_control(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_controls_a_terminal_is_escaped() {
        for (text, shown) in [
            ("héllo ✓", "héllo ✓"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("abc\u{202e}fdp.exe", "abc\\u{202e}fdp.exe"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("a\u{2028}b", "a\\u{2028}b"),
            ("\u{7f}\0", "\\u{7f}\\u{0}"),
        ] {
            assert_eq!(one_line(text, 1000), shown);
        }
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
            prop_assert!(!shown.chars().any(is_control));
            prop_assert!(shown.len() <= max + CUT.len_utf8());
        }
    }
}
