//! A charm's cells as they were when its call began: read then, or when the call asks for them.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bg_poller::RuntimeError;
use bg_sandbox::{CellReadError, CellReader};
use bg_store::{CellTexts, Store, StoredCharm};

/// Reads cells of one version of a charm. No transaction stays open for it, which would keep SQLite from tidying up for
/// as long as a handler runs: each read looks whether the version is still that one.
pub(super) struct Snapshot {
    store: Arc<dyn Store>,
    charm: Arc<StoredCharm>,
    /// All of them, unless they are too large for that.
    cells: Option<Arc<CellTexts>>,
    trouble: Trouble,
}

/// What went wrong in reading, if anything did. The handler may have caught its error and gone on, but what it then did
/// must not count.
#[derive(Clone, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<Problem>>>);

/// Why a call's reads did not all succeed.
enum Problem {
    /// The cells are another version's by now.
    Changed,
    /// The store failed.
    Failed(RuntimeError),
}

impl Trouble {
    /// Whether the cells are another version's by now: then the call does not count. An error if the store failed.
    pub(super) fn changed(&self) -> Result<bool, RuntimeError> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(Problem::Changed) => Ok(true),
            Some(Problem::Failed(error)) => Err(error),
            None => Ok(false),
        }
    }

    fn note(&self, problem: Problem) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(problem);
    }
}

impl Snapshot {
    /// Of the version that was found, with the cells that were read then.
    pub(super) fn new(store: Arc<dyn Store>, charm: Arc<StoredCharm>, cells: Option<Arc<CellTexts>>) -> Self {
        Self { store, charm, cells, trouble: Trouble::default() }
    }

    /// Where it notes what goes wrong.
    pub(super) fn trouble(&self) -> Trouble {
        self.trouble.clone()
    }

    /// What was read, if it is of that version.
    fn read<T>(&self, read: Result<Option<T>, RuntimeError>) -> Result<T, CellReadError> {
        match read {
            Ok(Some(value)) => Ok(value),
            Ok(None) => {
                self.trouble.note(Problem::Changed);
                Err(CellReadError("the cells have changed meanwhile; the call will be repeated".into()))
            }
            Err(error) => {
                let text = error.to_string();
                self.trouble.note(Problem::Failed(error));
                Err(CellReadError(text))
            }
        }
    }
}

#[async_trait]
impl CellReader for Snapshot {
    async fn keys(&self) -> Result<Vec<String>, CellReadError> {
        if let Some(cells) = &self.cells {
            return Ok(cells.keys().cloned().collect());
        }
        self.read(self.store.cell_names_at(&self.charm).await)
    }

    async fn get(&self, name: &str) -> Result<Option<String>, CellReadError> {
        if let Some(cells) = &self.cells {
            return Ok(cells.get(name).cloned());
        }
        self.read(self.store.cell_at(&self.charm, name).await)
    }
}
