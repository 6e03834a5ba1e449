//! Where things are on the operator's machine.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, anyhow, bail};
use bg_sandbox::LoadError;
use bg_server_trust::{DatabaseLock, Role};

use crate::args::Common;

/// The data directory: as given, or `bg-wasm-host` in the user's data directory (XDG Base Directory Specification).
#[derive(Debug, Clone)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// Finds it. Commands with which work begins make it (for the user alone) if need be; to all others, one that is not there is a mistake.
    pub(crate) fn open(common: &Common) -> anyhow::Result<Self> {
        let path = match &common.data_dir {
            Some(path) => path.clone(),
            None => user_dir("XDG_DATA_HOME", ".local/share")
                .context("there is no home directory; name a data directory with --data-dir DIR")?,
        };
        if !common.makes_data_dir && !path.try_exists().unwrap_or(true) {
            // A remote runtime is elsewhere; a `run` for it has its own state here, and there is none.
            if common.api_url.is_some() {
                return Ok(Self(path));
            }
            bail!(
                "the data directory {} is not there: name the one that your service has with --data-dir DIR (or BG_WASM_HOST_DATA); `run`, \
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

    /// The key that secrets in it are sealed with.
    pub(crate) fn secrets_key(&self) -> PathBuf {
        self.0.join("secrets.key")
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where `run` keeps its poll state for a remote runtime: one database for each.
    pub(crate) fn poll_database(&self, api_url: &url::Url) -> PathBuf {
        let origin = api_url.origin().ascii_serialization();
        let name: String =
            origin.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        self.0.join(format!("poll-{name}.db"))
    }

    /// All of these that there are.
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

/// The data directory that this process has made, and the topmost folder that it has made for it.
static MADE: Mutex<Option<(PathBuf, PathBuf)>> = Mutex::new(None);

/// The folder in which this process has made its data directory, if it has made one: to remove it again takes a right there.
pub(crate) fn made_in() -> Option<PathBuf> {
    let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let parent = made.as_ref()?.1.parent()?;
    Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
}

/// What the names of files in a data directory begin with.
const OWN_FILES: [&str; 3] = ["runtime.db", "poll-", "secrets.key"];

/// Removes the data directory again that this process has made, for a command that failed. Not if there is anything in it to be kept, or if
/// somebody else has begun to use it.
pub(crate) fn remove_made() {
    let Some((path, top)) = MADE.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    match remove_unused(&path) {
        Ok(true) => {
            // From the inside out, as long as nobody else has put something there.
            let made = path.ancestors().take_while(|folder| folder.starts_with(&top));
            let _ = made.map(std::fs::remove_dir).take_while(Result::is_ok).count();
        }
        Ok(false) => {}
        Err(error) => tracing::debug!("the new data directory {} stays: {error:#}", path.display()),
    }
}

/// Removes the files of a data directory in which nothing is kept; false if there is something.
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
    // With what SQLite and the locks have made meanwhile.
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

/// Makes a folder for this user alone, with those that it is in; that it is there already is fine.
pub(crate) fn create_private(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Where compiled components are kept: as given, or `bg-wasm-host` in the user's cache directory. None: they are not kept.
pub(crate) fn cache_dir(given: Option<&Path>) -> Option<PathBuf> {
    given.map(Path::to_owned).or_else(|| user_dir("XDG_CACHE_HOME", ".cache"))
}

/// Our directory in one of the user's (XDG Base Directory Specification): relative paths in the variable are to be ignored.
fn user_dir(variable: &str, in_home: &str) -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(in_home)))?;
    Some(base.join("bg-wasm-host"))
}

/// The component that runs charms written in JavaScript and TypeScript: beside the program, in `../share/bg-wasm-host`, or, in a
/// source tree, in its `dist`.
pub(crate) fn script_component() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let beside = program.parent().into_iter().map(|dir| dir.join("script.wasm"));
    let shared =
        program.parent().and_then(Path::parent).into_iter().map(|dir| dir.join("share/bg-wasm-host/script.wasm"));
    let in_source_tree = program.ancestors().skip(1).take(4).map(|dir| dir.join("dist/script.wasm"));
    let mut places = beside.chain(shared).chain(in_source_tree);
    match places.find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!(
            "script.wasm, which runs charms, is not beside {}; in a source tree, `cargo guests` builds it",
            program.display()
        ),
    }
}

/// The longest file that an operator gives us, other than components, bytes: charms' sources and inputs take kilobytes.
const FILE_BYTES: u64 = 64 << 20;

/// The operator's file, with an error that names it.
pub(crate) fn read(path: &Path, what: &str) -> anyhow::Result<Vec<u8>> {
    let bytes = File::open(path).and_then(|file| read_up_to(file, FILE_BYTES + 1));
    let bytes = bytes.with_context(|| format!("cannot read {what} {}", path.display()))?;
    if bytes.len() as u64 > FILE_BYTES {
        bail!("{what} {} is longer than {} MiB", path.display(), FILE_BYTES >> 20);
    }
    Ok(bytes)
}

/// A component's file, of which no more is read than one byte over `limit`: its true size is then told. What is no file is refused
/// before it is opened: a pipe would be waited for without an end.
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

/// Whether there is a file in the place of a component.
pub(crate) fn check_component(path: &Path) -> anyhow::Result<Metadata> {
    let file = std::fs::metadata(path).map_err(|error| {
        let mend = if error.kind() == ErrorKind::NotFound { "; `cargo guests` builds our own into dist/" } else { "" };
        anyhow!("{error}{mend}").context(cannot_read(path))
    })?;
    if file.is_dir() {
        bail!("{} is a folder; name the .wasm file in it", path.display());
    }
    if !file.is_file() {
        bail!("{} is no file, but a device, a pipe or a socket; name a .wasm file", path.display());
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
