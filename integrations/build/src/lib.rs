//! Builds the guests of this workspace: every folder of `integrations/` and `tests/guests/` with an `integration.toml`,
//! and `host/script`. Each becomes one component, `dist/<id>.wasm`, which contains its manifest and the standard
//! metadata.
//!
//! Tests and the demo call [`ensure_guests`], which takes milliseconds when nothing has changed since the last build;
//! people run the binary `build-integrations`.
//!
//! Guests are built for `wasm32-unknown-unknown` in one cargo call with its own target folder (`target/guests`), since
//! the compiler may differ from the host's. The same source and compiler give the same bytes, wherever the workspace
//! is.
//!
//! A guest that exports `prepare` is started while it is built, and every instance starts from there. One that exports
//! `rehearse` is called before, in another instance, which shows what a call writes to.
//!
//! Tests of what authors build themselves call [`prepare_wasip2`] and [`prepare_cargo`].
//! What runs cargo for the host itself calls [`same_cargo`].

mod compile;
mod compiler;
mod component;
mod debian;
mod environment;
mod error;
mod files;
mod guests;
mod progress;
mod rehearsal;
mod run;
mod snapshot;
mod sources;
mod stamp;
mod toolchain;
mod wasip2;
mod workspace;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use environment::same_cargo;
pub use error::BuildError;
pub use toolchain::Way;
pub use wasip2::{prepare_cargo, prepare_wasip2};

use compiler::Triple;
use guests::Guest;
use progress::Progress;
use stamp::Stamp;
use workspace::Workspace;

/// The options of [`build_integrations`].
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Build even if nothing has changed.
    pub force: bool,
    /// Where to put the components; `None` for `dist/` of the workspace.
    pub out: Option<PathBuf>,
    /// The only way to get the target; `None` for the first that works.
    pub way: Option<Way>,
    /// The workspace; `None` for the one that this crate was compiled in.
    pub workspace: Option<PathBuf>,
}

/// The components on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dist {
    dir: PathBuf,
    components: Vec<Component>,
}

/// One component on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its name: the integration's ID, or `script`.
    pub id: String,
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, in lower-case hexadecimal.
    pub sha256: String,
    /// The time from the start of the build until it was written; `None` if it was up to date already.
    pub took: Option<Duration>,
}

impl Dist {
    /// The folder that contains them.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All of them, by ID.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// The file of one, such as `gmail` or `script`.
    pub fn path(&self, id: &str) -> Result<&Path, BuildError> {
        self.components
            .iter()
            .find(|component| component.id == id)
            .map(|component| component.path.as_path())
            .ok_or_else(|| BuildError::NoSuchGuest {
                id: id.to_owned(),
                known: self.components.iter().map(|component| component.id.as_str()).collect::<Vec<_>>().join(", "),
            })
    }
}

/// The workspace's components, built first if they are missing or older than their sources. Safe to call from several
/// threads and processes at the same time: one builds, the others wait for it.
pub fn ensure_guests() -> Result<Dist, BuildError> {
    build_integrations(&Options::default())
}

/// Installs Debian's packages, as root or by a `sudo` that needs no password; otherwise the error says why not.
/// `missing` says what they are for.
pub fn install_packages(missing: &str, packages: &[&str]) -> Result<(), String> {
    let progress = Progress::new();
    let installed = debian::install(missing, packages, &progress);
    progress.finish();
    installed
}

/// Builds what is out of date. Progress goes to standard error.
pub fn build_integrations(options: &Options) -> Result<Dist, BuildError> {
    let plan = Plan::new(options)?;
    if !options.force
        && let Some(dist) = plan.fresh()
    {
        return Ok(dist);
    }
    let progress = Progress::new();
    let lock = files::lock(&plan.target.join(".lock"), &progress)?;
    // Another process may have built them while this one waited for the lock.
    let dist = match plan.fresh() {
        Some(dist) if !options.force => dist,
        _ => plan.build(options, &progress)?,
    };
    progress.finish();
    drop(lock);
    Ok(dist)
}

/// The components if they are up to date; `None` if something needs to be built.
pub fn fresh(options: &Options) -> Result<Option<Dist>, BuildError> {
    Ok(Plan::new(options)?.fresh())
}

/// What to build, from what, and where to.
struct Plan {
    workspace: Workspace,
    guests: Vec<Guest>,
    target: PathBuf,
    out: PathBuf,
    /// A digest of everything the components depend on, except the compiler if it is not the active one.
    inputs: String,
}

impl Plan {
    fn new(options: &Options) -> Result<Self, BuildError> {
        let workspace = match &options.workspace {
            Some(root) => Workspace::open(&std::path::absolute(root).map_err(BuildError::file("find", root))?)?,
            None => Workspace::find()?,
        };
        let guests = guests::find(&workspace)?;
        let target = workspace.root().join("target").join("guests");
        let out = options.out.clone().unwrap_or_else(|| workspace.root().join("dist"));
        let inputs = sources::digest(&workspace, &guests)?;
        Ok(Self { workspace, guests, target, out, inputs })
    }

    fn fresh(&self) -> Option<Dist> {
        let stamp = Stamp::read(&self.target)?;
        if stamp.inputs != self.inputs || stamp.compiler.identity != toolchain::file_identity(&stamp.compiler.path)? {
            return None;
        }
        let mut components = Vec::with_capacity(self.guests.len());
        for guest in &self.guests {
            let component = files::describe(&guest.id, &self.out).ok()?;
            if stamp.components.get(&guest.id) != Some(&component.sha256) {
                return None;
            }
            components.push(component);
        }
        Some(Dist { dir: self.out.clone(), components })
    }

    fn build(&self, options: &Options, progress: &Progress) -> Result<Dist, BuildError> {
        let started = Instant::now();
        let active = toolchain::active()?;
        let target = toolchain::target(&active, &self.workspace, Triple::Unknown, options.way, progress)?;
        let modules = compile::guests(&self.workspace, &self.guests, &self.target, &active, &target, progress)?;
        progress.stage("encoding the components");
        let mut components = Vec::with_capacity(self.guests.len());
        for (guest, module) in self.guests.iter().zip(modules) {
            let bytes = component::encode(guest, files::read(&module)?)?;
            files::write_if_changed(&self.out.join(guest.file_name()), &bytes)?;
            let mut component = files::describe(&guest.id, &self.out)?;
            component.took = Some(started.elapsed());
            components.push(component);
        }
        Stamp::new(&self.inputs, &target.rustc, &components)?.write(&self.target)?;
        Ok(Dist { dir: self.out.clone(), components })
    }
}
