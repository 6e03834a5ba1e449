//! What a person or a log sees while guests are being built: a bar on a terminal, otherwise plain lines. Always on
//! standard error, past the capture of test runners, since a first build takes minutes.

use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A log gets at least one line in this time, so that a slow build does not look like a hung one.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Shows the progress of a build.
pub(crate) struct Progress {
    /// `None` without a terminal.
    bar: Option<ProgressBar>,
    started: Instant,
    last_line: Cell<Instant>,
    now: RefCell<Now>,
}

/// The current step.
#[derive(Default)]
struct Now {
    stage: String,
    done: u64,
    total: u64,
    item: String,
}

impl Now {
    /// `compiling: 45 of 120, boa_parser`.
    fn text(&self) -> String {
        let count = (self.total > 0).then(|| format!("{} of {}", self.done, self.total));
        let item = (!self.item.is_empty()).then(|| self.item.clone());
        let known = count.into_iter().chain(item).collect::<Vec<_>>().join(", ");
        if known.is_empty() { self.stage.clone() } else { format!("{}: {known}", self.stage) }
    }
}

impl Progress {
    pub(crate) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let bar = (std::io::stderr().is_terminal() && !dumb).then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let progress =
            Self { bar, started: Instant::now(), last_line: Cell::new(Instant::now()), now: RefCell::default() };
        progress.style(false);
        progress
    }

    /// Whether the output shows colours.
    pub(crate) fn is_terminal(&self) -> bool {
        self.bar.is_some()
    }

    /// Announces the next stage.
    pub(crate) fn stage(&self, stage: &str) {
        self.now.replace(Now { stage: stage.to_owned(), ..Now::default() });
        match &self.bar {
            Some(bar) => {
                self.style(false);
                bar.set_message(stage.to_owned());
            }
            None => self.line(stage),
        }
    }

    /// Reports `done` of `total` steps.
    pub(crate) fn steps(&self, done: u64, total: u64) {
        let first = self.now.borrow().total == 0;
        {
            let mut now = self.now.borrow_mut();
            now.done = done;
            now.total = total;
        }
        if let Some(bar) = &self.bar {
            if first {
                self.style(true);
            }
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    /// Reports the current item.
    pub(crate) fn item(&self, item: &str) {
        item.clone_into(&mut self.now.borrow_mut().item);
        if let Some(bar) = &self.bar {
            bar.set_message(self.now.borrow().text());
        }
    }

    /// Writes a line that stays on the screen.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => self.line(line),
        }
    }

    /// Call this about every second.
    pub(crate) fn tick(&self) {
        if self.bar.is_none() && self.last_line.get().elapsed() >= HEARTBEAT {
            let seconds = self.started.elapsed().as_secs();
            self.line(&format!("still {} ({seconds} s)", self.now.borrow().text()));
        }
    }

    /// Removes the bar from the screen.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, line: &str) {
        self.last_line.set(Instant::now());
        // A closed standard error must not stop the build.
        let _ = writeln!(std::io::stderr().lock(), "guests: {line}");
    }

    fn style(&self, counted: bool) {
        let template = if counted {
            "guests {spinner} [{bar:24}] {pos}/{len} {elapsed} {wide_msg}"
        } else {
            "guests {spinner} {elapsed} {wide_msg}"
        };
        if let (Some(bar), Ok(style)) = (&self.bar, ProgressStyle::with_template(template)) {
            bar.set_style(style.progress_chars("=> "));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_everything_that_is_known() {
        for (done, total, item, text) in [
            (0, 0, "", "compiling"),
            (0, 0, "serde", "compiling: serde"),
            (3, 9, "", "compiling: 3 of 9"),
            (3, 9, "serde", "compiling: 3 of 9, serde"),
        ] {
            let now = Now { stage: "compiling".into(), done, total, item: item.into() };
            assert_eq!(now.text(), text);
        }
    }
}
