//! Places in a text, and how they move when something is inserted into it.

use oxc::span::Span;

/// Where an offset is: a line and a column, both counted from 0; the column in UTF-16 units, as source maps count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// The place of the byte `offset` in `text`. Lines end where JavaScript says so.
pub(super) fn place(text: &str, offset: usize) -> Place {
    let before = &text[..text.floor_char_boundary(offset)];
    let (mut line, mut start) = (0, 0);
    let mut chars = before.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        let ends = match char {
            '\r' => !matches!(chars.peek(), Some((_, '\n'))),
            '\n' | '\u{2028}' | '\u{2029}' => true,
            _ => false,
        };
        if ends {
            line += 1;
            start = at + char.len_utf8();
        }
    }
    Place { line, column: utf16_len(&before[start..]) }
}

/// Where the lines of a text begin, for many places in it.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let ends = text.char_indices().filter(|(at, char)| match char {
            '\r' => !text[at + 1..].starts_with('\n'),
            char => matches!(char, '\n' | '\u{2028}' | '\u{2029}'),
        });
        Self(ends.map(|(at, char)| at + char.len_utf8()).collect())
    }

    /// The same as [`place`] of that text.
    pub(super) fn place(&self, text: &str, offset: usize) -> Place {
        let offset = text.floor_char_boundary(offset);
        let line = self.0.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).map_or(0, |before| self.0[before]);
        Place { line: u32::try_from(line).unwrap_or(u32::MAX), column: utf16_len(&text[start..offset]) }
    }
}

fn utf16_len(text: &str) -> u32 {
    u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX)
}

/// Texts to insert into a source. None has a line break, so that lines stay what they were.
#[derive(Debug, Default)]
pub(super) struct Edits {
    /// By byte offset in the original.
    insertions: Vec<(usize, String)>,
}

impl Edits {
    /// Adds `text` at the byte `offset` of the original.
    pub(super) fn insert(&mut self, offset: u32, text: String) {
        debug_assert!(!text.contains(['\n', '\r', '\u{2028}', '\u{2029}']), "lines must stay where they are");
        self.insertions.push((offset as usize, text));
        self.insertions.sort_by_key(|(offset, _)| *offset);
    }

    /// Those that are not within, or at the ends of, these parts of the source.
    pub(super) fn outside(&self, parts: &[Span]) -> Self {
        let within =
            |offset: usize| parts.iter().any(|part| (part.start as usize..=part.end as usize).contains(&offset));
        Self { insertions: self.insertions.iter().filter(|(offset, _)| !within(*offset)).cloned().collect() }
    }

    /// The source with everything inserted.
    pub(super) fn apply(&self, source: &str) -> String {
        let mut edited =
            String::with_capacity(source.len() + self.insertions.iter().map(|(_, t)| t.len()).sum::<usize>());
        let mut done = 0;
        for (offset, text) in &self.insertions {
            edited.push_str(&source[done..*offset]);
            edited.push_str(text);
            done = *offset;
        }
        edited.push_str(&source[done..]);
        edited
    }

    /// Tells where places of the edited text are in `source`.
    pub(super) fn back(&self, source: &str) -> Back {
        Back(self.insertions.iter().map(|(offset, text)| (place(source, *offset), utf16_len(text))).collect())
    }
}

/// A source with `void 0` in place of these parts, which are expressions. Everything else stays at its line and column.
pub(super) fn without(source: &str, parts: &[Span]) -> String {
    const NOTHING: &str = "void 0";
    let mut text = String::with_capacity(source.len());
    let mut done = 0;
    for part in parts {
        let (start, end) = (part.start as usize, part.end as usize);
        // One within another is gone already; a shorter one, `<p/>`, can stay.
        if start < done || end - start < NOTHING.len() || !source[start..start + NOTHING.len()].is_ascii() {
            continue;
        }
        if source[start..start + NOTHING.len()].contains(['\n', '\r']) {
            continue;
        }
        text.push_str(&source[done..start]);
        text.push_str(NOTHING);
        for char in source[start + NOTHING.len()..end].chars() {
            match char {
                '\n' | '\r' | '\u{2028}' | '\u{2029}' => text.push(char),
                char => text.extend(std::iter::repeat_n(' ', char.len_utf16())),
            }
        }
        done = end;
    }
    text.push_str(&source[done..]);
    text
}

/// From places in an edited text to places in the original.
pub(super) struct Back(Vec<(Place, u32)>);

impl Back {
    /// The original place of `edited`; what was inserted is at the place of its insertion.
    pub(super) fn place(&self, edited: Place) -> Place {
        let mut column = edited.column;
        let first = self.0.partition_point(|(at, _)| at.line < edited.line);
        for (at, length) in self.0[first..].iter().take_while(|(at, _)| at.line == edited.line) {
            if column < at.column {
                break;
            }
            if column < at.column + length {
                column = at.column;
                break;
            }
            column -= length;
        }
        Place { line: edited.line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_as_javascript_does_and_columns_in_utf16() {
        let text = "a\r\nb\rc\u{2028}😀d\n";
        for (offset, line, column) in
            [(0, 0, 0), (3, 1, 0), (5, 2, 0), (9, 3, 0), (13, 3, 2), (14, 3, 3), (15, 4, 0), (99, 4, 0)]
        {
            assert_eq!(place(text, offset), Place { line, column }, "offset {offset}");
            assert_eq!(Lines::of(text).place(text, offset), Place { line, column }, "offset {offset}");
        }
    }

    #[test]
    fn every_place_outside_the_insertions_maps_back_to_itself() {
        let source = "handler(x); ü(y)\nsecond(z)";
        let mut edits = Edits::default();
        edits.insert(15, "{}, ".into());
        edits.insert(8, "{\"ä\":1}, ".into());
        edits.insert(0, "import;".into());
        let edited = edits.apply(source);
        assert_eq!(edited, "import;handler({\"ä\":1}, x); ü({}, y)\nsecond(z)");
        let back = edits.back(source);
        for (needle, name) in [
            ("handler", "the callee"),
            ("x)", "an argument"),
            ("ü", "a later call"),
            ("y", "its argument"),
            ("second", "another line"),
            ("z", "its argument"),
        ] {
            let there = place(&edited, edited.find(needle).expect(name));
            assert_eq!(back.place(there), place(source, source.find(needle).expect(name)), "{name}");
        }
        let inside = place(&edited, edited.find("ä").expect("inserted"));
        assert_eq!(back.place(inside), place(source, 8), "inside an insertion");
    }
}
