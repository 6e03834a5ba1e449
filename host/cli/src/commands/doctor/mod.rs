//! `doctor`: whether everything that the service needs is in order, and what mends what is not.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use bg_identity::{key_file_readers, system_space};
use bg_sandbox::{Limits, World};

use crate::args::Common;
use crate::confine::{Confined, Confinement};
use crate::connect::{self, Place};
use crate::paths::DataDir;
use crate::{output, paths};

/// What was found of one thing.
enum Found {
    /// It is in order.
    Ok(String),
    /// The service runs, but less safely than it could.
    Weak(String),
    /// The service does not run so.
    Wrong(anyhow::Error),
}

impl From<anyhow::Result<String>> for Found {
    fn from(found: anyhow::Result<String>) -> Self {
        found.map_or_else(Self::Wrong, Self::Ok)
    }
}

/// Checks the key, the folders, the charm runtime, access to the system space, what runs charms, and whether the service can
/// confine itself. Status 1 if the service would not run.
pub(crate) async fn run(common: &Common) -> anyhow::Result<ExitCode> {
    let checks = [
        ("operator's key", key(common)),
        ("data directory", data_directory(common)),
        ("cache directory", cache_directory(common)),
        ("runtime's place", describe_place(common).await.into()),
        ("registrations", registrations(common).await.into()),
        ("charms' engine", script(common).await.into()),
        ("confinement", confinement()),
    ];
    let mut code = ExitCode::SUCCESS;
    for (what, found) in checks {
        match found {
            Found::Ok(found) => output::line(format_args!("ok     {what}: {found}"))?,
            Found::Weak(found) => output::line(format_args!("weak   {what}: {found}"))?,
            Found::Wrong(error) => {
                code = ExitCode::FAILURE;
                output::line(format_args!("wrong  {what}: {error:#}"))?;
            }
        }
    }
    Ok(code)
}

fn key(common: &Common) -> Found {
    let did = match connect::operator(common) {
        Ok(key) => key.did().to_string(),
        Err(error) => return Found::Wrong(error),
    };
    let readers = common.identity.as_deref().and_then(|path| Some((path, key_file_readers(path)?)));
    match readers {
        Some((path, readers)) => Found::Weak(format!("{did}; {}", connect::readable_key(path, readers))),
        None => Found::Ok(did),
    }
}

fn data_directory(common: &Common) -> Found {
    let data_dir = match DataDir::open(common.data_dir.as_deref()) {
        Ok(data_dir) => data_dir,
        Err(error) => return Found::Wrong(error),
    };
    let path = data_dir.path();
    let written = try_writing(path).with_context(|| {
        format!("cannot write to {}; make room, or name another directory with --data-dir DIR", path.display())
    });
    match written {
        Err(error) => Found::Wrong(error),
        Ok(()) if paths::others_can_write(path) => Found::Weak(connect::open_data_dir(path)),
        Ok(()) => Found::Ok(format!("{} can be written to", path.display())),
    }
}

fn cache_directory(common: &Common) -> Found {
    let Some(path) = paths::cache_dir(common.cache_dir.as_deref()) else {
        return Found::Weak(
            "none, so components are compiled at every start; name one with --cache-dir DIR".to_owned(),
        );
    };
    let tried = paths::create_private(&path).and_then(|()| try_writing(&path));
    match tried {
        Ok(()) => Found::Ok(format!("{} can be written to", path.display())),
        Err(error) => Found::Wrong(
            anyhow!(error).context(format!("cannot use {}; name another with --cache-dir DIR", path.display())),
        ),
    }
}

/// Writes a little file, and removes it.
fn try_writing(folder: &Path) -> std::io::Result<()> {
    let file = folder.join(format!(".doctor-{}", std::process::id()));
    let written = fs::write(&file, [0; 4096]).and_then(|()| fs::File::open(&file)?.sync_all());
    let removed = fs::remove_file(&file);
    written.and(removed)
}

async fn describe_place(common: &Common) -> anyhow::Result<String> {
    Ok(match connect::place(common).await? {
        Place::Remote(url) => format!("at {url}"),
        Place::Local(data_dir) => format!("the local one in {}", data_dir.path().display()),
    })
}

async fn registrations(common: &Common) -> anyhow::Result<String> {
    let all = connect::client(common).await?.registrations().await?;
    let enabled = all.iter().filter(|entry| entry.is_enabled()).count();
    Ok(format!("{} in the system space {}, {enabled} enabled", all.len(), system_space()))
}

async fn script(common: &Common) -> anyhow::Result<String> {
    let path = paths::script_component()?;
    let sandbox = connect::sandbox(common, &Limits::default())?;
    let loaded = sandbox.load(paths::read_component(&path, sandbox.limits().component_bytes)?, World::Charm).await?;
    Ok(format!("{} (sha256 {})", path.display(), loaded.info().sha256))
}

/// Tried in a thread, which alone is confined by it.
fn confinement() -> Found {
    let tried = std::thread::spawn(|| Confinement::of_service().enter()).join();
    match tried {
        Ok(Confined::Fully) => Found::Ok("the service can open its own files only (Landlock)".to_owned()),
        Ok(Confined::Partly) => {
            Found::Ok("the service can open its own files only, as far as this kernel's Landlock goes".to_owned())
        }
        Ok(Confined::Not(why)) => Found::Weak(format!("{why}; the sandbox of the components is the only defence")),
        Err(_) => Found::Weak("it cannot be tried".to_owned()),
    }
}
