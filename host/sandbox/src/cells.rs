//! A charm's cells, as one call reads and writes them.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use crate::{Limits, json};

/// The longest name of a cell, in bytes.
const NAME_BYTES: usize = 256;

/// What a call wrote: JSON texts by cell name.
pub type CellWrites = BTreeMap<String, String>;

/// The store did not answer. The text is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CellReadError(pub String);

/// A charm's cells as they were when its call began: a snapshot, so that all reads of a call are consistent.
#[async_trait]
pub trait CellReader: Send + Sync {
    /// The names of all cells.
    async fn keys(&self) -> Result<Vec<String>, CellReadError>;

    /// The value of a cell as JSON text, if the cell exists.
    async fn get(&self, name: &str) -> Result<Option<String>, CellReadError>;
}

/// Cells that are all in memory, such as those of a charm that is being deployed.
#[async_trait]
impl CellReader for BTreeMap<String, String> {
    async fn keys(&self) -> Result<Vec<String>, CellReadError> {
        Ok(BTreeMap::keys(self).cloned().collect())
    }

    async fn get(&self, name: &str) -> Result<Option<String>, CellReadError> {
        Ok(BTreeMap::get(self, name).cloned())
    }
}

/// The cells, with the writes of one call on top.
pub(crate) struct Cells {
    reader: Box<dyn CellReader>,
    /// Names that no cell may have.
    streams: BTreeSet<String>,
    writes: CellWrites,
    /// Bytes of all values in `writes`.
    written: usize,
}

/// Why a cell can't be read or written, in the guest's terms.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CellError {
    BadName(String),
    BadJson(String),
    TooLarge(String),
    Unavailable(CellReadError),
}

impl Cells {
    pub(crate) fn new(reader: Box<dyn CellReader>, streams: BTreeSet<String>) -> Self {
        Self { reader, streams, writes: CellWrites::new(), written: 0 }
    }

    pub(crate) fn into_writes(self) -> CellWrites {
        self.writes
    }

    pub(crate) async fn keys(&self) -> Result<Vec<String>, CellError> {
        let mut keys: BTreeSet<_> = self.reader.keys().await.map_err(CellError::Unavailable)?.into_iter().collect();
        keys.extend(self.writes.keys().cloned());
        Ok(keys.into_iter().collect())
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Option<String>, CellError> {
        self.check_name(name)?;
        if let Some(written) = self.writes.get(name) {
            return Ok(Some(written.clone()));
        }
        self.reader.get(name).await.map_err(CellError::Unavailable)
    }

    pub(crate) fn set(&mut self, name: String, value: String, limits: &Limits) -> Result<(), CellError> {
        self.check_name(&name)?;
        if value.len() > limits.cell_bytes {
            return Err(CellError::TooLarge(format!(
                "the value has {} bytes; the limit is {}",
                value.len(),
                limits.cell_bytes
            )));
        }
        json::check(&value).map_err(|error| CellError::BadJson(error.to_string()))?;
        let before = self.writes.get(&name);
        if before.is_none() && self.writes.len() >= limits.cells {
            return Err(CellError::TooLarge(format!("one call can write {} cells", limits.cells)));
        }
        let written = self.written - before.map_or(0, String::len) + value.len();
        if written > limits.cells_bytes {
            return Err(CellError::TooLarge(format!("one call can write {} bytes", limits.cells_bytes)));
        }
        self.written = written;
        self.writes.insert(name, value);
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), CellError> {
        if name.is_empty() {
            return Err(CellError::BadName("a cell's name can't be empty".into()));
        }
        if name.len() > NAME_BYTES {
            return Err(CellError::BadName(format!("a cell's name can't have more than {NAME_BYTES} bytes")));
        }
        if self.streams.contains(name) {
            return Err(CellError::BadName(format!("{name} is a stream")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells() -> Cells {
        let stored = BTreeMap::from([("count".to_owned(), "1".to_owned())]);
        Cells::new(Box::new(stored), BTreeSet::from(["bgUpdater".to_owned()]))
    }

    #[tokio::test]
    async fn a_call_reads_what_it_wrote() {
        let mut cells = cells();
        let limits = Limits::default();
        assert_eq!(cells.get("count").await, Ok(Some("1".into())));
        cells.set("count".into(), "2".into(), &limits).unwrap();
        cells.set("new".into(), "[]".into(), &limits).unwrap();
        assert_eq!(cells.get("count").await, Ok(Some("2".into())));
        assert_eq!(cells.get("missing").await, Ok(None));
        assert_eq!(cells.keys().await.unwrap(), ["count", "new"]);
        let writes = cells.into_writes();
        assert_eq!(writes, BTreeMap::from([("count".into(), "2".into()), ("new".into(), "[]".into())]));
    }

    #[tokio::test]
    async fn bad_names_and_values_are_refused() {
        let mut cells = cells();
        let limits = Limits { cell_bytes: 10, cells_bytes: 15, cells: 2, ..Limits::default() };
        for name in ["", "bgUpdater", &"x".repeat(257)] {
            assert!(matches!(cells.get(name).await, Err(CellError::BadName(_))));
            assert!(matches!(cells.set(name.into(), "1".into(), &limits), Err(CellError::BadName(_))));
        }
        assert!(matches!(cells.set("a".into(), "{".into(), &limits), Err(CellError::BadJson(_))));
        assert!(matches!(cells.set("a".into(), "12345678901".into(), &limits), Err(CellError::TooLarge(_))));
        cells.set("a".into(), "1234567890".into(), &limits).unwrap();
        assert!(matches!(cells.set("b".into(), "123456".into(), &limits), Err(CellError::TooLarge(_))));
        cells.set("a".into(), "1".into(), &limits).unwrap();
        cells.set("b".into(), "123456".into(), &limits).unwrap();
        assert!(matches!(cells.set("c".into(), "1".into(), &limits), Err(CellError::TooLarge(_))));
    }
}
