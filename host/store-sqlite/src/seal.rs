//! Cells with secrets in them, sealed: encrypted, and bound to the place where they belong.

mod reseal;

use std::path::{Path, PathBuf};

use bg_poller::CharmRef;
use bg_seal::{FINGERPRINT, Fingerprint, Key, KeyFile, NAMED_BY_FIRST_DIGESTS, SealError};
use bg_store::What;
use rusqlite::{Connection, OptionalExtension, Transaction};

use super::{Failure, KeyError};

pub(super) use reseal::reseal;

/// Seals and unseals with the key of the key file, which is made when something is sealed for the first time.
pub(crate) struct Sealer {
    file: KeyFile,
}

impl Sealer {
    /// With the key in the file at `path`.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { file: KeyFile::new(path) }
    }

    /// With the key in the file `secrets.key` beside a database.
    pub(crate) fn beside(database: &Path) -> Self {
        Self { file: KeyFile::beside(database) }
    }

    /// Fails if the database has sealed documents that cannot be read with the key.
    pub(crate) fn check(&self, connection: &Connection) -> Result<(), Failure> {
        if fingerprint(connection)?.is_some() {
            self.existing(connection)?;
        }
        Ok(())
    }

    /// The sealed form of a cell's document. Part of a transaction: it notes there which key is in use.
    pub(super) fn seal(
        &self,
        tx: &Transaction<'_>,
        charm: &CharmRef,
        cell: &str,
        document: &str,
    ) -> Result<Vec<u8>, Failure> {
        self.for_sealing(tx)?.seal(charm, cell, document).map_err(|error| self.not_sealed(&error))
    }

    /// The sealed form of a secret that is no cell's, but that of a row of this table, in this column.
    pub(super) fn seal_in(&self, tx: &Transaction<'_>, place: [&str; 3], secret: &str) -> Result<Vec<u8>, Failure> {
        self.for_sealing(tx)?.seal_in(place, secret).map_err(|error| self.not_sealed(&error))
    }

    fn not_sealed(&self, error: &SealError) -> Failure {
        match error {
            SealError::NoRandomBytes(_) => {
                KeyError::File { path: self.file.path().to_owned(), problem: error.to_string() }.into()
            }
            SealError::TooLarge => Failure::Damaged(What::OfCharm(format!("{error} and"))),
        }
    }

    /// The document of a sealed cell.
    pub(super) fn unseal(
        &self,
        connection: &Connection,
        charm: &CharmRef,
        cell: &str,
        sealed: &[u8],
    ) -> Result<String, Failure> {
        let damaged = || Failure::Damaged(What::OfCharm(format!("the sealed cell {cell} of {charm}")));
        self.existing(connection)?.unseal(charm, cell, sealed).ok_or_else(damaged)
    }

    /// What [`seal_in`](Self::seal_in) has sealed.
    pub(super) fn unseal_in(
        &self,
        connection: &Connection,
        place: [&str; 3],
        sealed: &[u8],
    ) -> Result<String, Failure> {
        let [table, row, _] = place;
        let damaged = || Failure::Damaged(What::OfCharm(format!("what is sealed for {row} in {table}")));
        self.existing(connection)?.unseal_in(place, sealed).ok_or_else(damaged)
    }

    /// A digest of what may hold secrets, which says nothing about it without the key.
    pub(crate) fn digest(&self, tx: &Transaction<'_>, content: &[u8]) -> Result<[u8; 32], Failure> {
        Ok(self.for_sealing(tx)?.digest(content))
    }

    /// What [`digest`](Self::digest) answered before it was an HMAC, if the database was in use then.
    pub(crate) fn first_digest(&self, tx: &Transaction<'_>, content: &[u8]) -> Result<Option<[u8; 32]>, Failure> {
        let is_of_that_time =
            tx.prepare_cached("SELECT 1 FROM meta WHERE key = ?1")?.exists([NAMED_BY_FIRST_DIGESTS])?;
        if !is_of_that_time {
            return Ok(None);
        }
        Ok(Some(self.for_sealing(tx)?.first_digest(content)))
    }

    fn existing(&self, connection: &Connection) -> Result<&Key, Failure> {
        match self.file.key() {
            Some(key) => Ok(key),
            None => Ok(self.file.existing(fingerprint(connection)?)?),
        }
    }

    /// The transaction keeps other processes from making another key meanwhile.
    fn for_sealing(&self, tx: &Transaction<'_>) -> Result<&Key, Failure> {
        if fingerprint(tx)?.is_some() {
            return self.existing(tx);
        }
        let key = self.file.made()?;
        tx.prepare_cached("INSERT INTO meta (key, value) VALUES (?1, ?2)")?
            .execute((FINGERPRINT, key.fingerprint()))?;
        Ok(key)
    }
}

fn fingerprint(connection: &Connection) -> rusqlite::Result<Option<Fingerprint>> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([FINGERPRINT], |row| row.get(0))
        .optional()
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};
    use rusqlite::Connection;

    use super::*;
    use crate::open;

    fn charm(content: &[u8]) -> CharmRef {
        CharmRef { space: space_did("my-space"), charm: CharmId::for_content(content) }
    }

    fn seal(connection: &mut Connection, sealer: &Sealer, cell: &str, text: &str) -> Vec<u8> {
        let tx = connection.transaction().unwrap();
        let document = sealer.seal(&tx, &charm(b"a"), cell, text).unwrap();
        tx.commit().unwrap();
        document
    }

    #[test]
    fn a_sealed_document_is_read_in_its_place_only() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = open::writer(&dir.path().join("a.db")).unwrap();
        let keeper = Sealer::new(dir.path().join("secrets.key"));
        let document = seal(&mut connection, &keeper, "auth", "a secret");
        assert_ne!(document, seal(&mut connection, &keeper, "auth", "a secret"), "each sealing has its own nonce");
        assert!(!document.windows(6).any(|window| window == b"secret"));
        assert_eq!(keeper.unseal(&connection, &charm(b"a"), "auth", &document).unwrap(), "a secret");
        assert!(keeper.unseal(&connection, &charm(b"a"), "other", &document).is_err());
        assert!(keeper.unseal(&connection, &charm(b"b"), "auth", &document).is_err());
        for at in [0, 1, 30, document.len() - 1] {
            let mut changed = document.clone();
            changed[at] ^= 1;
            let error = keeper.unseal(&connection, &charm(b"a"), "auth", &changed).unwrap_err();
            assert!(error.to_string().starts_with("the sealed cell auth of did:key:"), "{error}");
        }
        assert!(keeper.unseal(&connection, &charm(b"a"), "auth", &document[..10]).is_err());
        assert!(keeper.unseal(&connection, &charm(b"a"), "auth", b"").is_err());
    }

    #[test]
    fn a_lost_or_replaced_key_is_told_from_one_not_made_yet() {
        let dir = tempfile::tempdir().unwrap();
        let (db, path) = (dir.path().join("a.db"), dir.path().join("secrets.key"));
        let mut connection = open::writer(&db).unwrap();
        Sealer::new(path.clone()).check(&connection).unwrap();
        assert!(!path.exists(), "the key is made on first use");
        seal(&mut connection, &Sealer::new(path.clone()), "auth", "a secret");
        Sealer::new(path.clone()).check(&connection).unwrap();

        std::fs::rename(&path, dir.path().join("away")).unwrap();
        let error = Sealer::new(path.clone()).check(&connection).unwrap_err();
        assert!(matches!(error, Failure::Key(KeyError::Missing(_))), "{error}");
        let tx = connection.transaction().unwrap();
        assert!(Sealer::new(path.clone()).seal(&tx, &charm(b"a"), "auth", "x").is_err());
        assert!(!path.exists(), "no new key takes the lost one's place");
        drop(tx);

        KeyFile::new(path.clone()).made().unwrap();
        let error = Sealer::new(path).check(&connection).unwrap_err();
        assert!(matches!(error, Failure::Key(KeyError::Other(_))), "{error}");
    }

    #[test]
    fn a_key_whose_first_use_was_rolled_back_is_noted_at_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = open::writer(&dir.path().join("a.db")).unwrap();
        let sealer = Sealer::new(dir.path().join("secrets.key"));
        let tx = connection.transaction().unwrap();
        sealer.seal(&tx, &charm(b"a"), "auth", "x").unwrap();
        drop(tx);
        assert_eq!(fingerprint(&connection).unwrap(), None);
        seal(&mut connection, &sealer, "auth", "x");
        assert!(fingerprint(&connection).unwrap().is_some());
    }
}
