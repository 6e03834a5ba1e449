//! SIGHUP: a service reloads its configuration file and continues.
//!
//! The file is validated first, like at a start: problems are logged, and nothing changes. If it is valid, the service
//! stops as usual (polls end, and their outcomes are stored), and then executes its own program again in the same
//! process: the process ID, which supervisors rely on, stays the same, and every option takes effect like at any start.
//! Changing options one by one during polls would be a second way for each of them to take effect; this way there is
//! only one.
//!
//! The confinement of the process (see [`confine`](crate::confine)) stays, and applies to the new program: so the
//! folders of the configuration file and of the components must be open to it from the start.

use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal as _};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bg_sandbox::ChildCommand;
use bg_server::{LoginSessions, LoginToken};
use nix::sys::signal::{SigSet, Signal};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::confine::{Confined, Confinement};

/// Whether the restarted program is already confined, and how: `<process ID> <fully|partly|not>`. A value of
/// another process is ignored.
const CONFINED: &str = "BG_WASM_HOST_CONFINED";

/// The logins of its pages: digests of the token and of sessions, which do not grant access.
const LOGINS: &str = "BG_WASM_HOST_LOGINS";

/// Where it listened, so that it keeps its port if any port will do.
const ADDRESS: &str = "BG_WASM_HOST_ADDRESS";
/// The longest time to stop, even if something hangs: supervisors wait for 30 s, and then kill the service.
pub(crate) const STOP: Duration = Duration::from_secs(28);

const RUNNING: u8 = 0;
const RESTARTING: u8 = 1;
const STOPPING: u8 = 2;

/// Why a service ends: to stop, or to restart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restart {
    state: Arc<AtomicU8>,
    /// The logins, for the restarted program.
    logins: Arc<Mutex<Option<(LoginToken, LoginSessions)>>>,
    /// The address, for the same purpose.
    address: Arc<Mutex<Option<SocketAddr>>>,
}

impl Restart {
    /// With the data that the previous program handed over, if this one was restarted.
    pub(crate) fn inherit() -> Self {
        let logins = of_this_process(LOGINS).as_deref().and_then(LoginSessions::load);
        Self { logins: Arc::new(Mutex::new(logins)), ..Self::default() }
    }

    /// The logins of the previous program.
    pub(crate) fn logins(&self) -> Option<(LoginToken, LoginSessions)> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hands over the logins.
    pub(crate) fn hand_over(&self, token: LoginToken, sessions: LoginSessions) {
        *self.logins.lock().unwrap_or_else(PoisonError::into_inner) = Some((token, sessions));
    }

    /// Hands over the address at which the service listens.
    pub(crate) fn set_address(&self, address: SocketAddr) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// Requests a stop, which overrides a restart.
    pub(crate) fn stop(&self) {
        self.state.store(STOPPING, Ordering::SeqCst);
    }

    /// Requests a restart; returns false if the service is already stopping.
    fn restart(&self) -> bool {
        self.state.compare_exchange(RUNNING, RESTARTING, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whether it ended to restart.
    pub(crate) fn is_wanted(&self) -> bool {
        self.state.load(Ordering::SeqCst) == RESTARTING
    }

    /// Waits for SIGHUP in the background, and cancels `shutdown` once `check` finds the configuration valid; `check`
    /// returns the names of changed options. On a terminal, SIGHUP means that the terminal is gone, and the service
    /// stops.
    pub(crate) fn on_hangup<F>(
        &self,
        shutdown: CancellationToken,
        check: impl Fn() -> F + Send + 'static,
    ) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<Vec<&'static str>>> + Send,
    {
        let mut hangup = signal(SignalKind::hangup())?;
        let restart = self.clone();
        let on_terminal = std::io::stdin().is_terminal();
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                if on_terminal {
                    tracing::info!("the terminal is gone; stopping");
                    end_within(STOP);
                    restart.stop();
                    shutdown.cancel();
                    return;
                }
                match check().await {
                    Ok(changed) if restart.restart() => {
                        let changed = if changed.is_empty() { "no option".to_owned() } else { changed.join(", ") };
                        tracing::info!("restarting with the changed configuration file; changed: {changed}");
                        end_within(STOP);
                        shutdown.cancel();
                        return;
                    }
                    Ok(_) => return,
                    Err(error) => tracing::error!(
                        "the configuration was not reloaded, and the previous one stays in effect: {error:#}"
                    ),
                }
            }
        });
        Ok(())
    }
}

/// Ends this process after that time, unless it has ended or executed another program by then.
pub(crate) fn end_within(time: Duration) {
    after(time, move || {
        tracing::error!("not everything has stopped within {} s; ending anyway", time.as_secs());
        std::process::exit(1);
    });
}

/// A thread, since the runtime that runs tasks may hang.
fn after(time: Duration, then: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        std::thread::sleep(time);
        then();
    });
}

/// From now on SIGHUP does not end this process, which is not ready for it yet. Starts no thread.
pub(crate) fn hold_hangup() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    // The handler it installs in the process stays.
    signal(SignalKind::hangup()).map(drop)
}

/// Confines this process, unless it was already confined before its restart: confinements nest, up to the 16 that the
/// kernel allows.
pub(crate) fn confine(confinement: &Confinement) -> Confined {
    of_this_process(CONFINED).as_deref().and_then(Confined::parse).unwrap_or_else(|| confinement.enter())
}

/// Data that this process left for itself before its restart; `None` if it was not restarted.
fn of_this_process(variable: &str) -> Option<String> {
    let before = std::env::var(variable).ok()?;
    before.strip_prefix(&format!("{} ", std::process::id())).map(str::to_owned)
}

/// Where this service listened before its restart.
pub(crate) fn address_before() -> Option<SocketAddr> {
    of_this_process(ADDRESS)?.parse().ok()
}

/// The same as [`hold_hangup`], at the very beginning of a restarted program: the sender of SIGHUP cannot know that it
/// is not ready yet.
pub(crate) fn hold_hangup_if_restarted() {
    // Its purpose comes later; errors are reported there.
    if of_this_process(CONFINED).is_some() && hold_hangup().is_ok() {
        // A signal that arrived meanwhile is delivered now. The program has not read its configuration yet, so there is
        // nothing to do.
        let _ = hangup().thread_unblock();
    }
}

fn hangup() -> SigSet {
    SigSet::from(Signal::SIGHUP)
}

/// Replaces this program by a new instance of itself, with the same arguments. Returns only if that fails.
pub(crate) fn exec(confined: &Confined, restart: &Restart) -> anyhow::Error {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| OsString::from("bg-wasm-host"));
    let program = ChildCommand::this_program([""; 0]).program;
    let pid = std::process::id();
    let mut command = Command::new(&program);
    command
        .arg0(name)
        .args(arguments)
        .env(CONFINED, format!("{pid} {}", confined.name()))
        .env_remove(LOGINS)
        .env_remove(ADDRESS);
    if let Some(address) = *restart.address.lock().unwrap_or_else(PoisonError::into_inner) {
        command.env(ADDRESS, format!("{pid} {address}"));
    }
    if let Some((token, sessions)) = restart.logins() {
        command.env(LOGINS, format!("{pid} {}", sessions.save(&token)));
    }
    // A new program has no handlers, and SIGHUP would end it. A blocked signal waits for the handler, and blocking is
    // inherited.
    let is_blocked = hangup().thread_block().is_ok();
    let error = command.exec();
    if is_blocked {
        let _ = hangup().thread_unblock();
    }
    anyhow::Error::new(error).context(format!("cannot execute {} again; restart the service", program.display()))
}

/// Opens the folders of these files as well, so that a restarted program finds replaced files there. Skips a folder
/// with other contents: there, only a file that is changed in place is found.
pub(crate) fn open_folders<'a>(confinement: Confinement, files: impl IntoIterator<Item = &'a Path>) -> Confinement {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    files.into_iter().fold(confinement, |confinement, file| {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Ok(found) = folder.canonicalize() else { return confinement };
        if is_for_more(&found, home.as_deref()) {
            let (file, found) = (file.display(), found.display());
            tracing::info!(
                "for SIGHUP, put {file} into a separate folder: {found} has other contents, so it is \
                closed to this process"
            );
            return confinement;
        }
        confinement.read(&found)
    })
}

/// Whether a folder is one of the system's own, or contains the home directory.
fn is_for_more(folder: &Path, home: Option<&Path>) -> bool {
    const SYSTEM: [&str; 8] = ["/", "/etc", "/home", "/opt", "/root", "/tmp", "/usr", "/var"];
    let home = home.and_then(|home| home.canonicalize().ok());
    SYSTEM.iter().any(|system| folder == Path::new(system)) || home.is_some_and(|home| home.starts_with(folder))
}

/// Explains the error of a file that a confined process cannot open.
pub(crate) fn explain(error: anyhow::Error) -> anyhow::Error {
    let kind = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref().map(std::io::Error::kind);
    if error.chain().any(|cause| kind(cause) == Some(ErrorKind::PermissionDenied)) {
        return error.context("files in a folder that was closed to this process at its start need a restart");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_overrides_a_restart() {
        let restart = Restart::default();
        assert!(!restart.is_wanted());
        assert!(restart.restart() && restart.is_wanted());
        restart.stop();
        assert!(!restart.is_wanted() && !restart.restart());
    }

    #[test]
    fn a_stop_is_enforced_even_if_no_tasks_run_any_more() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let hangs = async move {
            after(Duration::from_millis(10), move || sender.send(()).unwrap());
            // Like a guest or a disk might: blocks the only thread that runs tasks.
            receiver.recv().unwrap();
        };
        runtime.block_on(hangs);
        assert!(STOP < Duration::from_secs(30));
    }

    #[test]
    fn a_folder_with_other_contents_than_configuration_stays_closed() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        std::fs::create_dir(&home).unwrap();
        for (folder, is_for_it) in
            [("/", false), ("/etc", false), ("/etc/bg-wasm-host", true), ("/usr/share/bg-wasm-host", true)]
        {
            assert_eq!(is_for_more(Path::new(folder), Some(&home)), !is_for_it, "{folder}");
        }
        assert!(is_for_more(&home, Some(&home)) && is_for_more(dir.path(), Some(&home)));
        assert!(!is_for_more(&home.join("bg"), Some(&home)) && !is_for_more(&home, None));
    }
}
