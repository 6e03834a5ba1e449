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
    places(text, [offset])[0]
}

/// The same of several, in ascending order, in one walk through the text.
pub(super) fn places(text: &str, offsets: impl IntoIterator<Item = usize>) -> Vec<Place> {
    let mut chars = text.char_indices().peekable();
    let (mut line, mut column) = (0, 0);
    let mut place_of = |offset: usize| {
        while let Some((_, char)) = chars.next_if(|(at, char)| at + char.len_utf8() <= offset) {
            let ends = match char {
                '\r' => !matches!(chars.peek(), Some((_, '\n'))),
                '\n' | '\u{2028}' | '\u{2029}' => true,
                _ => false,
            };
            if ends {
                (line, column) = (line + 1, 0);
            } else {
                column += u32::from(char.len_utf16() == 2) + 1;
            }
        }
        Place { line, column }
    };
    offsets.into_iter().map(&mut place_of).collect()
}

fn utf16_len(text: &str) -> u32 {
    u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX)
}

/// Texts to insert into a source. None has a line break, so that lines stay what they were.
#[derive(Debug, Default)]
pub(super) struct Edits {
    /// Byte offsets in the original, and what to insert there.
    insertions: Vec<(usize, String)>,
}

impl Edits {
    /// Adds `text` at the byte `offset` of the original.
    pub(super) fn insert(&mut self, offset: u32, text: String) {
        debug_assert!(!text.contains(['\n', '\r', '\u{2028}', '\u{2029}']), "lines must stay where they are");
        self.insertions.push((offset as usize, text));
    }

    /// By offset; those at the same one in the order in which they were added.
    fn sorted(&self) -> Vec<&(usize, String)> {
        let mut sorted: Vec<_> = self.insertions.iter().collect();
        sorted.sort_by_key(|(offset, _)| *offset);
        sorted
    }

    /// Those that are not within, or at the ends of, these parts of the source.
    pub(super) fn outside(&self, parts: &[Span]) -> Self {
        let mut parts: Vec<_> = parts.iter().map(|part| (part.start as usize, part.end as usize)).collect();
        parts.sort_unstable();
        // How far a part goes, or one that begins before it and ends later.
        let mut reach = 0;
        for (_, end) in &mut parts {
            reach = reach.max(*end);
            *end = reach;
        }
        let within = |offset: usize| {
            let begun = parts.partition_point(|(start, _)| *start <= offset);
            begun > 0 && offset <= parts[begun - 1].1
        };
        Self { insertions: self.insertions.iter().filter(|(offset, _)| !within(*offset)).cloned().collect() }
    }

    /// The source with everything inserted.
    pub(super) fn apply(&self, source: &str) -> String {
        let mut edited =
            String::with_capacity(source.len() + self.insertions.iter().map(|(_, t)| t.len()).sum::<usize>());
        let mut done = 0;
        for (offset, text) in self.sorted() {
            edited.push_str(&source[done..*offset]);
            edited.push_str(text);
            done = *offset;
        }
        edited.push_str(&source[done..]);
        edited
    }

    /// Where places of the edited text are in `source`.
    pub(super) fn back(&self, source: &str) -> Back {
        let sorted = self.sorted();
        let places = places(source, sorted.iter().map(|(offset, _)| *offset));
        let mut inserted: Vec<Inserted> = Vec::with_capacity(sorted.len());
        for (at, (_, text)) in places.into_iter().zip(sorted) {
            let before = inserted.last().filter(|one| one.at.line == at.line).map_or(0, |one| one.before + one.length);
            inserted.push(Inserted { at, before, length: utf16_len(text) });
        }
        Back(inserted)
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
pub(super) struct Back(Vec<Inserted>);

/// A text that was inserted.
struct Inserted {
    /// Where in the original.
    at: Place,
    /// How long the texts are that were inserted before it on its line, in UTF-16 units, and how long this one is.
    before: u32,
    length: u32,
}

impl Back {
    /// The original place of `edited`; what was inserted is at the place of its insertion.
    pub(super) fn place(&self, edited: Place) -> Place {
        let Place { line, column } = edited;
        // The last one that begins before it, or there.
        let behind = self.0.partition_point(|one| (one.at.line, one.at.column + one.before) <= (line, column));
        let Some(one) = behind.checked_sub(1).map(|at| &self.0[at]).filter(|one| one.at.line == line) else {
            return edited;
        };
        Place { line, column: (column - one.before).saturating_sub(one.length).max(one.at.column) }
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
