//! How an error shows the text it is about.

use std::fmt;

use crate::{Lines, Most, excerpt};

/// An untrusted text as it may appear in an error message: quoted, control characters escaped, cut after 80 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown(String);

const MAX_CHARS: usize = 80;

impl Shown {
    pub(crate) fn new(text: &str) -> Self {
        Self(excerpt(text, Lines::Escaped, Most::Chars(MAX_CHARS)))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_and_control_characters_are_escaped() {
        assert_eq!(Shown::new("a\u{1b}[2Jb").to_string(), "\"a\\u{1b}[2Jb\"");
        assert_eq!(Shown::new(&"x".repeat(200)).to_string().chars().count(), 83);
    }
}
