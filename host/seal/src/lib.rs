//! Sealing of what is secret in a store.
//!
//! [`KeyFile`] is the file with the key, which is not in the store: who gets hold of the database alone has no secrets.
//! [`Key`] seals documents, each bound to the charm and the cell where it belongs, and makes digests of what may be
//! secret. Which key a database was sealed with is noted in it by the key's fingerprint; where, is for each store to
//! say.

mod first;
mod key;
pub mod place;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bg_poller::CharmRef;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;

pub use key::KeyError;
use key::SecretsKey;

/// The first byte of a sealed document: how the rest is made.
const FORMAT: u8 = 2;
/// `XChaCha20`'s nonces are long enough to be chosen at random, by many processes, without one ever coming twice.
const NONCE_BYTES: usize = 24;

/// Tells keys apart without showing them.
pub type Fingerprint = [u8; 32];

/// Where a database notes that charms in it may be named by [`Key::first_digest`].
pub const NAMED_BY_FIRST_DIGESTS: &str = "named_by_first_digests";
/// Where a database notes the fingerprint of its key.
pub const FINGERPRINT: &str = "secrets_key";

/// Why a document cannot be sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The system has no random bytes.
    #[error("no random bytes for sealing: {0}")]
    NoRandomBytes(String),
    /// It is larger than the cipher takes.
    #[error("a document to be sealed is too large")]
    TooLarge,
}

/// The file with the key, which is read, or made, when it is first needed.
pub struct KeyFile {
    path: PathBuf,
    key: OnceLock<Key>,
}

impl KeyFile {
    /// The file at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self { path, key: OnceLock::new() }
    }

    /// The file `secrets.key` beside a database.
    pub fn beside(database: &Path) -> Self {
        Self::new(database.with_file_name("secrets.key"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key, if it was read before.
    pub fn key(&self) -> Option<&Key> {
        self.key.get()
    }

    /// The key, which must be there, and be the one that the database notes, if it notes one.
    pub fn existing(&self, noted: Option<Fingerprint>) -> Result<&Key, KeyError> {
        let key = self.load()?.ok_or_else(|| KeyError::Missing(self.path.clone()))?;
        if noted.is_some_and(|noted| noted != key.fingerprint()) {
            return Err(KeyError::Other(self.path.clone()));
        }
        Ok(self.key.get_or_init(|| key))
    }

    /// The same for a database that notes no key yet: the file is made unless it is there.
    pub fn made(&self) -> Result<&Key, KeyError> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let key = match self.load()? {
            Some(key) => key,
            None => Key::new(SecretsKey::create(&self.path)?),
        };
        Ok(self.key.get_or_init(|| key))
    }

    /// The key, if it was read before, without the file.
    pub fn into_key(self) -> Option<Key> {
        self.key.into_inner()
    }

    /// Reads the file, and remembers nothing; none if it is not there.
    pub fn load(&self) -> Result<Option<Key>, KeyError> {
        Ok(SecretsKey::load(&self.path)?.map(Key::new))
    }
}

/// The key of a database, ready to seal.
pub struct Key {
    cipher: XChaCha20Poly1305,
    secret: SecretsKey,
}

impl Key {
    fn new(secret: SecretsKey) -> Self {
        let cipher = XChaCha20Poly1305::new(&chacha20poly1305::Key::from(*secret.subkey(b"cells")));
        Self { cipher, secret }
    }

    /// What a database notes of it.
    pub fn fingerprint(&self) -> Fingerprint {
        self.secret.fingerprint()
    }

    /// What databases noted of it whose cells were sealed in the first format.
    pub fn first_fingerprint(&self) -> Fingerprint {
        first::fingerprint(&self.secret)
    }

    /// The sealed form of a cell's document.
    pub fn seal(&self, charm: &CharmRef, cell: &str, document: &str) -> Result<Vec<u8>, SealError> {
        self.seal_at(&bound_to(&[charm.space.as_str(), charm.charm.as_str(), cell]), document)
    }

    /// The sealed form of a secret that is no cell's, but that of a row of this table, in this column.
    pub fn seal_in(&self, [table, row, column]: [&str; 3], secret: &str) -> Result<Vec<u8>, SealError> {
        self.seal_at(&bound_to(&["", table, row, column]), secret)
    }

    fn seal_at(&self, place: &[u8], document: &str) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| SealError::NoRandomBytes(error.to_string()))?;
        let payload = Payload { msg: document.as_bytes(), aad: place };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::TooLarge)?;
        Ok([&[FORMAT], nonce.as_slice(), &sealed].concat())
    }

    /// The document of a sealed cell; none if it is damaged, or was sealed in another place or with another key.
    pub fn unseal(&self, charm: &CharmRef, cell: &str, sealed: &[u8]) -> Option<String> {
        self.unseal_at(&bound_to(&[charm.space.as_str(), charm.charm.as_str(), cell]), sealed)
    }

    /// What [`seal_in`](Self::seal_in) has sealed.
    pub fn unseal_in(&self, [table, row, column]: [&str; 3], sealed: &[u8]) -> Option<String> {
        self.unseal_at(&bound_to(&["", table, row, column]), sealed)
    }

    fn unseal_at(&self, place: &[u8], sealed: &[u8]) -> Option<String> {
        let (format, rest) = sealed.split_first()?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let (nonce, payload) = (XNonce::from(*nonce), Payload { msg: text, aad: place });
        let document = match *format {
            FORMAT => self.cipher.decrypt(&nonce, payload),
            first::FORMAT => first::cipher(&self.secret).decrypt(&nonce, payload),
            _ => return None,
        };
        String::from_utf8(document.ok()?).ok()
    }

    /// A digest of what may hold secrets, which says nothing about it without the key: HMAC-SHA-256 (RFC 2104).
    pub fn digest(&self, content: &[u8]) -> [u8; 32] {
        let key = self.secret.subkey(b"digests");
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_ref()).expect("HMAC takes keys of any length");
        mac.chain_update(content).finalize().into_bytes().into()
    }

    /// What [`digest`](Self::digest) answered before it was an HMAC.
    pub fn first_digest(&self, content: &[u8]) -> [u8; 32] {
        first::digest(&self.secret, content)
    }
}

/// Where a document belongs. It is authenticated along with it, so that one moved to another cell, or row, does not
/// unseal. No cell has the place of a row: of a cell's, the first part is not empty.
fn bound_to(parts: &[&str]) -> Vec<u8> {
    let sized = parts.iter().map(|part| [&(part.len() as u64).to_be_bytes(), part.as_bytes()].concat());
    sized.collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};

    use super::*;

    #[test]
    fn a_document_is_unsealed_with_the_key_of_its_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let charm = CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"a") };
        let [one, other] = ["one.key", "other.key"].map(|name| KeyFile::new(dir.path().join(name)));
        assert!(matches!(one.existing(None), Err(KeyError::Missing(_))));
        let sealed = one.made().unwrap().seal(&charm, "auth", "a secret").unwrap();
        assert_eq!(other.made().unwrap().unseal(&charm, "auth", &sealed), None);
        let noted = one.key().unwrap().fingerprint();
        assert!(matches!(other.existing(Some(noted)), Err(KeyError::Other(_))));
        let again = KeyFile::new(one.path().to_owned());
        assert_eq!(again.existing(Some(noted)).unwrap().unseal(&charm, "auth", &sealed).as_deref(), Some("a secret"));
    }
}
