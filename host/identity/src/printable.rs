//! Untrusted text, made safe to show: on a terminal, in a log line, in an error.
//!
//! Names and values of charms, answers of servers, and output of components can contain characters that move a
//! terminal's cursor, change the direction of the surrounding text, or are invisible. All code that prints such text
//! uses this module, and only this module escapes. What is escaped follows Unicode's own properties, plus the one
//! invisible character that has none of them.

use std::borrow::Cow;
use std::fmt;

use icu_properties::props::{DefaultIgnorableCodePoint, Emoji, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Selects the emoji style of the character before it. It is the only invisible character that people's names contain.
const EMOJI_STYLE: char = '\u{fe0f}';

/// A Braille pattern without a dot. Unicode classifies it as a symbol, but it is invisible.
const BLANK_BRAILLE: char = '\u{2800}';

/// Marks that text was cut off.
const CUT: char = '…';

/// Whether a character does something other than show itself: controls (C0, DEL, C1), line and paragraph separators,
/// everything that changes the direction of text, and invisible characters.
pub fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || c == BLANK_BRAILLE
}

/// A text on one line, with hidden characters escaped.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, Lines::Escaped)
}

/// The same, but line breaks (`\n`) stay: for our own text that quotes others.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, Lines::Kept)
}

/// JSON with hidden characters in its strings escaped in JSON's way, so that its value is the same.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    // Serializers escape hidden ASCII characters in strings; elsewhere they are white space.
    let is_escaped = |c: char| c == '\u{7f}' || !c.is_ascii() && is_hidden(c);
    if !json.contains(is_escaped) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_escaped(c) {
            let mut units = [0; 2];
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The first character of a text that [`printable`] escapes.
pub fn first_hidden(text: &str) -> Option<char> {
    text.chars().zip(pieces(text, Lines::Escaped)).find_map(|(c, piece)| piece.is_escape().then_some(c))
}

/// How much of a text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Most {
    /// This many characters.
    Chars(usize),
    /// This many bytes, as shown.
    Bytes(usize),
}

/// The beginning of a text, as shown, with a sign for what was cut off.
pub fn excerpt(text: &str, lines: Lines, most: Most) -> String {
    use fmt::Write as _;

    let mut out = String::new();
    for (place, piece) in pieces(text, lines).enumerate() {
        let before = out.len();
        // Writing to a string cannot fail.
        let _ = write!(out, "{piece}");
        let is_over = match most {
            Most::Chars(most) => place >= most,
            Most::Bytes(most) => out.len() > most,
        };
        if is_over {
            out.truncate(before);
            out.push(CUT);
            break;
        }
    }
    out
}

/// What happens to line breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// They are written as `\n`, so that the text stays on one line.
    Escaped,
    /// They are kept.
    Kept,
}

/// A text, character by character, each as it is shown: for callers that show only a part.
pub fn pieces(text: &str, lines: Lines) -> impl Iterator<Item = Piece> {
    let mut before = None;
    text.chars().map(move |c| {
        let styled = before.replace(c);
        let is_shown = match c {
            '\n' => lines == Lines::Kept,
            EMOJI_STYLE => styled.is_some_and(has_styles),
            _ => !is_hidden(c),
        };
        Piece(if is_shown { Shown::Itself(c) } else { Shown::Escaped(c) })
    })
}

/// Whether a character also has an emoji style.
fn has_styles(c: char) -> bool {
    !c.is_ascii() && !is_hidden(c) && CodePointSetData::new::<Emoji>().contains(c)
}

/// One character, as it is shown.
#[derive(Clone, Copy, Debug)]
pub struct Piece(Shown);

#[derive(Clone, Copy, Debug)]
enum Shown {
    Itself(char),
    Escaped(char),
}

impl Piece {
    /// Whether it is a line break that is kept.
    pub fn is_line_end(self) -> bool {
        matches!(self.0, Shown::Itself('\n'))
    }

    fn is_escape(self) -> bool {
        matches!(self.0, Shown::Escaped(_))
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Shown::Itself(c) => fmt::Write::write_char(f, c),
            Shown::Escaped('\n') => f.write_str("\\n"),
            Shown::Escaped('\r') => f.write_str("\\r"),
            Shown::Escaped('\t') => f.write_str("\\t"),
            Shown::Escaped(c) => write!(f, "{}", c.escape_unicode()),
        }
    }
}

fn escaped(text: &str, lines: Lines) -> Cow<'_, str> {
    if !pieces(text, lines).any(Piece::is_escape) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(pieces(text, lines).map(|piece| piece.to_string()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_excerpt_is_cut_at_a_character_and_says_so() {
        use Lines::{Escaped, Kept};
        use Most::{Bytes, Chars};
        for (text, lines, most, shown) in [
            ("ééé", Escaped, Bytes(4), "éé…"),
            ("ééé", Escaped, Bytes(5), "éé…"),
            ("ééé", Escaped, Bytes(6), "ééé"),
            ("ééé", Escaped, Chars(2), "éé…"),
            ("ééé", Escaped, Chars(3), "ééé"),
            ("a\nb", Escaped, Chars(3), "a\\nb"),
            ("a\nb", Kept, Bytes(3), "a\nb"),
            ("a\u{200b}b\u{200e}", Escaped, Bytes(100), "a\\u{200b}b\\u{200e}"),
            ("a\u{1b}[2J", Escaped, Bytes(6), "a…"),
            ("a\u{1b}[2J", Escaped, Chars(2), "a\\u{1b}…"),
            ("", Escaped, Bytes(0), ""),
            ("x", Escaped, Chars(0), "…"),
        ] {
            assert_eq!(excerpt(text, lines, most), shown, "{text:?} {lines:?} {most:?}");
        }
    }

    #[test]
    fn characters_that_do_more_than_show_themselves_are_escaped() {
        for (text, expected) in [
            ("héllo ✓ 日本 עברית عربي", "héllo ✓ 日本 עברית عربي"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{1b}[31mred\u{1b}[0m", "\\u{1b}[31mred\\u{1b}[0m"),
            ("\u{7f}\0", "\\u{7f}\\u{0}"),
            ("\u{9b}2J \u{85}", "\\u{9b}2J \\u{85}"),
            ("a\u{2028}b\u{2029}c", "a\\u{2028}b\\u{2029}c"),
            ("abc\u{202e}fdp.exe", "abc\\u{202e}fdp.exe"),
            ("\u{2066}x\u{2069}\u{61c}\u{200e}\u{200f}", "\\u{2066}x\\u{2069}\\u{61c}\\u{200e}\\u{200f}"),
            (
                "z\u{200b}w\u{200d}n\u{200c}s\u{ad}m\u{2060}b\u{feff}",
                "z\\u{200b}w\\u{200d}n\\u{200c}s\\u{ad}m\\u{2060}b\\u{feff}",
            ),
            (
                "\u{115f}\u{1160}\u{3164}\u{ffa0}\u{180e}\u{34f}",
                "\\u{115f}\\u{1160}\\u{3164}\\u{ffa0}\\u{180e}\\u{34f}",
            ),
            ("⠃\u{2800}⠗", "⠃\\u{2800}⠗"),
            ("\u{fff9}a\u{fffb}\u{1d173}", "\\u{fff9}a\\u{fffb}\\u{1d173}"),
            ("tag\u{e0041}\u{e007f} vs\u{fe00}\u{e0100}", "tag\\u{e0041}\\u{e007f} vs\\u{fe00}\\u{e0100}"),
            // As in names; but not to hide something.
            ("✉\u{fe0f} mail, ❤\u{fe0f}", "✉\u{fe0f} mail, ❤\u{fe0f}"),
            ("✉\u{fe0f}\u{fe0f} a\u{fe0f} 1\u{fe0f}", "✉\u{fe0f}\\u{fe0f} a\\u{fe0f} 1\\u{fe0f}"),
        ] {
            assert_eq!(printable(text), expected);
            assert_eq!(printable(expected), expected, "escaping again changes nothing");
            assert_eq!(first_hidden(text).is_some(), text != expected, "{text:?}");
        }
        assert_eq!(printable_lines("a\nb\r\n\u{1b}"), "a\nb\\r\n\\u{1b}");
        assert_eq!(first_hidden("ab\u{202e}\u{1b}"), Some('\u{202e}'));
    }

    #[test]
    fn json_stays_the_same_value() {
        let json = "{\n  \"a\u{202e}\": \"\u{7f}\u{9b}\u{e0041}é\"\n}";
        let shown = printable_json(json);
        assert_eq!(shown, "{\n  \"a\\u202e\": \"\\u007f\\u009b\\udb40\\udc41é\"\n}");
        let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(value(&shown), value(json));
    }

    /// Any text, with more of the relevant characters.
    fn texts() -> impl Strategy<Value = String> {
        let hidden = proptest::sample::select(vec![
            '\n',
            '\r',
            '\t',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{ad}',
            '\u{200b}',
            '\u{202e}',
            '\u{2028}',
            '\u{2066}',
            '\u{feff}',
            '\u{fe0f}',
            '❤',
            '\u{e0041}',
            '"',
            '\\',
        ]);
        proptest::collection::vec(prop_oneof![any::<char>(), hidden], 0..40)
            .prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_ever_printed(text in texts()) {
            let is_style = |(before, c): (char, char)| c == EMOJI_STYLE && has_styles(before);
            for (shown, lines) in [(printable(&text), false), (printable_lines(&text), true)] {
                let befores = std::iter::once(' ').chain(shown.chars());
                for (before, c) in befores.zip(shown.chars()) {
                    let is_fine = !is_hidden(c) || lines && c == '\n' || is_style((before, c));
                    prop_assert!(is_fine && (!c.is_control() || lines && c == '\n'), "{c:?} of {text:?}");
                }
            }
        }

        #[test]
        fn printable_json_has_nothing_hidden_and_the_same_value(text in texts(), key in texts()) {
            let value = serde_json::json!({ key: [text] });
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let shown = printable_json(&pretty);
            prop_assert!(!shown.chars().any(|c| c != '\n' && is_hidden(c)), "{shown:?}");
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}
