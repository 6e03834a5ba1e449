//! Components that are replaced while a service runs.
//!
//! A service can open no file that comes in the place of one of its components: the kernel confines it to the files that were there
//! when it started (see [`confine`](crate::confine)), and a new version is a new file. So a process of its own looks after them. It is
//! started before the service is confined, can read the components' folders and nothing else, runs nothing, and hands over what
//! is in a file that has changed.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context as _;
use bg_egress::{Gate, HttpLimits};
use bg_identity::IntegrationId;
use bg_poller::{CharmRuntime, IntegrationState, Replacement};
use bg_sandbox::{CompilerCommand, Sandbox};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;

use crate::args::GrantArgs;
use crate::confine::Confinement;
use crate::integrations::{self, Loaded, manifest_beside};
use crate::paths;
use crate::pins::Pin;

/// How often files are looked at. A change is told once it has lasted for two looks: a file that is being written is not whole.
const LOOK: Duration = Duration::from_millis(300);
/// The length of a manifest that is not there.
const NO_MANIFEST: u32 = u32::MAX;

/// The process that looks after the components; it ends with this one.
#[derive(Debug)]
pub(crate) struct Watcher(Child);

impl Watcher {
    /// Starts it. A service without it works all the same, but must be restarted for new components.
    pub(crate) fn start(components: &[PathBuf], most: usize) -> Option<Self> {
        let CompilerCommand { program, .. } = CompilerCommand::this_program([""; 0]);
        let mut command = Command::new(program);
        command.arg("watch-components").arg(most.to_string()).arg("--").args(components);
        // It needs nothing of the service's environment, where keys may be.
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
            .spawn()
            .map(Self)
            .inspect_err(|error| tracing::warn!(%error, "components that change are not loaded anew before a restart"))
            .ok()
    }
}

/// `watch-components`: what such a process does. Not for people.
pub(crate) fn watch(components: &[PathBuf], most: usize) -> ExitCode {
    // The other end closes when the service ends, however it does.
    std::thread::spawn(|| {
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let here = Path::new(".");
    let folder =
        |path: &PathBuf| path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(here).to_owned();
    let confinement =
        components.iter().fold(Confinement::default(), |confinement, path| confinement.read(&folder(path)));
    // Where the kernel has no Landlock, the service has said so.
    let _ = confinement.enter();
    let mut told: Vec<_> = components.iter().map(|path| state(path)).collect();
    let mut last = told.clone();
    loop {
        sleep(LOOK);
        for (number, path) in components.iter().enumerate() {
            let now = state(path);
            if now == last[number] && now != told[number] && now.0.is_some() {
                told[number] = now;
                if tell(number, path, most).is_err() {
                    // Nobody listens any more.
                    return ExitCode::SUCCESS;
                }
            }
            last[number] = now;
        }
    }
}

/// What tells a file, and the manifest beside it, from another.
type State = (Option<(u64, u64, i64, i64)>, Option<(u64, u64, i64, i64)>);

fn state(path: &Path) -> State {
    use std::os::unix::fs::MetadataExt as _;
    let of = |file: Metadata| (file.ino(), file.len(), file.mtime(), file.mtime_nsec());
    let found = |path: &Path| std::fs::metadata(path).ok().map(of);
    (found(path), found(&manifest_beside(path)))
}

/// Hands a file over; one that can't be read is told of by the service's next start.
fn tell(number: usize, path: &Path, most: usize) -> io::Result<()> {
    let Ok(bytes) = paths::read_component(path, most) else { return Ok(()) };
    let manifest = paths::read(&manifest_beside(path), "the manifest").ok();
    let length = manifest.as_ref().map_or(NO_MANIFEST, |manifest| u32::try_from(manifest.len()).unwrap_or(NO_MANIFEST));
    let mut out = io::stdout().lock();
    out.write_all(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes())?;
    out.write_all(&u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes())?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(&bytes)?;
    out.write_all(manifest.as_deref().filter(|_| length != NO_MANIFEST).unwrap_or_default())?;
    out.flush()
}

/// A file that has changed.
struct Changed {
    number: usize,
    component: Vec<u8>,
    manifest: Option<String>,
}

async fn next(out: &mut (impl AsyncRead + Unpin)) -> io::Result<Changed> {
    let (number, length, manifest) = (out.read_u32().await?, out.read_u32().await?, out.read_u32().await?);
    let mut component = vec![0; length as usize];
    out.read_exact(&mut component).await?;
    let manifest = if manifest == NO_MANIFEST {
        None
    } else {
        let mut text = vec![0; manifest as usize];
        out.read_exact(&mut text).await?;
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    Ok(Changed { number: number as usize, component, manifest })
}

/// What new versions are loaded and linked with.
pub(crate) struct Reloader {
    pub(crate) sandbox: Sandbox,
    pub(crate) gate: Gate,
    pub(crate) http: HttpLimits,
    pub(crate) runtime: Arc<dyn CharmRuntime>,
    pub(crate) state: Arc<dyn IntegrationState>,
    pub(crate) grants: GrantArgs,
    pub(crate) pins: Vec<Pin>,
    /// Whether integrations have the intervals that their manifests ask for.
    pub(crate) asked_intervals: bool,
    /// The files, and what was loaded from each.
    pub(crate) components: Vec<(PathBuf, IntegrationId, String)>,
}

impl Reloader {
    /// Loads what changes, as long as the watcher runs, and hands it to the poll loop.
    pub(crate) async fn follow(mut self, watcher: Watcher, replaced: mpsc::Sender<Replacement>) -> anyhow::Result<()> {
        let Watcher(mut child) = watcher;
        // Held as long as this runs: the watcher ends when it is closed.
        let _open = child.stdin.take();
        let out = child.stdout.take().context("its output is not piped")?;
        let mut out = tokio::process::ChildStdout::from_std(out)?;
        while let Ok(changed) = next(&mut out).await {
            let Some((path, id, _)) = self.components.get(changed.number).cloned() else { continue };
            match self.load(changed).await {
                Ok(Some(replacement)) => {
                    if replaced.send(replacement).await.is_err() {
                        break;
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(
                    integration = %id,
                    "{} has changed, but is not used, and the component that was loaded goes on: {error:#}", path.display()
                ),
            }
        }
        Ok(())
    }

    async fn load(&mut self, changed: Changed) -> anyhow::Result<Option<Replacement>> {
        let Changed { number, component, manifest } = changed;
        let Some((path, id, sha256)) = self.components.get_mut(number) else { return Ok(None) };
        let loaded = integrations::load_anew(&self.sandbox, path, component, manifest, &self.grants, &self.pins);
        let loaded: Loaded = loaded.await?;
        anyhow::ensure!(loaded.id() == id, "it is the integration {} now; restart the service to use it", loaded.id());
        if loaded.sha256() == sha256 {
            return Ok(None);
        }
        loaded.sha256().clone_into(sha256);
        let interval = loaded.interval().filter(|_| self.asked_intervals).map(|(_, interval)| interval);
        let integration =
            loaded.link(&self.sandbox, &self.gate, &self.http, self.runtime.clone(), self.state.clone())?;
        Ok(Some(Replacement { integration, interval }))
    }
}

/// What is followed of components that were loaded at the start.
pub(crate) fn followed(loaded: &[Loaded]) -> Vec<(PathBuf, IntegrationId, String)> {
    loaded.iter().map(|one| (one.path().to_owned(), one.id().clone(), one.sha256().to_owned())).collect()
}

/// The intervals that loaded components ask for.
pub(crate) fn intervals(loaded: &[Loaded]) -> BTreeMap<IntegrationId, Duration> {
    loaded.iter().filter_map(Loaded::interval).collect()
}
