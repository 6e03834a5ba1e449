//! One abuse, tried.

use std::fmt::Display;
use std::fs;
use std::time::Instant;

use crate::{Row, attempts, peak};

/// One abuse under way: how long it takes, and how much memory the process has meanwhile. Tests of one process run at the same
/// time, so that its peak is theirs together.
#[derive(Debug)]
pub struct Attempt {
    row: &'static Row,
    what: String,
    process: String,
    started: Instant,
}

impl Attempt {
    /// Begins. `row` is the name of a row; `what` tells this attempt from others of its row.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn begin(row: &str, what: impl Into<String>) -> Self {
        let row = Row::find(row).unwrap_or_else(|| panic!("there is no row `{row}` in bg-abuse's list"));
        peak::reset();
        Self { row, what: what.into(), process: "self".to_owned(), started: Instant::now() }
    }

    /// Measures the memory of another process: the service's, where the test runs it.
    #[must_use]
    pub fn of_process(mut self, id: u32) -> Self {
        self.process = id.to_string();
        self
    }

    /// It has ended, as `outcome`; call it while the process still runs. Recorded for the table.
    ///
    /// # Panics
    ///
    /// If the record cannot be written.
    pub fn ended(self, outcome: impl Display) {
        let took = self.started.elapsed();
        let record = attempts::Record {
            row: self.row.id.to_owned(),
            what: attempts::one_line(&self.what),
            outcome: attempts::one_line(&outcome.to_string()),
            millis: took.as_millis().try_into().unwrap_or(u64::MAX),
            peak_kib: peak::of(&self.process),
        };
        let folder = attempts::folder();
        let written = fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join(record.file()), record.line()));
        written.unwrap_or_else(|error| panic!("cannot write to {}: {error}", folder.display()));
    }
}
