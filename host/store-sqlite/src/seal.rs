//! Cells with secrets in them, sealed: encrypted, and bound to the place where they belong.

mod first;
mod reseal;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bg_poller::CharmRef;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use rusqlite::{Connection, OptionalExtension, Transaction};
use sha2::Sha256;

use super::key::SecretsKey;
use super::{Failure, KeyError, What};

pub(super) use reseal::reseal;

/// The first byte of a sealed document: how the rest is made.
const FORMAT: u8 = 2;
/// `XChaCha20`'s nonces are long enough to be chosen at random, by many processes, without one ever coming twice.
const NONCE_BYTES: usize = 24;
/// Where the database's table `meta` notes the key.
const FINGERPRINT: &str = "secrets_key";
/// Where it notes that charms in it may be named by digests of format 1.
const NAMED_BY_FIRST_DIGESTS: &str = "named_by_first_digests";

/// Seals and unseals with the key of the key file, which is made when something is sealed for the first time.
pub(crate) struct Sealer {
    path: PathBuf,
    ready: OnceLock<Ready>,
}

struct Ready {
    cipher: XChaCha20Poly1305,
    key: SecretsKey,
}

impl Sealer {
    /// With the key in the file at `path`.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, ready: OnceLock::new() }
    }

    /// With the key in the file `secrets.key` beside a database.
    pub(crate) fn beside(database: &Path) -> Self {
        Self::new(database.with_file_name("secrets.key"))
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
        self.seal_at(tx, &place(&[charm.space.as_str(), charm.charm.as_str(), cell]), document)
    }

    /// The sealed form of a secret that is no cell's, but that of a row of this table, in this column.
    pub(super) fn seal_in(
        &self,
        tx: &Transaction<'_>,
        [table, row, column]: [&str; 3],
        secret: &str,
    ) -> Result<Vec<u8>, Failure> {
        self.seal_at(tx, &place(&["", table, row, column]), secret)
    }

    fn seal_at(&self, tx: &Transaction<'_>, place: &[u8], document: &str) -> Result<Vec<u8>, Failure> {
        let cipher = &self.for_sealing(tx)?.cipher;
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| KeyError::File {
            path: self.path.clone(),
            problem: format!("no random bytes for sealing: {error}"),
        })?;
        let payload = Payload { msg: document.as_bytes(), aad: place };
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Failure::Damaged(What::OfCharm("a document to be sealed is too large and".into())))?;
        Ok([&[FORMAT], nonce.as_slice(), &sealed].concat())
    }

    /// The document of a sealed cell.
    pub(super) fn unseal(
        &self,
        connection: &Connection,
        charm: &CharmRef,
        cell: &str,
        sealed: &[u8],
    ) -> Result<String, Failure> {
        let place = place(&[charm.space.as_str(), charm.charm.as_str(), cell]);
        self.unseal_at(connection, &place, sealed, || format!("the sealed cell {cell} of {charm}"))
    }

    /// What [`seal_in`](Self::seal_in) has sealed.
    pub(super) fn unseal_in(
        &self,
        connection: &Connection,
        [table, row, column]: [&str; 3],
        sealed: &[u8],
    ) -> Result<String, Failure> {
        let place = place(&["", table, row, column]);
        self.unseal_at(connection, &place, sealed, || format!("what is sealed for {row} in {table}"))
    }

    fn unseal_at(
        &self,
        connection: &Connection,
        place: &[u8],
        sealed: &[u8],
        what: impl Fn() -> String,
    ) -> Result<String, Failure> {
        let Ready { cipher, key } = self.existing(connection)?;
        let damaged = || Failure::Damaged(What::OfCharm(what()));
        let (format, rest) = sealed.split_first().ok_or_else(damaged)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(damaged)?;
        let (nonce, payload) = (XNonce::from(*nonce), Payload { msg: text, aad: place });
        let document = match *format {
            FORMAT => cipher.decrypt(&nonce, payload),
            first::FORMAT => first::cipher(key).decrypt(&nonce, payload),
            _ => return Err(damaged()),
        };
        String::from_utf8(document.map_err(|_| damaged())?).map_err(|_| damaged())
    }

    /// A digest of what may hold secrets, which says nothing about it without the key: HMAC-SHA-256 (RFC 2104).
    pub(crate) fn digest(&self, tx: &Transaction<'_>, content: &[u8]) -> Result<[u8; 32], Failure> {
        let key = self.for_sealing(tx)?.key.subkey(b"digests");
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_ref()).expect("HMAC takes keys of any length");
        Ok(mac.chain_update(content).finalize().into_bytes().into())
    }

    /// What [`digest`](Self::digest) answered before it was an HMAC, if the database was in use then.
    pub(crate) fn first_digest(&self, tx: &Transaction<'_>, content: &[u8]) -> Result<Option<[u8; 32]>, Failure> {
        let is_of_that_time =
            tx.prepare_cached("SELECT 1 FROM meta WHERE key = ?1")?.exists([NAMED_BY_FIRST_DIGESTS])?;
        if !is_of_that_time {
            return Ok(None);
        }
        Ok(Some(first::digest(&self.for_sealing(tx)?.key, content)))
    }

    fn existing(&self, connection: &Connection) -> Result<&Ready, Failure> {
        if let Some(ready) = self.ready.get() {
            return Ok(ready);
        }
        let key = SecretsKey::load(&self.path)?.ok_or_else(|| KeyError::Missing(self.path.clone()))?;
        if fingerprint(connection)?.is_some_and(|noted| noted != key.fingerprint()) {
            return Err(KeyError::Other(self.path.clone()).into());
        }
        Ok(self.remember(key))
    }

    /// The transaction keeps other processes from making another key meanwhile.
    fn for_sealing(&self, tx: &Transaction<'_>) -> Result<&Ready, Failure> {
        let noted = fingerprint(tx)?;
        if noted.is_none() && self.ready.get().is_none() {
            let key = match SecretsKey::load(&self.path)? {
                Some(key) => key,
                None => SecretsKey::create(&self.path)?,
            };
            self.remember(key);
        }
        let ready = self.existing(tx)?;
        if noted.is_none() {
            tx.prepare_cached("INSERT INTO meta (key, value) VALUES (?1, ?2)")?
                .execute((FINGERPRINT, ready.key.fingerprint()))?;
        }
        Ok(ready)
    }

    fn remember(&self, key: SecretsKey) -> &Ready {
        self.ready.get_or_init(|| {
            let key_bytes = key.subkey(b"cells");
            Ready { cipher: XChaCha20Poly1305::new(&Key::from(*key_bytes)), key }
        })
    }
}

fn fingerprint(connection: &Connection) -> rusqlite::Result<Option<[u8; 32]>> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([FINGERPRINT], |row| row.get(0))
        .optional()
}

/// Where a document belongs. It is authenticated along with it, so that one moved to another cell, or row, does not
/// unseal. No cell has the place of a row: of a cell's, the first part is not empty.
fn place(parts: &[&str]) -> Vec<u8> {
    let sized = parts.iter().map(|part| [&(part.len() as u64).to_be_bytes(), part.as_bytes()].concat());
    sized.collect::<Vec<_>>().concat()
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

        SecretsKey::create(&path).unwrap();
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
