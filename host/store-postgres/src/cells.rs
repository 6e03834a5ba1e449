//! The cells of a charm: JSON documents by name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bg_poller::CharmRef;
use bg_seal::Key;
use bg_store::document::Document;
use bg_store::paths::SecretPaths;
use bg_store::{BadCell, CellTexts, SecretText, Size, Sizes, StoredCharm, What, sound_text};
use tokio_postgres::Row;

use super::error::Failure;
use super::session::Session;
use super::values::{Columns as _, texts};

/// Cells that take no more bytes than this are all read with their charm: that takes less time than another statement.
/// Most charms' do; a mailbox is read where it is asked for.
pub(crate) const AT_ONCE: i64 = 64 * 1024;

/// The cells of one charm, as they are stored.
pub(crate) struct Cells<'a> {
    session: &'a Session,
    key: &'a Key,
    row: i64,
    charm: &'a CharmRef,
    secrets: &'a SecretPaths,
}

impl<'a> Cells<'a> {
    /// Those of a charm that is stored.
    pub(crate) fn of(session: &'a Session, key: &'a Key, charm: &'a StoredCharm) -> Self {
        Self::new(session, key, charm.row, &charm.summary.charm, &charm.secrets)
    }

    /// Those of the charm in that row.
    pub(crate) fn new(
        session: &'a Session,
        key: &'a Key,
        row: i64,
        charm: &'a CharmRef,
        secrets: &'a SecretPaths,
    ) -> Self {
        Self { session, key, row, charm, secrets }
    }

    /// Their names, sorted by bytes.
    pub(crate) async fn names(&self) -> Result<Vec<String>, Failure> {
        let rows = self.session.query("SELECT name FROM cells WHERE charm = $1 ORDER BY name", &[&self.row]).await?;
        rows.iter().map(|row| row.text(0)).collect()
    }

    /// The texts of all, or of those of these names, or of those that are sealed; for a caller that parses them. One
    /// that cannot be read has an error.
    async fn read(&self, condition: &str, names: &[String]) -> Result<Vec<(String, Result<String, Failure>)>, Failure> {
        let select = format!("SELECT name, sealed, document FROM cells WHERE charm = $1 AND {condition} ORDER BY name");
        let names = texts(names.iter().map(String::as_str));
        let rows = self.session.query(&select, &[&self.row, &names]).await?;
        let read = rows.into_iter().map(|row| {
            let name = row.text(0)?;
            let opened = opened(self.key, self.charm, &name, row.column(1)?, row.column(2)?);
            Ok((name, opened))
        });
        read.collect()
    }

    /// All, by their names.
    pub(crate) async fn all(&self) -> Result<Vec<(String, Result<String, Failure>)>, Failure> {
        let all = self.read("$2::text[] IS NOT NULL", &[]).await?;
        let checked = all.into_iter().map(|(name, text)| {
            let text = text.and_then(|text| sound_text(self.charm, &name, text).map_err(Failure::Damaged));
            (name, text)
        });
        Ok(checked.collect())
    }

    /// The texts of these cells, for a caller that parses them.
    pub(crate) async fn unchecked(&self, names: &[String]) -> Result<CellTexts, Failure> {
        let read = self.read("name = ANY ($2)", names).await?;
        read.into_iter().map(|(name, text)| Ok((name, text?))).collect()
    }

    /// The JSON text of a cell.
    pub(crate) async fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        let found = self.unchecked(&[name.to_owned()]).await?.remove(name);
        found.map(|text| sound_text(self.charm, name, text)).transpose().map_err(Failure::Damaged)
    }

    /// The value of a cell.
    pub(crate) async fn value(&self, name: &str) -> Result<Option<Document>, Failure> {
        let found = self.unchecked(&[name.to_owned()]).await?.remove(name);
        let parsed = |text: String| Document::parse(&text).map_err(|_| damaged(self.charm, name));
        found.map(parsed).transpose()
    }

    /// Sets cells to the texts of documents: what a charm's program wrote, or [`Document::text`].
    pub(crate) async fn set(&self, cells: &CellTexts) -> Result<(), Failure> {
        let mut upsert = Upsert::default();
        for (name, text) in cells {
            upsert.add(self.key, self.row, self.charm, self.secrets, name, text)?;
        }
        let names = texts(upsert.names.iter().copied());
        if !names.is_empty() {
            self.session.execute(UPSERT, &[&upsert.rows, &names, &upsert.sealed, &upsert.documents]).await?;
        }
        Ok(())
    }

    /// Every secret text in the cells.
    pub(crate) async fn secret_texts(&self) -> Result<Vec<SecretText>, Failure> {
        let mut texts = BTreeMap::new();
        for (name, text) in self.read("sealed AND $2::text[] IS NOT NULL", &[]).await? {
            texts.insert(name, text?);
        }
        secret_texts_in(self.charm, self.secrets, &texts)
    }

    /// What they take, and would take after some writes.
    pub(crate) async fn sizes(&self, writes: &CellTexts) -> Result<Sizes, Failure> {
        let names = texts(writes.keys().map(String::as_str));
        let select = "SELECT name, octet_length(document)::bigint, name = ANY ($2) FROM cells WHERE charm = $1";
        let (mut now, mut before) = (Size::default(), BTreeMap::new());
        for row in self.session.query(select, &[&self.row, &names]).await? {
            let bytes: u64 = row.unsigned(1)?;
            now.cells += 1;
            now.bytes += bytes;
            if row.column(2)? {
                before.insert(row.text(0)?, bytes);
            }
        }
        Sizes::of(now, writes, |name| Ok(before.get(name).copied()))
    }
}

/// Cells to be set, of any charms.
#[derive(Default)]
pub(crate) struct Upsert<'c> {
    pub(crate) rows: Vec<i64>,
    pub(crate) names: Vec<&'c str>,
    pub(crate) sealed: Vec<bool>,
    pub(crate) documents: Vec<Cow<'c, [u8]>>,
}

/// The statement that sets them.
pub(crate) const UPSERT: &str = "INSERT INTO cells (charm, name, sealed, document) SELECT * FROM unnest($1::bigint[], \
                                 $2::text[], $3::bool[], $4::bytea[]) ON CONFLICT (charm, name) DO UPDATE SET sealed = \
                                 excluded.sealed, document = excluded.document";

impl<'c> Upsert<'c> {
    pub(crate) fn add(
        &mut self,
        key: &Key,
        row: i64,
        charm: &CharmRef,
        secrets: &SecretPaths,
        name: &'c str,
        text: &'c str,
    ) -> Result<(), Failure> {
        let is_secret = secrets.touches_cell(name);
        let document = if is_secret { key.seal(charm, name, text)?.into() } else { text.as_bytes().into() };
        self.rows.push(row);
        self.names.push(name);
        self.sealed.push(is_secret);
        self.documents.push(document);
        Ok(())
    }
}

/// The columns of [`texts_of`], of charms `c`, with [`AT_ONCE`] as `$5`: none of the cells, if they take more.
macro_rules! columns {
    () => {
        ", (SELECT coalesce(sum(octet_length(x.document)), 0)::bigint FROM cells x WHERE x.charm = c.row) AS bytes, \
         ARRAY (SELECT x.name FROM cells x WHERE x.charm = c.row ORDER BY x.name), ARRAY (SELECT x.sealed FROM cells x \
         WHERE x.charm = c.row ORDER BY x.name), CASE WHEN (SELECT sum(octet_length(x.document)) FROM cells x WHERE \
         x.charm = c.row) <= $5 THEN ARRAY (SELECT x.document FROM cells x WHERE x.charm = c.row ORDER BY x.name) ELSE \
         '{}' END"
    };
}
pub(crate) use columns;

/// The JSON texts of all cells, from the columns that begin at that one; none if they take more than [`AT_ONCE`].
pub(crate) fn texts_of(row: &Row, from: usize, key: &Key, charm: &CharmRef) -> Result<Option<CellTexts>, Failure> {
    if row.column::<i64>(from)? > AT_ONCE {
        return Ok(None);
    }
    let names = row.texts(from + 1)?;
    let (sealed, documents): (Vec<bool>, Vec<Vec<u8>>) = (row.column(from + 2)?, row.column(from + 3)?);
    let texts = names.into_iter().zip(sealed).zip(documents).map(|((name, sealed), document)| {
        let text = opened(key, charm, &name, sealed, document)?;
        let text = sound_text(charm, &name, text).map_err(Failure::Damaged)?;
        Ok((name, text))
    });
    texts.collect::<Result<_, Failure>>().map(Some)
}

/// The text of a document as it is stored.
pub(crate) fn opened(
    key: &Key,
    charm: &CharmRef,
    name: &str,
    sealed: bool,
    document: Vec<u8>,
) -> Result<String, Failure> {
    if sealed {
        key.unseal(charm, name, &document)
            .ok_or_else(|| Failure::Damaged(What::OfCharm(format!("the sealed cell {name} of {charm}"))))
    } else {
        String::from_utf8(document).map_err(|_| damaged(charm, name))
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
