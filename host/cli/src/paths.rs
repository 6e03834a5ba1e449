//! Paths on the operator's machine.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, anyhow, bail};
use bg_sandbox::LoadError;
use bg_server_trust::{DatabaseLock, Role};

use crate::args::Common;

/// The data directory: the given one, or `bg-wasm-host` in the user's data directory (XDG Base Directory
/// Specification).
#[derive(Debug, Clone)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// Finds it. Commands that begin work create it (private to the user) if needed; for all others, a missing one is
    /// an error.
    pub(crate) fn open(common: &Common) -> anyhow::Result<Self> {
        let path = match &common.data_dir {
            Some(path) => path.clone(),
            None => user_dir("XDG_DATA_HOME", ".local/share")
                .context("there is no home directory; name a data directory with --data-dir DIR")?,
        };
        if !common.makes_data_dir && !path.try_exists().unwrap_or(true) {
            // A remote runtime is elsewhere; a `run` for it stores its state here, and none exists yet.
            if common.api_url.is_some() {
                return Ok(Self(path));
            }
            bail!(
                "the data directory {} is not there: name the one that your service has with --data-dir DIR (or \
                BG_WASM_HOST_DATA); `run`, \
                 `serve` and `charm deploy` make a new one",
                path.display()
            );
        }
        let top = path.ancestors().take_while(|folder| !folder.exists()).last().map(Path::to_owned);
        create_private(&path).with_context(|| {
            format!("cannot create the data directory {}; name another with --data-dir DIR", path.display())
        })?;
        if let Some(top) = top.filter(|top| !top.as_os_str().is_empty()) {
            MADE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((path.clone(), top));
        }
        Ok(Self(path))
    }

    /// The local charm runtime's database.
    pub(crate) fn runtime_database(&self) -> PathBuf {
        self.0.join("runtime.db")
    }

    /// The key that seals its secrets.
    pub(crate) fn secrets_key(&self) -> PathBuf {
        self.0.join("secrets.key")
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where `run` stores its poll state for a remote runtime: one database per runtime.
    pub(crate) fn poll_database(&self, api_url: &url::Url) -> PathBuf {
        let origin = api_url.origin().ascii_serialization();
        let name: String =
            origin.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        self.0.join(format!("poll-{name}.db"))
    }

    /// All of these that exist.
    pub(crate) fn poll_databases(&self) -> std::io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            let path = entry?.path();
            let name = path.file_name().and_then(OsStr::to_str);
            if name.and_then(|name| name.strip_prefix("poll-")?.strip_suffix(".db")).is_some() {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }
}

/// The data directory that this process created, and the topmost folder created for it.
static MADE: Mutex<Option<(PathBuf, PathBuf)>> = Mutex::new(None);

/// The folder in which this process created its data directory, if it did: removing that takes a right there.
pub(crate) fn made_in() -> Option<PathBuf> {
    let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let parent = made.as_ref()?.1.parent()?;
    Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
}

/// Prefixes of file names in a data directory.
const OWN_FILES: [&str; 3] = ["runtime.db", "poll-", "secrets.key"];

/// Removes the data directory that this process created, for a command that failed. Not if it contains anything worth
/// keeping, or if another process has begun to use it.
pub(crate) fn remove_made() {
    let Some((path, top)) = MADE.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    match remove_unused(&path) {
        Ok(true) => {
            // From the inside out, as long as the folders are empty.
            let made = path.ancestors().take_while(|folder| folder.starts_with(&top));
            let _ = made.map(std::fs::remove_dir).take_while(Result::is_ok).count();
        }
        Ok(false) => {}
        Err(error) => tracing::debug!("the new data directory {} stays: {error:#}", path.display()),
    }
}

/// Removes the files of a data directory without stored data; returns false if there is some.
fn remove_unused(folder: &Path) -> anyhow::Result<bool> {
    let mut locks = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let name = name.to_string_lossy();
        if !OWN_FILES.iter().any(|own| name.starts_with(own)) {
            return Ok(false);
        }
        if path.extension() == Some(OsStr::new("db")) {
            locks.push(DatabaseLock::acquire(&path, Role::Run, None)?);
            if !bg_charm_runtime::is_unused(&path)? {
                return Ok(false);
            }
        }
    }
    // Including files that SQLite and the locks created meanwhile.
    for entry in std::fs::read_dir(folder)? {
        std::fs::remove_file(entry?.path())?;
    }
    Ok(true)
}

/// Whether others than its owner can change what is in a folder.
pub(crate) fn others_can_write(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(folder).is_ok_and(|folder| folder.permissions().mode() & 0o022 != 0)
}

/// Creates a folder that is private to this user, and its parents; an existing folder is fine.
pub(crate) fn create_private(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Where compiled components are cached: the given folder, or `bg-wasm-host` in the user's cache directory. `None`:
/// nowhere.
pub(crate) fn cache_dir(given: Option<&Path>) -> Option<PathBuf> {
    given.map(Path::to_owned).or_else(|| user_dir("XDG_CACHE_HOME", ".cache"))
}

/// Our folder in one of the user's directories (XDG Base Directory Specification). Relative paths in the variable are
/// ignored, as specified.
fn user_dir(variable: &str, in_home: &str) -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(in_home)))?;
    Some(base.join("bg-wasm-host"))
}

/// The component that runs charms written in JavaScript and TypeScript: next to the program, in
/// `../share/bg-wasm-host`, or in the `dist` of a source tree.
pub(crate) fn script_component() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let beside = program.parent().into_iter().map(|dir| dir.join("script.wasm"));
    let shared =
        program.parent().and_then(Path::parent).into_iter().map(|dir| dir.join("share/bg-wasm-host/script.wasm"));
    let in_source_tree = program.ancestors().skip(1).take(4).map(|dir| dir.join("dist/script.wasm"));
    let mut places = beside.chain(shared).chain(in_source_tree);
    match places.find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!(
            "script.wasm, which runs charms, is not next to {}; in a source tree, `cargo guests` builds it",
            program.display()
        ),
    }
}

/// The longest file from an operator, other than components, in bytes: charms' sources and inputs take kilobytes.
const FILE_BYTES: u64 = 64 << 20;

/// The contents of an operator's file; an error names the file.
pub(crate) fn read(path: &Path, what: &str) -> anyhow::Result<Vec<u8>> {
    let bytes = File::open(path).and_then(|file| read_up_to(file, FILE_BYTES + 1));
    let bytes = bytes.with_context(|| format!("cannot read {what} {}", path.display()))?;
    if bytes.len() as u64 > FILE_BYTES {
        bail!("{what} {} is longer than {} MiB", path.display(), FILE_BYTES >> 20);
    }
    Ok(bytes)
}

/// The contents of a component's file, at most one byte more than `limit`; the error then shows its true size. Anything
/// but a regular file is refused before it is opened: reading a pipe could wait forever.
pub(crate) fn read_component(path: &Path, limit: usize) -> anyhow::Result<Vec<u8>> {
    let file = check_component(path)?;
    let most = (limit as u64).saturating_add(1);
    let bytes = File::open(path).and_then(|open| read_up_to(open, most)).with_context(|| cannot_read(path))?;
    if bytes.len() > limit && !bytes.starts_with(b"\x7fELF") {
        let size = usize::try_from(file.len()).unwrap_or(usize::MAX);
        return Err(anyhow!(LoadError::TooLarge { size, limit })
            .context(format!("cannot use the component {}", path.display())));
    }
    Ok(bytes)
}

/// Checks that there is a regular file at the path of a component.
pub(crate) fn check_component(path: &Path) -> anyhow::Result<Metadata> {
    let file = std::fs::metadata(path).map_err(|error| {
        let fix = if error.kind() == ErrorKind::NotFound { "; `cargo guests` builds our own into dist/" } else { "" };
        anyhow!("{error}{fix}").context(cannot_read(path))
    })?;
    if file.is_dir() {
        bail!("{} is a folder; name the .wasm file in it", path.display());
    }
    if !file.is_file() {
        bail!("{} is not a regular file, but a device, a pipe or a socket; name a .wasm file", path.display());
    }
    Ok(file)
}

fn cannot_read(component: &Path) -> String {
    format!("cannot read the component {}", component.display())
}

fn read_up_to(file: File, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
