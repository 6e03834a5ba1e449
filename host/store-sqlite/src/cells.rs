//! The cells of a charm: JSON documents by name.

use std::collections::BTreeMap;

use bg_identity::Secret;
use bg_poller::CharmRef;
use bg_store::document::Document;
use bg_store::paths::SecretPaths;
use bg_store::{BadCell, CellTexts, SecretText, StoredCharm, What, sound_text};
use rusqlite::{OptionalExtension, Transaction};

use super::{Failure, Sealer};

/// Cells that take no more bytes than this are all read in one go: that takes less time than another transaction. Most
/// charms' do; a mailbox is read where it is asked for.
const AT_ONCE: u64 = 64 * 1024;

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

    /// The JSON texts of all of them, if these take no more than [`AT_ONCE`].
    pub(crate) fn texts(&self) -> Result<Option<CellTexts>, Failure> {
        // Of a document that is too large, the length is all that is read.
        let mut statement = self.tx.prepare_cached(
            "SELECT name, sealed, length(document), CASE WHEN length(document) <= ?2 THEN document END \
             FROM cells WHERE charm = ?1",
        )?;
        let mut rows = statement.query((self.row, AT_ONCE))?;
        let (mut found, mut taken) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            taken += row.get::<_, u64>(2)?;
            if taken > AT_ONCE {
                return Ok(None);
            }
            found.push((row.get(0)?, row.get(1)?, row.get(3)?));
        }
        let texts = found.into_iter().map(|(name, sealed, document): (String, bool, Vec<u8>)| {
            let text = self.opened(&name, sealed, document)?;
            let text = sound_text(self.charm, &name, text).map_err(Failure::Damaged)?;
            Ok((name, text))
        });
        texts.collect::<Result<_, Failure>>().map(Some)
    }

    /// The JSON text of a cell.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        let text = self.unchecked(name)?.map(|text| sound_text(self.charm, name, text)).transpose();
        text.map_err(Failure::Damaged)
    }

    /// The text of a cell, for a caller that parses it.
    pub(crate) fn unchecked(&self, name: &str) -> Result<Option<String>, Failure> {
        let found: Option<(bool, Vec<u8>)> = self
            .tx
            .prepare_cached("SELECT sealed, document FROM cells WHERE charm = ?1 AND name = ?2")?
            .query_row((self.row, name), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        found.map(|(sealed, document)| self.opened(name, sealed, document)).transpose()
    }

    fn opened(&self, name: &str, sealed: bool, document: Vec<u8>) -> Result<String, Failure> {
        if sealed {
            self.sealer.unseal(self.tx, self.charm, name, &document)
        } else {
            String::from_utf8(document).map_err(|_| damaged(self.charm, name))
        }
    }

    /// The value of a cell.
    pub(crate) fn value(&self, name: &str) -> Result<Option<Document>, Failure> {
        self.unchecked(name)?.map(|text| Self::parsed(self.charm, name, &text)).transpose()
    }

    /// The value that the text of a cell is.
    pub(crate) fn parsed(charm: &CharmRef, name: &str, text: &str) -> Result<Document, Failure> {
        Document::parse(text).map_err(|_| damaged(charm, name))
    }

    /// Sets cells to the texts of documents: what a charm's program wrote, or [`Document::text`].
    pub(crate) fn set(&self, texts: &CellTexts) -> Result<(), Failure> {
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
        Ok(self.secret_texts()?.into_iter().map(|secret| secret.text).collect())
    }

    /// The same, with where they are.
    pub(crate) fn secret_texts(&self) -> Result<Vec<SecretText>, Failure> {
        let mut texts = BTreeMap::new();
        for name in self.names()?.into_iter().filter(|name| self.secrets.touches_cell(name)) {
            texts.extend(self.unchecked(&name)?.map(|text| (name, text)));
        }
        secret_texts_in(self.charm, self.secrets, &texts)
    }
}

/// Every secret text in cells that were read before.
pub(crate) fn secret_texts_in(
    charm: &CharmRef,
    paths: &SecretPaths,
    texts: &CellTexts,
) -> Result<Vec<SecretText>, Failure> {
    bg_store::secret_texts_in(paths, texts).map_err(|BadCell(name)| damaged(charm, &name))
}

pub(crate) fn damaged(charm: &CharmRef, name: &str) -> Failure {
    Failure::Damaged(What::of_cell(charm, name))
}
