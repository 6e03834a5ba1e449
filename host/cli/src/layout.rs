//! Layout of text on a terminal.

use std::io::{self, IsTerminal as _};

/// Marks an omitted part.
const ELLIPSIS: char = '…';

/// The separator between columns of a table.
pub(crate) const BETWEEN: &str = "  ";

/// The minimum width assumed for a terminal.
const NARROWEST: usize = 20;

/// The width of standard output in characters, if it is a terminal; `None` otherwise, so that other readers get
/// everything.
pub(crate) fn width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
    // A terminal without a known size reports 0.
    (size.ws_col > 0).then(|| usize::from(size.ws_col).max(NARROWEST))
}

/// How many characters a text has.
pub(crate) fn length(text: &str) -> usize {
    text.chars().count()
}

/// The words of a text, in lines of at most `width` characters. A longer word gets its own line and stays whole: the
/// terminal wraps it, and it can be copied.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if length(line) + 1 + length(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// As much of a text as there is room for, with `…` at its end if it was cut.
pub(crate) fn cut(text: &str, room: usize) -> String {
    if length(text) <= room {
        return text.to_owned();
    }
    let mut beginning: String = text.chars().take(room.saturating_sub(1)).collect();
    beginning.truncate(beginning.trim_end().len());
    beginning.push(ELLIPSIS);
    beginning
}

/// The beginning of a text, in at most `most` lines, with `…` at its end if it was cut; and whether it is complete.
pub(crate) fn beginning(text: &str, width: usize, most: usize) -> (Vec<String>, bool) {
    let fits = length(text) <= width * most;
    let mut lines = wrap(&cut(text, width * most), width);
    let is_all = fits && lines.len() <= most;
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            let kept: String = last.chars().take(width.saturating_sub(2)).collect();
            *last = format!("{} {ELLIPSIS}", kept.trim_end());
        }
    }
    (lines, is_all)
}

/// A cell padded to a width. (`{:<width$}` panics above 65,535.)
fn padded(cell: &str, width: usize) -> String {
    format!("{cell}{}", " ".repeat(width.saturating_sub(length(cell))))
}

/// The lines of a table, with columns padded to their widest cell.
pub(crate) fn table<R: AsRef<[String]>>(head: &[&str], rows: &[R]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.as_ref().get(column)).map(|cell| length(cell));
        cells.chain([head[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let laid_out = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| padded(cell, *width)).collect();
        padded.join(BETWEEN).trim_end().to_owned()
    };
    let mut lines = vec![laid_out(&mut head.iter().copied())];
    lines.extend(rows.iter().map(|row| laid_out(&mut row.as_ref().iter().map(String::as_str))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_of_any_length_is_padded() {
        let long = "x".repeat(70_000);
        let lines = table(&["a", "b"], &[[long.clone(), "1".to_owned()], ["y".to_owned(), "2".to_owned()]]);
        assert_eq!(lines[1], format!("{long}{BETWEEN}1"));
        assert_eq!(lines[2].len(), lines[1].len());
    }

    #[test]
    fn words_go_to_the_next_line_and_stay_whole() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("a longer-than-a-line b", 10), ["a", "longer-than-a-line", "b"]);
        assert_eq!(wrap("", 10), Vec::<String>::new());
        assert_eq!(wrap("übergroß ist es", 12), ["übergroß ist", "es"]);
    }

    #[test]
    fn a_cut_text_is_marked() {
        let all = |text: &str, width, most| beginning(text, width, most);
        assert_eq!(all("one two three", 7, 2), (vec!["one two".to_owned(), "three".to_owned()], true));
        assert_eq!(all("one two three four", 7, 2), (vec!["one two".to_owned(), "three…".to_owned()], false));
        assert_eq!(all("a bbbbbbb ccccc", 7, 2), (vec!["a".to_owned(), "bbbbb …".to_owned()], false));
        let (lines, is_all) = all(&"x".repeat(100), 10, 2);
        assert_eq!((lines, is_all), (vec![format!("{}…", "x".repeat(19))], false));
        assert_eq!([cut("exactly", 7), cut("exact ly", 7)], ["exactly", "exact…"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "longer", "x"], ["bbb", "c", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&["ONE", "TWO", "THREE"], &rows), ["ONE  TWO     THREE", "a    longer  x", "bbb  c"]);
    }
}
