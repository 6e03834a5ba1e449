//! What a call leaves for its caller, besides its result.

use std::sync::{Arc, Mutex, PoisonError};

use bg_poller::{LogLine, Servers};

/// The log lines of a call, within its limits, filled while it runs, however it ends; and the servers that answered it.
#[derive(Clone, Debug, Default)]
pub struct CallLines(Arc<Mutex<Left>>);

#[derive(Debug, Default)]
struct Left {
    lines: Vec<LogLine>,
    servers: Servers,
}

impl CallLines {
    /// Takes the lines so far, oldest first.
    pub fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).lines)
    }

    /// The servers that answered its requests, if it has succeeded.
    pub fn servers(&self) -> Servers {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).servers.clone()
    }

    pub(crate) fn note_servers(&self, servers: Servers) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).servers = servers;
    }

    pub(super) fn add(&self, line: LogLine) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lines.push(line);
    }
}
