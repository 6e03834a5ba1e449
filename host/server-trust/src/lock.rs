//! One service at a time per database.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::CertificateDigest;

/// How often, and how far apart, a taken lock is tried again: a process that only [looks](DatabaseLock::holder) takes
/// it for a moment.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// How much of the lock's file is read.
const MAX_BYTES: u64 = 4096;

/// What the holder of a database does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Polls its charms.
    Run,
    /// Serves it over HTTP.
    Serve,
}

impl Role {
    /// The name of the command.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Serve => "serve",
        }
    }
}

/// The holder of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// What it does.
    pub role: Role,
    /// Where it serves the database over HTTP: always for `serve`, and for `run` if it listens as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The certificate of its server, if that speaks TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateDigest>,
    /// Whether other machines can reach its server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// The remote charm runtime whose charms it polls, if it is a `run` with a database only for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polls: Option<String>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`bg-wasm-host {}` (process {}", self.role.as_str(), self.pid)?;
        match &self.url {
            Some(url) => write!(f, ", at {url})"),
            None => write!(f, ")"),
        }
    }
}

/// Why a database lock was not acquired.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error(
        "the database {database} is in use by {}; stop that process first, or use another database",
        holder.as_ref().map_or_else(|| "another process".to_owned(), ToString::to_string)
    )]
    Held {
        /// The database.
        database: PathBuf,
        /// Its holder; `None` if unknown.
        holder: Option<Holder>,
    },
    /// The lock's file is not usable.
    #[error("the lock {path} cannot be taken: {problem}")]
    File {
        /// The lock's file.
        path: PathBuf,
        /// The reason.
        problem: String,
    },
}

/// The exclusive right to be the service of a database, held until this is dropped. The operating system releases it
/// when the process ends, for any reason. Other processes may still read and write the database.
#[derive(Debug)]
pub struct DatabaseLock {
    file: File,
    path: PathBuf,
    holder: Holder,
}

impl DatabaseLock {
    /// Acquires the lock `<database>.lock` for this process. Blocks for up to 200 ms if it is taken.
    pub fn acquire(database: &Path, role: Role, url: Option<String>) -> Result<Self, LockError> {
        let path = lock_path(database);
        let failed = |error: io::Error| unusable(&path, &error);
        let mut file = open(&path, Purpose::Take).map_err(failed)?;
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) if tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(BETWEEN_TRIES);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held { database: database.to_owned(), holder: read(&mut file) });
                }
            }
        }
        let holder = Holder { pid: std::process::id(), role, url, certificate: None, shared: false, polls: None };
        let mut lock = Self { file, path: path.clone(), holder };
        lock.write().map_err(failed)?;
        Ok(lock)
    }

    /// Publishes where the database is served over HTTP, once that is known, and with which certificate.
    pub fn set_url(&mut self, url: String, certificate: Option<CertificateDigest>) -> Result<(), LockError> {
        self.holder.url = Some(url);
        self.holder.certificate = certificate;
        self.write().map_err(|error| unusable(&self.path, &error))
    }

    /// Publishes whether other machines can reach the server.
    pub fn set_shared(&mut self, shared: bool) -> Result<(), LockError> {
        self.holder.shared = shared;
        self.write().map_err(|error| unusable(&self.path, &error))
    }

    /// Publishes which remote charm runtime is polled.
    pub fn set_polled(&mut self, url: String) -> Result<(), LockError> {
        self.holder.polls = Some(url);
        self.write().map_err(|error| unusable(&self.path, &error))
    }

    /// The holder of the lock of a database, if there is one.
    pub fn holder(database: &Path) -> Result<Option<Holder>, LockError> {
        let path = lock_path(database);
        let failed = |error: io::Error| unusable(&path, &error);
        let mut file = match open(&path, Purpose::Look) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        for _ in 0..TRIES {
            match file.try_lock_shared() {
                Ok(()) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            // The holder may be about to write its description.
            if let Some(holder) = read(&mut file) {
                return Ok(Some(holder));
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
        Err(LockError::Held { database: database.to_owned(), holder: None })
    }

    fn write(&mut self) -> io::Result<()> {
        let text = serde_json::to_vec(&self.holder)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.set_len(0)?;
        self.file.write_all(&text)?;
        self.file.flush()
    }
}

impl Drop for DatabaseLock {
    fn drop(&mut self) {
        // The file stays: if it were removed, two processes could each lock a file of that name.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

/// Why the lock's file is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To acquire it; created if needed.
    Take,
    /// To see who holds it; works on a read-only disk, too.
    Look,
}

fn open(path: &Path, purpose: Purpose) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(purpose == Purpose::Take).create(purpose == Purpose::Take);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn unusable(path: &Path, error: &io::Error) -> LockError {
    let fix = match error.kind() {
        ErrorKind::ReadOnlyFilesystem => "; mount its disk writable, or use another data directory",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; free some space on its disk",
        ErrorKind::PermissionDenied => "; check the owner and the permissions of the file and of its folder",
        _ => "",
    };
    LockError::File { path: path.to_owned(), problem: format!("{error}{fix}") }
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(MAX_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_service_learns_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("runtime.db");
        assert_eq!(DatabaseLock::holder(&db).unwrap(), None);
        let mut lock = DatabaseLock::acquire(&db, Role::Serve, None).unwrap();
        let certificate = Some(CertificateDigest::of(b"a"));
        lock.set_url("http://127.0.0.1:8000".into(), certificate).unwrap();
        let url = Some("http://127.0.0.1:8000".into());
        let holder =
            Holder { pid: std::process::id(), role: Role::Serve, url, certificate, shared: false, polls: None };
        assert_eq!(DatabaseLock::holder(&db).unwrap(), Some(holder));
        let error = DatabaseLock::acquire(&db, Role::Run, None).unwrap_err().to_string();
        let expected =
            format!("runtime.db is in use by `bg-wasm-host serve` (process {}, at http://127", std::process::id());
        assert!(error.contains(&expected), "{error}");
    }

    #[test]
    fn a_lock_ends_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("runtime.db");
        drop(DatabaseLock::acquire(&db, Role::Run, None).unwrap());
        assert_eq!(DatabaseLock::holder(&db).unwrap(), None);
        let attempt = bg_abuse::Attempt::begin("database", "the lock of a process that was killed");
        // What a killed process leaves behind.
        std::fs::write(lock_path(&db), r#"{"pid":1,"role":"serve"}"#).unwrap();
        assert_eq!(DatabaseLock::holder(&db).unwrap(), None);
        DatabaseLock::acquire(&db, Role::Run, None).unwrap();
        attempt.ended("taken over");
    }

    #[test]
    fn looking_does_not_block_acquiring() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("runtime.db");
        drop(DatabaseLock::acquire(&db, Role::Run, None).unwrap());
        let file = open(&lock_path(&db), Purpose::Look).unwrap();
        file.lock_shared().unwrap();
        std::thread::scope(|scope| {
            let taking = scope.spawn(|| DatabaseLock::acquire(&db, Role::Run, None));
            std::thread::sleep(BETWEEN_TRIES);
            drop(file);
            taking.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_lock_that_cannot_be_created_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = DatabaseLock::acquire(&dir.path().join("missing/runtime.db"), Role::Run, None).unwrap_err();
        assert!(error.to_string().contains("runtime.db.lock cannot be taken"), "{error}");
    }
}
