//! Components that are replaced while a service runs.
//!
//! A service cannot open a file that replaces one of its components: the kernel confines it to the files that existed
//! when it started (see [`confine`](crate::confine)), and a new version is a new file. So a separate process watches
//! them. It is started before the service is confined, can read only the components' folders, runs nothing, and passes
//! on the contents of a changed file. If a folder is replaced by another, or a link leads to another one, a restart is
//! needed.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use bg_egress::{Gate, HttpLimits};
use bg_identity::IntegrationId;
use bg_poller::{CharmRuntime, IntegrationState, Replacement};
use bg_sandbox::{ChildCommand, Sandbox};
use bg_server::Polling;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::args::{GrantArgs, Pin};
use crate::confine::Confinement;
use crate::integrations::{self, Followed, Loaded, manifest_beside};
use crate::paths;

/// How often files are checked. A change is reported once it is the same in two checks: a file that is still being
/// written is incomplete.
const LOOK: Duration = Duration::from_millis(300);
/// How much earlier than the service the watcher may end.
const ENDING: Duration = Duration::from_secs(1);
/// The length that stands for a missing file.
const NONE: u32 = u32::MAX;
/// Logged if they are not watched.
const NOT_FOLLOWED: &str = "changed components are not loaded until a restart";

/// The process that watches the components; it ends with this one.
#[derive(Debug)]
pub(crate) struct Watcher(Child);

impl Watcher {
    /// Starts it, and waits until it is watching. A service works without it, but must be restarted for new components.
    pub(crate) fn start(components: &[PathBuf], most: usize) -> Option<Self> {
        use std::os::unix::process::CommandExt as _;

        let ChildCommand { program, .. } = ChildCommand::this_program([""; 0]);
        let mut command = Command::new(program);
        command.arg("watch-components").arg(most.to_string()).arg("--").args(components);
        // It does not need the service's environment, which may contain keys. Ctrl-C is for the service, with which
        // it ends.
        command.env_clear().process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let started = command.spawn().and_then(|mut child| {
            // Changes from now on are reported.
            child.stdout.as_mut().map_or(Ok(()), |out| out.read_exact(&mut [0]))?;
            Ok(Self(child))
        });
        started.inspect_err(|error| tracing::warn!(%error, "{NOT_FOLLOWED}")).ok()
    }
}

/// `watch-components`: the watching process. Not for people.
pub(crate) fn watch(components: &[PathBuf], most: usize) -> ExitCode {
    let files = components.iter().flat_map(|path| [path.clone(), manifest_beside(path)]);
    let folders = files.flat_map(|path| [path.canonicalize().ok(), Some(path)]).flatten();
    let confinement = folders.fold(Confinement::default(), |confinement, path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        confinement.read(folder.unwrap_or(Path::new(".")))
    });
    // Before there is another thread. If the kernel has no Landlock, the service has reported it.
    let _ = confinement.enter();
    // The other end closes when the service ends, for any reason.
    std::thread::spawn(|| {
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let mut sent: Vec<_> = components.iter().map(|path| state(path)).collect();
    let mut last = sent.clone();
    // If the service is gone, the next write fails as well.
    let _ = io::stdout().write_all(&[0]).and_then(|()| io::stdout().flush());
    loop {
        sleep(LOOK);
        for (number, path) in components.iter().enumerate() {
            let now = state(path);
            if now == last[number] && now != sent[number] && now.0.is_some() {
                sent[number] = now;
                if send(number, path, most).is_err() {
                    return ExitCode::SUCCESS;
                }
            }
            last[number] = now;
        }
    }
}

/// Identifies a version of a file and of its manifest: inode, length, and the time of the last change.
type State = (Option<(u64, u64, i64, i64)>, Option<(u64, u64, i64, i64)>);

fn state(path: &Path) -> State {
    use std::os::unix::fs::MetadataExt as _;
    let of = |file: Metadata| (file.ino(), file.len(), file.ctime(), file.ctime_nsec());
    let found = |path: &Path| std::fs::metadata(path).ok().map(of);
    (found(path), found(&manifest_beside(path)))
}

/// Sends a file, or why it can't be read.
fn send(number: usize, path: &Path, most: usize) -> io::Result<()> {
    let number = u32::try_from(number).unwrap_or(NONE);
    let manifest = manifest_beside(path);
    let read = paths::read_component(path, most).and_then(|component| {
        let is_there = manifest.symlink_metadata().is_ok();
        Ok((component, is_there.then(|| paths::read(&manifest, "the manifest")).transpose()?))
    });
    let (component, beside) = match read {
        Ok((component, beside)) => (Some(component), beside),
        Err(error) => (None, Some(format!("{error:#}").into_bytes())),
    };
    let mut out = io::stdout().lock();
    out.write_all(&number.to_be_bytes())?;
    for part in [&component, &beside] {
        let length = part.as_ref().map_or(NONE, |part| u32::try_from(part.len()).unwrap_or(NONE));
        out.write_all(&length.to_be_bytes())?;
    }
    for part in [component, beside].into_iter().flatten() {
        out.write_all(&part)?;
    }
    out.flush()
}

/// A changed file.
struct Changed {
    number: usize,
    /// `None` if it can't be read; then the text next to it says why.
    component: Option<Vec<u8>>,
    /// The manifest next to it, if there is one.
    beside: Option<String>,
}

async fn next(out: &mut (impl AsyncRead + Unpin)) -> io::Result<Changed> {
    let (number, length, beside) = (out.read_u32().await?, out.read_u32().await?, out.read_u32().await?);
    let component = part(out, length).await?;
    let beside = part(out, beside).await?.map(|text| String::from_utf8_lossy(&text).into_owned());
    Ok(Changed { number: number as usize, component, beside })
}

async fn part(out: &mut (impl AsyncRead + Unpin), length: u32) -> io::Result<Option<Vec<u8>>> {
    if length == NONE {
        return Ok(None);
    }
    let mut part = vec![0; length as usize];
    out.read_exact(&mut part).await?;
    Ok(Some(part))
}

/// What is needed to load and link new versions.
pub(crate) struct Reloader {
    pub(crate) sandbox: Sandbox,
    pub(crate) gate: Gate,
    pub(crate) http: HttpLimits,
    pub(crate) runtime: Arc<dyn CharmRuntime>,
    pub(crate) state: Arc<dyn IntegrationState>,
    pub(crate) grants: GrantArgs,
    pub(crate) pins: Vec<Pin>,
    /// Whether integrations use the intervals of their manifests.
    pub(crate) asked_intervals: bool,
    /// In the order in which the watcher received them.
    pub(crate) components: Vec<Followed>,
    /// Where running components are shown.
    pub(crate) polling: Arc<Polling>,
}

impl Reloader {
    /// Loads changed components while the watcher and the service run, and passes them to the poll loop.
    pub(crate) async fn follow(
        mut self,
        watcher: Watcher,
        replaced: mpsc::Sender<Replacement>,
        shutdown: CancellationToken,
    ) {
        let Watcher(mut child) = watcher;
        // Held while this runs: the watcher ends when it is closed.
        let _open = child.stdin.take();
        if let Some(Ok(out)) = child.stdout.take().map(tokio::process::ChildStdout::from_std) {
            tokio::select! {
                () = self.load_all(out, replaced, &shutdown) => {}
                () = shutdown.cancelled() => {}
            }
        }
        // Waited for, so that it is gone if this process continues as another program.
        let _ = child.kill().and_then(|()| child.wait());
    }

    async fn load_all(
        &mut self,
        mut out: impl AsyncRead + Unpin,
        replaced: mpsc::Sender<Replacement>,
        shutdown: &CancellationToken,
    ) {
        loop {
            let changed = match next(&mut out).await {
                Ok(changed) => changed,
                Err(error) => {
                    // A signal to the service may reach the watcher at the same time, and first.
                    if timeout(ENDING, shutdown.cancelled()).await.is_err() {
                        tracing::warn!(%error, "{NOT_FOLLOWED}");
                    }
                    return;
                }
            };
            let Some(followed) = self.components.get(changed.number) else { continue };
            let (path, id) = (followed.path.display().to_string(), followed.manifest.integration.id.clone());
            match self.load(changed).await {
                Ok(Some(replacement)) => {
                    if replaced.send(replacement).await.is_err() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(
                    integration = %id, fix = "replace the file with one that can be used; the service loads it by itself",
                    "{path} has changed, but the new version is not used, and the loaded one keeps running: {error:#}"
                ),
            }
        }
    }

    async fn load(&mut self, changed: Changed) -> anyhow::Result<Option<Replacement>> {
        let Changed { number, component, beside } = changed;
        let Some(before) = self.components.get_mut(number) else { return Ok(None) };
        let Some(component) = component else { anyhow::bail!(beside.unwrap_or_default()) };
        let loaded =
            integrations::load_changed(&self.sandbox, before, component, beside, &self.grants, &self.pins).await?;
        let now = loaded.followed();
        if now.sha256 == before.sha256 && now.manifest == before.manifest {
            return Ok(None);
        }
        let interval = loaded.interval().filter(|_| self.asked_intervals).map(|(_, interval)| interval);
        let view = loaded.view();
        let integration =
            loaded.link(&self.sandbox, &self.gate, &self.http, self.runtime.clone(), self.state.clone())?;
        self.polling.set_integration(view);
        *before = Followed { granted: std::mem::take(&mut before.granted), ..now };
        Ok(Some(Replacement { integration, interval }))
    }
}

/// The intervals that loaded components ask for.
pub(crate) fn intervals(loaded: &[Loaded]) -> BTreeMap<IntegrationId, Duration> {
    loaded.iter().filter_map(Loaded::interval).collect()
}
