//! The file with the key that seals secrets.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::place::{place, sync_folder};

const KEY_BYTES: usize = 32;
/// Keeps subkeys apart from those of any other program that may be given the same key.
const SALT: &[u8] = b"bg-wasm-host secrets key";

/// Why secrets cannot be sealed or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Something is sealed, and the key is gone.
    #[error(
        "the secrets key {0} is missing, and the database has secrets sealed with it: put the file back where it was, \
         or move the database away and deploy its charms again"
    )]
    Missing(PathBuf),
    /// Something is sealed, with another key.
    #[error(
        "the secrets key {0} is not the one that this database's secrets are sealed with: put the right file there, \
         or move the database away and deploy its charms again"
    )]
    Other(PathBuf),
    /// The file has something else in it.
    #[error(
        "{0} is not a secrets key (64 hexadecimal digits): put the right file there; if the database is new, delete it"
    )]
    NotAKey(PathBuf),
    /// The file cannot be read or made; says why.
    #[error("the secrets key {path} cannot be used: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
}

/// 32 random bytes, in a file of their own that only its owner can read: someone who gets hold of the database alone, or of
/// a backup of it, has no secrets.
pub(super) struct SecretsKey(Zeroizing<[u8; KEY_BYTES]>);

impl SecretsKey {
    /// Reads the file; none if it is not there.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, KeyError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(path, &error)),
        };
        warn_if_others_can_read(path, &file);
        // Some more than a key, so that a longer file is noticed and a huge one is not read.
        let mut text = Zeroizing::new(String::with_capacity(256));
        match file.take(200).read_to_string(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::InvalidData => return Err(KeyError::NotAKey(path.to_owned())),
            Err(error) => return Err(unusable(path, &error)),
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let digits = text.trim_end().as_bytes();
        if digits.len() != 2 * KEY_BYTES || HEXLOWER.decode_mut(digits, key.as_mut()).is_err() {
            return Err(KeyError::NotAKey(path.to_owned()));
        }
        Ok(Some(Self(key)))
    }

    /// Makes the file, unless another process has just done so: then reads that. A crash leaves no half of it.
    pub(super) fn create(path: &Path) -> Result<Self, KeyError> {
        let failed = |error| unusable(path, &error);
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(key.as_mut()).map_err(|error| failed(std::io::Error::other(error.to_string())))?;
        let text = Zeroizing::new(format!("{}\n", HEXLOWER.encode(key.as_ref())));

        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}.new", std::process::id()));
        let draft = PathBuf::from(draft);
        let _ = std::fs::remove_file(&draft);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&draft).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        // It never replaces a key that is there.
        let placed = written.and_then(|()| place(&draft, path));
        let _ = std::fs::remove_file(&draft);
        match placed {
            Ok(()) => {
                sync_folder(path).map_err(failed)?;
                Ok(Self(key))
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Self::load(path)?.ok_or_else(|| KeyError::Missing(path.to_owned()))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Tells keys apart without showing them; kept in the database.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        *self.subkey(b"fingerprint")
    }

    /// A key for one use, from which neither this key nor those of other uses follow: HKDF-SHA-256 (RFC 5869).
    pub(super) fn subkey(&self, purpose: &[u8]) -> Zeroizing<[u8; KEY_BYTES]> {
        let mut subkey = Zeroizing::new([0; KEY_BYTES]);
        Hkdf::<Sha256>::new(Some(SALT), self.0.as_ref())
            .expand(purpose, subkey.as_mut())
            .expect("HKDF-SHA-256 makes keys of up to 8,160 bytes");
        subkey
    }

    /// The key itself, for the format before subkeys were made by HKDF.
    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> KeyError {
    KeyError::File { path: path.to_owned(), problem: error.to_string() }
}

#[cfg(unix)]
fn warn_if_others_can_read(path: &Path, file: &File) {
    use std::os::unix::fs::PermissionsExt;
    if file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
        tracing::warn!("the secrets key {0} can be read by others; `chmod 600 {0}` fixes that", path.display());
    }
}

#[cfg(not(unix))]
fn warn_if_others_can_read(_: &Path, _: &File) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.key");
        assert!(SecretsKey::load(&path).unwrap().is_none());
        let key = SecretsKey::create(&path).unwrap();
        let same = SecretsKey::create(&path).unwrap();
        assert_eq!(key.fingerprint(), same.fingerprint());
        assert_eq!(key.fingerprint(), SecretsKey::load(&path).unwrap().unwrap().fingerprint());
        assert_ne!(key.subkey(b"a"), key.subkey(b"b"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions()) & 0o777,
            0o600
        );
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.key");
        let contents =
            [String::new(), "x".repeat(64), "a".repeat(63), "a".repeat(66), "\u{e9}".repeat(32), "A".repeat(64)];
        for content in contents {
            std::fs::write(&path, content).unwrap();
            assert_eq!(SecretsKey::load(&path).err(), Some(KeyError::NotAKey(path.clone())));
        }
        std::fs::write(&path, [0xff; 64]).unwrap();
        assert_eq!(SecretsKey::load(&path).err(), Some(KeyError::NotAKey(path.clone())));
        assert!(matches!(SecretsKey::load(dir.path()).err(), Some(KeyError::File { .. })));
        let nowhere = dir.path().join("missing/secrets.key");
        assert!(matches!(SecretsKey::create(&nowhere).err(), Some(KeyError::File { .. })));
    }
}
