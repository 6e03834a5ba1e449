//! The cells of a charm: JSON documents by name.

use std::collections::BTreeMap;

use bg_identity::Secret;
use rusqlite::{OptionalExtension, Transaction};
use serde_json::Value;

use super::{Failure, Sealer, StoredCharm};
use crate::paths::SecretPaths;
use bg_poller::CharmRef;

/// The cells of one charm, within a transaction.
pub(crate) struct Cells<'a> {
    tx: &'a Transaction<'a>,
    sealer: &'a Sealer,
    row: i64,
    charm: &'a CharmRef,
    secrets: &'a SecretPaths,
}

impl<'a> Cells<'a> {
    /// Those of a charm that is stored.
    pub(crate) fn of(tx: &'a Transaction<'a>, sealer: &'a Sealer, charm: &'a StoredCharm) -> Self {
        Self::new(tx, sealer, charm.row, &charm.summary.charm, &charm.secrets)
    }

    /// Those of the charm in that row.
    pub(crate) fn new(
        tx: &'a Transaction<'a>,
        sealer: &'a Sealer,
        row: i64,
        charm: &'a CharmRef,
        secrets: &'a SecretPaths,
    ) -> Self {
        Self { tx, sealer, row, charm, secrets }
    }

    /// Their names, sorted by bytes.
    pub(crate) fn names(&self) -> Result<Vec<String>, Failure> {
        let mut statement = self.tx.prepare_cached("SELECT name FROM cells WHERE charm = ?1 ORDER BY name")?;
        let names = statement.query_map([self.row], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// The JSON text of a cell.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        let found: Option<(bool, Vec<u8>)> = self
            .tx
            .prepare_cached("SELECT sealed, document FROM cells WHERE charm = ?1 AND name = ?2")?
            .query_row((self.row, name), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            None => Ok(None),
            Some((true, document)) => self.sealer.unseal(self.tx, self.charm, name, &document).map(Some),
            Some((false, document)) => String::from_utf8(document).map(Some).map_err(|_| self.damaged(name)),
        }
    }

    /// The value of a cell.
    pub(crate) fn value(&self, name: &str) -> Result<Option<Value>, Failure> {
        let text = self.text(name)?;
        text.map(|text| serde_json::from_str(&text).map_err(|_| self.damaged(name))).transpose()
    }

    /// Sets cells to JSON texts.
    pub(crate) fn set(&self, texts: &BTreeMap<String, String>) -> Result<(), Failure> {
        let mut statement = self.tx.prepare_cached(
            "INSERT INTO cells (charm, name, sealed, document) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (charm, name) DO UPDATE SET sealed = excluded.sealed, document = excluded.document",
        )?;
        for (name, text) in texts {
            if self.secrets.touches_cell(name) {
                let sealed = self.sealer.seal(self.tx, self.charm, name, text)?;
                statement.execute((self.row, name, true, sealed))?;
            } else {
                statement.execute((self.row, name, false, text.as_bytes()))?;
            }
        }
        Ok(())
    }

    /// Every secret text in the cells.
    pub(crate) fn secrets(&self) -> Result<Vec<Secret>, Failure> {
        let mut secrets = Vec::new();
        for name in self.names()?.iter().filter(|name| self.secrets.touches_cell(name)) {
            if let Some(value) = self.value(name)? {
                secrets.extend(self.secrets.texts(name, value).into_iter().map(Secret::new));
            }
        }
        Ok(secrets)
    }

    fn damaged(&self, name: &str) -> Failure {
        Failure::Damaged(format!("the cell {name} of {}", self.charm))
    }
}
