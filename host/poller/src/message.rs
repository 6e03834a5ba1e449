//! Messages of others, as they are logged.

use bg_identity::{Lines, Most, excerpt};

/// More of a message than this many characters is not logged; the run history has all of it.
const MAX_MESSAGE: usize = 2_000;

/// A text of others' making, so that it can neither start a new line nor move the terminal's cursor, nor fill
/// the log.
pub(crate) fn one_line(text: &str) -> String {
    excerpt(text, Lines::Escaped, Most::Chars(MAX_MESSAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_start_a_line_of_its_own() {
        let cases = [
            ("fine, ünïcode", "fine, ünïcode"),
            ("a\nSuccessfully executed charm x", "a\\nSuccessfully executed charm x"),
            ("\u{1b}[2J\r\u{85}\u{202e}", "\\u{1b}[2J\\r\\u{85}\\u{202e}"),
        ];
        for (text, line) in cases {
            assert_eq!(one_line(text), line);
        }
        assert_eq!(one_line(&"é".repeat(5_000)).chars().count(), MAX_MESSAGE + 1);
    }
}
