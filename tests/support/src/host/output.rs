//! What a process writes, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Which of a process's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line that a process wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The output it was written to.
    pub output: Output,
    /// The line, without its end; what is not UTF-8 is replaced.
    pub text: String,
}

/// Collects the lines of both outputs, in the order of their arrival.
#[derive(Debug, Default)]
pub(super) struct Lines {
    inner: Mutex<Inner>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    lines: Vec<Line>,
    /// How many have been taken by [`Lines::next`].
    taken: usize,
    /// How many outputs are at their end.
    ended: usize,
}

impl Lines {
    /// Reads `from` to its end on a separate thread.
    pub(super) fn read(self: &Arc<Self>, output: Output, from: impl Read + Send + 'static) {
        let lines = self.clone();
        std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut bytes = Vec::new();
            // An error is an end: the pipe of a killed process may give either.
            while matches!(from.read_until(b'\n', &mut bytes), Ok(count) if count > 0) {
                let text = String::from_utf8_lossy(&bytes);
                let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
                lines.lock().lines.push(Line { output, text });
                lines.grown.notify_all();
                bytes.clear();
            }
            lines.lock().ended += 1;
            lines.grown.notify_all();
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next line; `None` at the end of both outputs, or at `deadline`.
    pub(super) fn next(&self, deadline: Instant) -> Option<Line> {
        let mut inner = self.lock();
        loop {
            if let Some(line) = inner.lines.get(inner.taken).cloned() {
                inner.taken += 1;
                return Some(line);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if inner.ended == 2 || left == Duration::ZERO {
                return None;
            }
            inner = self.grown.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until both outputs are at their end, or until `deadline`.
    pub(super) fn wait_for_end(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.grown.wait_timeout_while(self.lock(), left, |inner| inner.ended < 2);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// All lines so far.
    pub(super) fn all(&self) -> Vec<Line> {
        self.lock().lines.clone()
    }

    /// The text of one output so far.
    pub(super) fn text(&self, output: Output) -> String {
        let inner = self.lock();
        inner
            .lines
            .iter()
            .filter(|line| line.output == output)
            .fold(String::new(), |text, line| text + &line.text + "\n")
    }
}
