//! What a guest logs during one call, limited and escaped.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bg_identity::{IntegrationId, Secret, mask};
use bg_poller::{CharmRef, LogLine, UnixMillis};

use super::lines::CallLines;
use crate::{Limits, text};

pub(crate) use bg_poller::LogLevel as Level;

/// The longest line that is logged, in bytes.
const LINE_BYTES: usize = 8 * 1024;

/// How many of the last lines of an integration's call are kept to explain its failure, and how much of each, in bytes.
const LAST_LINES: usize = 10;
const LAST_LINE_BYTES: usize = 512;

/// One of a guest's two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

/// Whose call it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) integration: Option<IntegrationId>,
    pub(crate) charm: Option<CharmRef>,
    /// What must not be logged, in case a charm logs its own token.
    pub(crate) secrets: Vec<Secret>,
    /// A second destination of its lines, for the caller.
    pub(crate) lines: Option<CallLines>,
}

/// The log of one call. Lines become `tracing` events with target `guest` and the fields `integration` and `charm`.
#[derive(Debug)]
pub(crate) struct CallLog {
    scope: Scope,
    budget: Mutex<Budget>,
    last: Mutex<VecDeque<LogLine>>,
}

#[derive(Debug)]
struct Budget {
    lines: usize,
    bytes: usize,
    /// Number and bytes of the lines over the limit.
    dropped: (u64, u64),
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl CallLog {
    pub(crate) fn new(scope: Scope, limits: &Limits) -> Self {
        let budget = Budget {
            lines: limits.log_lines,
            bytes: limits.log_bytes,
            dropped: (0, 0),
            stdout: Vec::new(),
            stderr: Vec::new(),
        };
        Self { scope, budget: Mutex::new(budget), last: Mutex::default() }
    }

    /// Writes one line.
    pub(crate) fn write(&self, level: Level, message: &str) {
        if let Some(line) = self.budget().admit(&mask(message, &self.scope.secrets)) {
            self.emit(level, &line);
        }
    }

    /// Takes the last lines of an integration's call. Lines of charms are in the charms' own logs.
    pub(crate) fn take_last(&self) -> Vec<LogLine> {
        std::mem::take(&mut *self.last.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }

    /// What must not appear in any other text of the guest either.
    pub(crate) fn secrets(&self) -> &[Secret] {
        &self.scope.secrets
    }

    /// Takes what a guest prints, and writes each line once it is complete.
    pub(crate) fn print(&self, output: Output, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            let line = self.budget().complete(output, part, end.is_some());
            if let Some(line) = line {
                self.write(output.level(), &line);
            }
            bytes = rest.get(1..).unwrap_or_default();
        }
    }

    /// Writes the rest: incomplete lines, and how much was dropped.
    pub(crate) fn finish(&self) {
        for output in [Output::Stdout, Output::Stderr] {
            let line = {
                let mut budget = self.budget();
                let unfinished = !budget.buffer(output).is_empty();
                unfinished.then(|| budget.complete(output, &[], true)).flatten()
            };
            if let Some(line) = line {
                self.write(output.level(), &line);
            }
        }
        let (lines, bytes) = std::mem::take(&mut self.budget().dropped);
        if lines > 0 || bytes > 0 {
            self.emit(Level::Warn, &format!("{lines} more lines ({bytes} bytes) were not logged"));
        }
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        // A panic while it was locked left nothing inconsistent that matters.
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn emit(&self, level: Level, line: &str) {
        let integration = self.scope.integration.as_ref().map(tracing::field::display);
        let charm = self.scope.charm.as_ref().map(tracing::field::display);
        match level {
            Level::Trace => tracing::trace!(target: "guest", integration, charm, "{line}"),
            Level::Debug => tracing::debug!(target: "guest", integration, charm, "{line}"),
            Level::Info => tracing::info!(target: "guest", integration, charm, "{line}"),
            Level::Warn => tracing::warn!(target: "guest", integration, charm, "{line}"),
            Level::Error => tracing::error!(target: "guest", integration, charm, "{line}"),
        }
        // The kept lines may be visible to others than those who set the log level.
        if integration.is_some() && matches!(level, Level::Info | Level::Warn | Level::Error) {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            // It was escaped when it was admitted.
            let text = text::one_line(line, LAST_LINE_BYTES);
            last.push_back(LogLine { at: UnixMillis::now(), level, text });
        }
        if let Some(lines) = &self.scope.lines {
            lines.add(LogLine { at: UnixMillis::now(), level, text: line.to_owned() });
        }
    }
}

/// Also runs if the caller gives up the call.
impl Drop for CallLog {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Budget {
    /// The line as it may be logged; `None` once the limit is reached.
    fn admit(&mut self, message: &str) -> Option<String> {
        if self.lines == 0 || self.bytes == 0 {
            self.drop_line(message.len());
            return None;
        }
        let line = text::one_line(message, LINE_BYTES.min(self.bytes));
        self.lines -= 1;
        self.bytes = self.bytes.saturating_sub(line.len());
        Some(line)
    }

    fn drop_line(&mut self, bytes: usize) {
        self.dropped.0 += 1;
        self.dropped.1 += bytes as u64;
    }

    fn buffer(&mut self, output: Output) -> &mut Vec<u8> {
        match output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        }
    }

    /// Adds to the line that is being printed, and returns the line if it is complete. What exceeds the length of a
    /// line is dropped.
    fn complete(&mut self, output: Output, part: &[u8], is_end: bool) -> Option<String> {
        let buffer = self.buffer(output);
        let room = LINE_BYTES.saturating_sub(buffer.len());
        buffer.extend_from_slice(&part[..part.len().min(room)]);
        self.dropped.1 += part.len().saturating_sub(room) as u64;
        if !is_end {
            return None;
        }
        let line = std::mem::take(self.buffer(output));
        Some(String::from_utf8_lossy(&line).into_owned())
    }
}

impl Output {
    fn level(self) -> Level {
        match self {
            Self::Stdout => Level::Info,
            Self::Stderr => Level::Warn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Lines};

    fn log(lines: usize, bytes: usize) -> CallLog {
        let limits = Limits { log_lines: lines, log_bytes: bytes, ..Limits::default() };
        CallLog::new(Scope { integration: Some("gmail".parse().unwrap()), ..Scope::default() }, &limits)
    }

    fn logged(run: impl FnOnce()) -> Lines {
        let (lines, _guard) = testing::capture_log();
        run();
        lines
    }

    #[test]
    fn a_secret_is_not_logged() {
        let secrets = ["ya29.token-2", "ya29.token"].map(|text| Secret::new(text.to_owned())).to_vec();
        let scope = Scope { secrets, ..Scope::default() };
        let lines = logged(|| {
            CallLog::new(scope, &Limits::default()).write(Level::Info, "ya29.token-2, ya29.token and more");
        });
        assert_eq!(lines.of_guests(), ["guest INFO (secret), (secret) and more"]);
    }

    #[test]
    fn lines_are_escaped_and_named_after_their_integration() {
        let lines = logged(|| log(10, 1000).write(Level::Info, "a\nb\u{1b}[2J"));
        assert_eq!(lines.all(), ["guest INFO integration=gmail a\\nb\\u{1b}[2J"]);
    }

    #[test]
    fn the_caller_gets_the_same_lines_masked_and_bounded() {
        let kept = CallLines::default();
        let secrets = vec![Secret::new("ya29.token".to_owned())];
        let scope = Scope { secrets, lines: Some(kept.clone()), ..Scope::default() };
        let log = CallLog::new(scope, &Limits { log_lines: 2, ..Limits::default() });
        log.write(Level::Debug, "ya29.token\n");
        log.print(Output::Stderr, b"no end");
        log.finish();
        log.write(Level::Info, "one more");
        log.finish();
        let lines: Vec<_> = kept.take().into_iter().map(|line| (line.level, line.text)).collect();
        let expected = [
            (Level::Debug, "(secret)\\n"),
            (Level::Warn, "no end"),
            (Level::Warn, "1 more lines (8 bytes) were not logged"),
        ];
        assert_eq!(lines, expected.map(|(level, text)| (level, text.to_owned())));
        assert!(kept.take().is_empty());
    }

    #[test]
    fn the_last_lines_of_an_integration_are_kept() {
        let log = log(1_000, 100_000);
        (0..30).for_each(|number| log.write(Level::Warn, &format!("{number}")));
        log.write(Level::Error, &"x".repeat(5_000));
        let last = log.take_last();
        let texts: Vec<&str> = last.iter().map(|line| line.text.as_str()).collect();
        assert_eq!((texts.len(), texts[0], texts[LAST_LINES - 2]), (LAST_LINES, "21", "29"));
        assert!(texts[LAST_LINES - 1].len() <= LAST_LINE_BYTES + 3 && texts[LAST_LINES - 1].starts_with("xxx"));
        assert!(log.take_last().is_empty());
    }

    #[test]
    fn a_flood_is_limited_and_counted() {
        let lines = logged(|| {
            let log = log(3, 1000);
            (0..10).for_each(|_| log.write(Level::Warn, "again"));
            log.finish();
        });
        assert_eq!(lines.all().len(), 4);
        assert!(lines.all()[3].ends_with("7 more lines (35 bytes) were not logged"));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let lines = logged(|| {
            let log = log(100, 100);
            log.write(Level::Warn, &"x".repeat(1_000_000));
            log.write(Level::Warn, "never");
            log.finish();
        });
        assert!(lines.all()[0].len() < 200);
        assert!(lines.all()[1].ends_with("1 more lines (5 bytes) were not logged"));
    }

    #[test]
    fn printed_text_becomes_lines() {
        let lines = logged(|| {
            let log = log(100, 1000);
            log.print(Output::Stdout, b"one\ntw");
            log.print(Output::Stderr, b"three\n");
            log.print(Output::Stdout, b"o\nfo\xffur");
            log.finish();
        });
        let all = lines.all();
        let ends: Vec<_> = all.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(ends, ["one", "three", "two", "fo\u{fffd}ur"]);
    }

    #[test]
    fn an_endless_line_takes_no_more_memory_than_a_line() {
        let log = log(1, 1_000_000);
        for _ in 0..100 {
            log.print(Output::Stdout, &[b'x'; 4096]);
        }
        assert_eq!(log.budget().stdout.len(), LINE_BYTES);
    }
}
