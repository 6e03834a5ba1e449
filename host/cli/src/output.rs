//! Standard output of commands: results, and nothing else.
//!
//! All output goes through here, and nothing printed here moves a terminal's cursor or is invisible: the text may be
//! from anybody.
//! A caller that prints foreign text within its own line makes it [`printable`] first, so that it stays on that line.

use std::borrow::Cow;
use std::io::{self, Write};

use bg_identity::{printable_json, printable_lines};
use bg_poller::UnixMillis;
use time::OffsetDateTime;

use crate::layout;

/// Writes a line, or lines. A closed pipe (`… | head`) ends the output, not the command.
pub(crate) fn line(text: impl std::fmt::Display) -> io::Result<()> {
    line_if_read(text).map(drop)
}

/// Writes a line; returns false if the reader is gone.
pub(crate) fn line_if_read(text: impl std::fmt::Display) -> io::Result<bool> {
    raw(&printable_lines(&text.to_string()))
}

/// Writes text that this program itself generated, unescaped: scripts for shells contain tabs, and a screen is cleared
/// by a control sequence. Returns false if the reader is gone.
pub(crate) fn raw(text: &str) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// A time in UTC (RFC 3339); after the year 9999, which that cannot express, the milliseconds since 1970.
pub(crate) fn time(at: UnixMillis) -> String {
    let seconds = i64::try_from(at.0 / 1_000).ok();
    let Some(time) = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()) else {
        return at.0.to_string();
    };
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    let (month, millis) = (u8::from(month), at.0 % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// A time in the past, for people.
pub(crate) fn ago(now: UnixMillis, time: UnixMillis) -> String {
    if time.is_never() {
        return "never".into();
    }
    let seconds = now.since(time).as_secs();
    match seconds {
        0..=119 => format!("{seconds} s ago"),
        120..=7_199 => format!("{} min ago", seconds / 60),
        7_200..=172_799 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// Writes pretty JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(line(printable_json(&serde_json::to_string_pretty(value)?))?)
}

/// JSON on one line. Escapes do not change its value, so it is always escaped, even if no terminal shows it.
pub(crate) fn json_line(value: &impl serde::Serialize) -> serde_json::Result<String> {
    Ok(printable_json(&serde_json::to_string(value)?).into_owned())
}

/// Writes an error and its causes on standard error, for people.
pub(crate) fn error(error: &anyhow::Error) {
    // If standard error is closed, there is nowhere to report it.
    let _ = writeln!(io::stderr().lock(), "error: {}", printable_lines(&format!("{error:#}")));
}

/// Exits with clap's output: help, or an error about the arguments, which it quotes.
pub(crate) fn exit(error: &clap::Error) -> ! {
    let text = error.render().to_string();
    match printable_lines(&text) {
        // With colours.
        Cow::Borrowed(_) => error.exit(),
        Cow::Owned(text) => {
            let _ = write!(io::stderr().lock(), "{text}");
            std::process::exit(error.exit_code())
        }
    }
}

/// Writes lines on standard error, besides the output for programs.
pub(crate) fn note(lines: &[String]) {
    let mut stderr = io::stderr().lock();
    for line in lines {
        // If standard error is closed, there is nowhere to report it.
        let _ = writeln!(stderr, "{}", printable(line));
    }
}

/// Foreign text, on one line that is safe for a terminal.
pub(crate) fn printable(text: &str) -> String {
    bg_identity::printable(text).into_owned()
}

/// Writes a table.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    layout::table(head, rows).into_iter().try_for_each(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_001, "2000-02-29T00:00:00.001Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "253402300800000"),
            (u64::MAX, "18446744073709551615"),
        ] {
            assert_eq!(time(UnixMillis(millis)), expected);
        }
    }
}
