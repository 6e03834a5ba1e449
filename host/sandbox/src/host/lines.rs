//! The lines that a call logged, for whoever made it.

use std::sync::{Arc, Mutex, PoisonError};

use bg_poller::LogLine;

/// What a call logs, as far as its limits allow: filled while it runs, whatever its end.
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
