//! The output of `list`.

use crate::layout;

const HEAD: [&str; 5] = ["CHARM", "INTEGRATION", "STATE", "LAST RUN", "STATUS"];

/// The minimum width of a shortened status, in characters. With less room, it gets its own line.
const LEAST_STATUS: usize = 24;

/// The lines for these registrations, each with the columns of [`HEAD`], for a terminal of `width` characters, if there
/// is one; and whether nothing was shortened. If a line is too wide, names are shortened, and if necessary each
/// registration gets two lines.
pub(super) fn lines(rows: &[[String; 5]], width: Option<usize>) -> (Vec<String>, bool) {
    let whole = layout::table(&HEAD, rows);
    let too_wide = |width: &usize| whole.iter().any(|line| layout::length(line) > *width);
    let Some(width) = width.filter(too_wide).filter(|_| !rows.is_empty()) else { return (whole, true) };
    let mut rows = rows.to_vec();
    for row in &mut rows {
        row[0] = short(&row[0]);
    }
    let widest = |column: usize| {
        let cells = rows.iter().map(|row| layout::length(&row[column]));
        cells.chain([HEAD[column].len()]).max().unwrap_or_default()
    };
    let before: usize = (0..4).map(|column| widest(column) + layout::BETWEEN.len()).sum();
    let room = width.saturating_sub(before);
    if room >= widest(4).min(LEAST_STATUS) {
        for row in &mut rows {
            row[4] = layout::cut(&row[4], room);
        }
        return (layout::table(&HEAD, &rows), false);
    }
    let firsts: Vec<[String; 2]> = rows.iter().map(|row| [row[0].clone(), row[2].clone()]).collect();
    let mut firsts = layout::table(&["CHARM", "STATE"], &firsts).into_iter();
    let mut lines: Vec<String> = firsts.next().into_iter().collect();
    for (first, [_, integration, _, last_run, status]) in firsts.zip(&rows) {
        lines.push(first);
        lines.push(layout::cut(&format!("    {integration}, {last_run}: {status}"), width));
    }
    (lines, false)
}

/// `<space>/<charm ID>`, shortened like on the admin page.
fn short(charm: &str) -> String {
    let parts: Vec<String> =
        charm.split('/').map(|part| bg_identity::short(part.trim_start_matches("did:key:"))).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHARM: &str = "did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo/baedreiew6ioyvfnvp2bdyfsylltqnevcclj35ihsqnjqatgl4zbrq5c5ve";

    fn rows() -> Vec<[String; 5]> {
        let row = |integration: &str, state: &str, status: &str| {
            [CHARM, integration, state, "59 s ago", status].map(str::to_owned)
        };
        vec![
            row("gmail", "running", "Success"),
            row("my-test", "failing", &format!("HandlerFailed: {}", "it went wrong, ".repeat(20))),
        ]
    }

    #[test]
    fn nothing_is_shortened_where_there_is_room_or_no_terminal() {
        let (whole, is_whole) = lines(&rows(), None);
        assert!(is_whole && whole[1].starts_with(CHARM) && whole[2].ends_with("it went wrong,"), "{whole:?}");
        assert_eq!(lines(&rows(), Some(1_000)), (whole, true));
        let (empty, is_whole) = lines(&[], Some(20));
        assert!(is_whole && empty.len() == 1);
    }

    #[test]
    fn a_narrow_terminal_has_short_names_and_no_line_that_is_too_long() {
        for (width, expected) in [
            (
                120,
                [
                    "CHARM                            INTEGRATION  STATE    LAST RUN  STATUS",
                    "z6Mkm3LR…ecqwRo/baedreie…q5c5ve  gmail        running  59 s ago  Success",
                ]
                .as_slice(),
            ),
            (
                60,
                &[
                    "CHARM                            STATE",
                    "z6Mkm3LR…ecqwRo/baedreie…q5c5ve  running",
                    "    gmail, 59 s ago: Success",
                    "z6Mkm3LR…ecqwRo/baedreie…q5c5ve  failing",
                    "    my-test, 59 s ago: HandlerFailed: it went wrong, it wen…",
                ],
            ),
        ] {
            let (shown, is_whole) = lines(&rows(), Some(width));
            assert!(!is_whole);
            assert_eq!(shown[..expected.len()], *expected);
            assert!(shown.iter().all(|line| layout::length(line) <= width), "{shown:?}");
        }
        let (shown, _) = lines(&rows()[..1], Some(80));
        assert_eq!(shown.len(), 2, "it fits: {shown:?}");
    }
}
