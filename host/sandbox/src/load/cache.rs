//! Compiled components on disk, in a folder that is private to this user.
//!
//! Machine code is trusted without further checks when it is loaded, so a file is used only if the folder and the file
//! are ours, only we can write to them, and the file is byte for byte what was written.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use wasmtime::Engine;

use crate::error::SandboxError;

/// The start of each file's trailer. A new format gets a new number.
const MAGIC: &[u8; 16] = b"bg-wasm-host/2\r\n";
/// A SHA-256.
const DIGEST_BYTES: usize = 32;
/// The largest file that is read. Machine code is three to five times the size of its component, which has at most 32
/// MiB.
const FILE_BYTES: u64 = 512 << 20;
/// Files kept: enough for all integrations of a service in several versions. The oldest are removed first.
const FILES: usize = 64;
const SUFFIX: &str = ".cwasm";

/// A file that begins with machine code.
pub(crate) struct Cached {
    pub(crate) path: PathBuf,
    /// How many bytes of it are code.
    code: u64,
}

impl Cached {
    /// Reads the code into memory.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        let mut code = Vec::new();
        File::open(&self.path)?.take(self.code).read_to_end(&mut code)?;
        Ok(code)
    }
}

/// The folder.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    /// What the code depends on besides the component: wasmtime's version and settings, and the processor.
    engine: String,
}

impl Cache {
    /// Opens the folder, and creates it if needed. `None` if that is impossible (a read-only disk): then nothing is
    /// cached. An error if another user could write to it.
    pub(crate) fn open(folder: &Path, engine: &Engine) -> Result<Option<Self>, SandboxError> {
        if let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(folder) {
            tracing::warn!(folder = %folder.display(), %error, "no cache of compiled components; each start compiles \
                again");
            return Ok(None);
        }
        let untrusted = |problem: String| SandboxError::Cache { folder: folder.to_owned(), problem };
        let metadata = fs::symlink_metadata(folder).map_err(|error| untrusted(error.to_string()))?;
        if !metadata.is_dir() {
            return Err(untrusted("it is not a folder".into()));
        }
        check_owner(&metadata).map_err(untrusted)?;
        if metadata.mode() & 0o077 != 0 {
            return Err(untrusted(format!("others may look into it (mode {:03o})", metadata.mode() & 0o777)));
        }
        let mut hasher = Sha256Hasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Some(Self { folder: folder.to_owned(), engine: hasher.hex() }))
    }

    /// The compiled form of the component with this SHA-256, if it is cached and intact.
    pub(crate) fn get(&self, sha256: &str) -> Option<Cached> {
        let path = self.path(sha256);
        match self.check(&path, sha256) {
            Ok(code) => Some(Cached { path, code }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a cached component is not usable; compiling it again");
                None
            }
        }
    }

    /// Stores the code. A failure is logged, and only costs the next start some time.
    pub(crate) fn put(&self, sha256: &str, code: &[u8]) {
        let path = self.path(sha256);
        if let Err(error) = self.write(&path, sha256, code) {
            tracing::warn!(file = %path.display(), %error, "a compiled component could not be cached");
        }
        if let Err(error) = self.tidy() {
            tracing::debug!(folder = %self.folder.display(), %error, "the cache could not be tidied");
        }
    }

    fn path(&self, sha256: &str) -> PathBuf {
        self.folder.join(format!("{sha256}-{}{SUFFIX}", &self.engine[..16]))
    }

    /// The end of each file: the component, the engine, and the digest of the code.
    fn trailer(&self, sha256: &str, digest: &[u8]) -> Vec<u8> {
        [MAGIC, sha256.as_bytes(), self.engine.as_bytes(), b"\n", digest].concat()
    }

    fn check(&self, path: &Path, sha256: &str) -> io::Result<u64> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        check_owner(&metadata).map_err(io::Error::other)?;
        if metadata.mode() & 0o022 != 0 {
            return Err(io::Error::other("others may write to it"));
        }
        if metadata.len() > FILE_BYTES {
            return Err(io::Error::other("it is too large"));
        }
        let length = self.trailer(sha256, &[0; DIGEST_BYTES]).len();
        let code = metadata.len().checked_sub(length as u64).ok_or_else(|| io::Error::other("it is incomplete"))?;
        // Not all at once: code that is never called need not be in memory.
        let mut digest = Sha256::new();
        io::copy(&mut (&mut file).take(code), &mut HashWriter(&mut digest))?;
        file.seek(SeekFrom::Start(code))?;
        let mut found = Vec::with_capacity(length);
        file.read_to_end(&mut found)?;
        if found != self.trailer(sha256, &digest.finalize()) {
            return Err(io::Error::other("it is damaged"));
        }
        Ok(code)
    }

    /// Writes a new file next to the old one and renames it into place, so that no other process sees half of it.
    fn write(&self, path: &Path, sha256: &str, code: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let unique = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = self.folder.join(format!("{}-{unique}.tmp", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            // The mode above is reduced by the umask; this corrects it.
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(code)?;
            file.write_all(&self.trailer(sha256, &Sha256::digest(code)))?;
            file.sync_all()?;
            fs::rename(&temporary, path)
        })();
        if written.is_err() {
            // It may not exist.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Removes the oldest files, if there are too many.
    fn tidy(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort();
        let over = files.len().saturating_sub(FILES);
        files.into_iter().take(over).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

fn check_owner(metadata: &fs::Metadata) -> Result<(), String> {
    let us = rustix::process::geteuid().as_raw();
    if metadata.uid() == us { Ok(()) } else { Err(format!("it belongs to user {}, not to user {us}", metadata.uid())) }
}

/// Hashes what is written to it.
struct HashWriter<'h>(&'h mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A `Hasher` whose result is stable between runs, for values that only implement `Hash`.
struct Sha256Hasher(Sha256);

impl Sha256Hasher {
    fn hex(self) -> String {
        data_encoding::HEXLOWER.encode(&self.0.finalize())
    }
}

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Unused: [`Sha256Hasher::hex`] returns the whole digest.
    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Allocation, Limits, engine};

    const SHA256: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn cache(folder: &Path) -> Result<Option<Cache>, SandboxError> {
        let (engine, _) = engine::engine(&Limits::default(), Allocation::OnDemand).unwrap();
        Cache::open(folder, &engine)
    }

    #[test]
    fn stored_code_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder.path().join("new/cache")).unwrap().unwrap();
        assert!(cache.get(SHA256).is_none());
        cache.put(SHA256, b"machine code");
        assert_eq!(cache.get(SHA256).unwrap().read().unwrap(), b"machine code");
        assert_eq!(fs::metadata(&cache.folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(cache.path(SHA256)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), 1);
    }

    #[test]
    fn damaged_files_are_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder.path().join("cache")).unwrap().unwrap();
        cache.put(SHA256, b"machine code");
        let sound = fs::read(cache.path(SHA256)).unwrap();
        for at in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            fs::write(cache.path(SHA256), damaged).unwrap();
            assert!(cache.get(SHA256).is_none(), "byte {at}");
            fs::write(cache.path(SHA256), &sound[..at]).unwrap();
            assert!(cache.get(SHA256).is_none(), "cut at {at}");
        }
        fs::write(cache.path(SHA256), &sound).unwrap();
        fs::set_permissions(cache.path(SHA256), Permissions::from_mode(0o622)).unwrap();
        assert!(cache.get(SHA256).is_none());
    }

    #[test]
    fn a_folder_of_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let error = cache(folder.path()).unwrap_err().to_string();
        assert!(error.contains("755") && error.contains("chmod 700"), "{error}");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/tmp", &link).unwrap();
        assert!(cache(&link).is_err());
    }

    #[test]
    fn the_oldest_files_go_when_there_are_too_many() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder.path().join("cache")).unwrap().unwrap();
        for number in 0..FILES + 3 {
            cache.put(&format!("{number:064}"), b"code");
        }
        assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), FILES);
        assert_eq!(cache.get(&format!("{:064}", FILES + 2)).unwrap().read().unwrap(), b"code");
    }
}
