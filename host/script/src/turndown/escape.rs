//! What would mean something in Markdown, and white space as JavaScript knows it.

/// What `\s` matches and `trim` takes away in JavaScript.
pub(super) fn is_space(char: char) -> bool {
    char == '\u{feff}' || char != '\u{85}' && char.is_whitespace()
}

/// White space within a line or at its end, as HTML knows it.
pub(super) fn is_ascii_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\n')
}

/// What ends a line in JavaScript.
pub(super) fn ends_line(char: char) -> bool {
    matches!(char, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// How long JavaScript says that a text is.
pub(super) fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// A text in which nothing means anything in Markdown.
pub(crate) fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 16 + 1);
    let (digits, rest) = text.split_at(text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len());
    let marks = text.len() - text.trim_start_matches('#').len();
    let means_something = text.starts_with(['-', '=', '>'])
        || text.starts_with("+ ")
        || text.starts_with("~~~")
        || (1..=6).contains(&marks) && text[marks..].starts_with(' ');
    if means_something {
        escaped.push('\\');
    }
    let rest = if !digits.is_empty() && rest.starts_with(". ") {
        escaped.push_str(digits);
        escaped.push('\\');
        rest
    } else {
        text
    };
    for char in rest.chars() {
        if matches!(char, '\\' | '*' | '`' | '[' | ']' | '_') {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

/// An attribute's text: empty lines in it would end what it is in.
pub(super) fn attribute(value: &str) -> String {
    let mut clean = String::with_capacity(value.len());
    let mut chars = value.chars().peekable();
    while let Some(char) = chars.next() {
        clean.push(char);
        if char == '\n' {
            while chars.next_if(|next| is_space(*next)).is_some() {}
        }
    }
    clean
}

/// A text with a backslash before each of some characters.
pub(super) fn with_backslashes(text: &str, before: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if before.contains(&char) {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

/// Where a link leads.
pub(super) fn destination(href: &str) -> String {
    let escaped = with_backslashes(href, &['<', '>', '(', ')']);
    if escaped.contains(' ') { format!("<{escaped}>") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_markdown_gets_a_backslash() {
        for (text, expected) in [
            ("a\\b*c*_d_`e`[f]", "a\\\\b\\*c\\*\\_d\\_\\`e\\`\\[f\\]"),
            ("- a", "\\- a"),
            ("-a - b", "\\-a - b"),
            ("+ a", "\\+ a"),
            ("+a", "+a"),
            ("==", "\\=="),
            ("# a", "\\# a"),
            ("####### a", "####### a"),
            ("#a", "#a"),
            ("~~~", "\\~~~"),
            ("~~", "~~"),
            ("> a", "\\> a"),
            ("1. a", "1\\. a"),
            ("1.a", "1.a"),
            ("12. [a]", "12\\. \\[a\\]"),
            ("٣. a", "٣. a"),
            ("", ""),
        ] {
            assert_eq!(markdown(text), expected);
        }
    }

    #[test]
    fn lines_of_an_attribute_are_not_empty() {
        assert_eq!(attribute("a\n\n  \n b\nc  d\n"), "a\nb\nc  d\n");
    }
}
