//! The log lines of a call, for its caller.

use std::sync::{Arc, Mutex, PoisonError};

use bg_poller::LogLine;

/// The log lines of a call, within its limits. Filled while it runs, however it ends.
#[derive(Clone, Debug, Default)]
pub struct CallLines(Arc<Mutex<Vec<LogLine>>>);

impl CallLines {
    /// Takes the lines so far, oldest first.
    pub fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn add(&self, line: LogLine) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}
