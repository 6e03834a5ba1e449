//! Reading, locking, and writing whole files.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::progress::Progress;
use crate::{BuildError, Component};

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(path).map_err(BuildError::file("read", path))
}

pub(crate) fn read_text(path: &Path) -> Result<String, BuildError> {
    fs::read_to_string(path).map_err(BuildError::file("read", path))
}

/// Creates a file if needed, and locks it for this process and this handle until the result is dropped. Waits for other
/// holders.
pub(crate) fn lock(path: &Path, progress: &Progress) -> Result<File, BuildError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(BuildError::file("create", folder))?;
    }
    let file =
        File::options().create(true).truncate(false).write(true).open(path).map_err(BuildError::file("open", path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress.stage("waiting for another process that is building the guests");
            file.lock().map_err(BuildError::file("lock", path))?;
        }
        Err(TryLockError::Error(source)) => return Err(BuildError::file("lock", path)(source)),
    }
    Ok(file)
}

/// Writes a whole file, unless it has these contents already, to keep its modification time. Readers see the old or the
/// new file, never a part.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(BuildError::file("create", folder))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = folder.join(name);
    let written = File::create(&part)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // The temporary file is useless now; the write error is the one to report.
        let _ = fs::remove_file(&part);
    }
    written.map_err(BuildError::file("write", path))
}

/// The component of the guest `id` in `folder`.
pub(crate) fn describe(id: &str, folder: &Path) -> Result<Component, BuildError> {
    let path = folder.join(format!("{id}.wasm"));
    let bytes = read(&path)?;
    Ok(Component {
        id: id.to_owned(),
        path,
        size: bytes.len() as u64,
        sha256: HEXLOWER.encode(&Sha256::digest(&bytes)),
        took: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_would_not_change_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("a.wasm");
        write_if_changed(&path, b"one").unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        write_if_changed(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), long_ago);
        write_if_changed(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no part of a file is left");
    }

    #[test]
    fn a_component_is_described_by_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.wasm"), b"abc").unwrap();
        let component = describe("x", folder.path()).unwrap();
        assert_eq!(component.size, 3);
        assert_eq!(component.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(describe("y", folder.path()).is_err());
    }
}
