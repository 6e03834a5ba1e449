//! Places in a text.

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
}
