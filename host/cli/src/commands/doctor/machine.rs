//! This machine: the key, the folders, the database, the kernel.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use bg_charm_runtime::check_database;
use bg_identity::key_file_readers;

use super::row::Row;
use crate::args::Common;
use crate::confine::{Confined, Confinement};
use crate::connect;
use crate::paths::{self, DataDir};

/// With less room than this, a busy service fills the disk before anybody notices; in bytes.
const LITTLE: u64 = 1 << 30;
/// With less than this, SQLite may have no room for its write-ahead log.
const TOO_LITTLE: u64 = 64 << 20;

pub(super) fn key(common: &Common) -> Row {
    const WHAT: &str = "operator's key";
    let did = match connect::operator(common) {
        Ok(key) => key.did().to_string(),
        Err(error) => return Row::error(WHAT, &error).fixed_by("bg-wasm-host identity new FILE, and IDENTITY=FILE"),
    };
    let readers = common.identity.as_deref().and_then(|path| Some((path, key_file_readers(path)?)));
    match readers {
        Some((path, readers)) => Row::weak(WHAT, format!("{did}; {}", connect::readable_key(path, readers))),
        None => Row::ok(WHAT, did),
    }
}

/// The key of the TLS certificate. `None` without one.
pub(super) fn tls_key(path: Option<&Path>) -> Option<Row> {
    const WHAT: &str = "TLS key";
    let path = path?;
    Some(match (fs::metadata(path), connect::readable_tls_key(path)) {
        (Err(error), _) => Row::wrong(WHAT, format!("cannot use {}: {error}", path.display())),
        (Ok(_), Some(found)) => Row::weak(WHAT, found),
        (Ok(_), None) => Row::ok(WHAT, format!("{} cannot be read by every user", path.display())),
    })
}

pub(super) fn data_directory(common: &Common) -> Row {
    const WHAT: &str = "data directory";
    let data_dir = match DataDir::open(common) {
        Ok(data_dir) => data_dir,
        Err(error) => return Row::error(WHAT, &error),
    };
    let path = data_dir.path();
    if !path.exists() {
        return Row::ok(WHAT, format!("none yet; `run` creates {}", path.display()));
    }
    let written = try_writing(path).with_context(|| {
        format!("cannot write to {}; make room, or name another directory with --data-dir DIR", path.display())
    });
    match written {
        Err(error) => Row::error(WHAT, &error),
        Ok(()) if paths::others_can_write(path) => Row::weak(WHAT, connect::open_data_dir(path)),
        Ok(()) => Row::ok(WHAT, format!("{} is writable", path.display())),
    }
}

pub(super) fn cache_directory(common: &Common) -> Row {
    const WHAT: &str = "cache directory";
    let Some(path) = paths::cache_dir(common.cache_dir.as_deref()) else {
        return Row::weak(WHAT, "none, so components are compiled at every start; name one with --cache-dir DIR");
    };
    match paths::create_private(&path).and_then(|()| try_writing(&path)) {
        Ok(()) => Row::ok(WHAT, format!("{} is writable", path.display())),
        Err(error) => {
            Row::wrong(WHAT, format!("cannot use {}; name another with --cache-dir DIR: {error}", path.display()))
        }
    }
}

/// Writes a small file, and removes it.
fn try_writing(folder: &Path) -> std::io::Result<()> {
    let file = folder.join(format!(".doctor-{}", std::process::id()));
    let written = fs::write(&file, [0; 4096]).and_then(|()| fs::File::open(&file)?.sync_all());
    let removed = fs::remove_file(&file);
    written.and(removed)
}

/// The database of the local runtime; for a remote runtime, that of the service that polls it.
pub(super) async fn database(common: &Common) -> Row {
    const WHAT: &str = "database";
    let path = match DataDir::open(common) {
        Ok(data_dir) => match &common.api_url {
            Some(url) => data_dir.poll_database(url),
            None => data_dir.runtime_database(),
        },
        Err(error) => return Row::error(WHAT, &error),
    };
    if !path.exists() {
        return Row::ok(WHAT, format!("none yet; the first start creates {}", path.display()));
    }
    let shown = path.display().to_string();
    match tokio::task::spawn_blocking(move || check_database(&path)).await {
        Ok(Ok(bytes)) => Row::ok(WHAT, format!("{shown} is sound, {} MiB", bytes.div_ceil(1 << 20))),
        Ok(Err(error)) => Row::wrong(WHAT, error.to_string()),
        Err(_) => Row::wrong(WHAT, format!("{shown} could not be checked")),
    }
}

pub(super) fn room(common: &Common) -> Row {
    const WHAT: &str = "room on the disk";
    const FIX: &str = "free some space, or name a data directory on another disk with --data-dir DIR";
    let data_dir = match DataDir::open(common) {
        Ok(data_dir) => data_dir,
        Err(error) => return Row::error(WHAT, &error),
    };
    let path = data_dir.path();
    if !path.exists() {
        return Row::ok(WHAT, "there is no data directory yet");
    }
    let room = match rustix::fs::statvfs(path) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => return Row::weak(WHAT, format!("unknown for {}: {error}", path.display())),
    };
    let found = format!("{} MiB free at {}", room >> 20, path.display());
    match room {
        ..TOO_LITTLE => Row::wrong(WHAT, found).fixed_by(FIX),
        TOO_LITTLE..LITTLE => Row::weak(WHAT, found).fixed_by(FIX),
        LITTLE.. => Row::ok(WHAT, found),
    }
}

/// Tried in a separate thread, so that only that thread is confined.
pub(super) fn confinement() -> Row {
    const WHAT: &str = "confinement";
    let tried = std::thread::spawn(|| Confinement::of_service().enter()).join();
    match tried {
        Ok(Confined::Fully) => Row::ok(WHAT, "the service can open its own files only (Landlock)"),
        Ok(Confined::Partly) => {
            Row::ok(WHAT, "the service can open its own files only, as far as this kernel's Landlock goes")
        }
        Ok(Confined::Not(why)) => Row::weak(WHAT, format!("{why}; the sandbox of the components is the only defence")),
        Err(_) => Row::weak(WHAT, "it could not be tested"),
    }
}
