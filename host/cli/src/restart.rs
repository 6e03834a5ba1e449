//! SIGHUP: a service takes its configuration file as it is now, and goes on.
//!
//! The file is checked first, by all that a start does with it: what is wrong is logged, and nothing changes. If it is in order, the service
//! stops as it always does (polls end, what came of them is kept), and then starts its own program anew in its own place: the process keeps its
//! number, which who supervises it goes by, and every option counts as at any start. Options that change one by one beneath polls that are under
//! way would be a second way for each of them to come into force; this way there is one.
//!
//! What confines the process to its own files (see [`confine`](crate::confine)) stays, and holds for what it starts: so the folders of the
//! configuration file and of the components must be open to it from the start.

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

/// Tells the program, when it is started anew, that it is confined already, and how: `<process ID> <fully|partly|not>`. One of another process
/// means nothing.
const CONFINED: &str = "BG_WASM_HOST_CONFINED";

/// Tells it who is logged in on its pages: digests of the token and of sessions, which let nobody in.
const LOGINS: &str = "BG_WASM_HOST_LOGINS";

/// Tells it where it listened, so that it goes on there if the port is any.
const ADDRESS: &str = "BG_WASM_HOST_ADDRESS";
/// No stop takes longer, whatever hangs: those who supervise a service wait for 30 s, and end it less well.
pub(crate) const STOP: Duration = Duration::from_secs(28);

const RUNNING: u8 = 0;
const RESTARTING: u8 = 1;
const STOPPING: u8 = 2;

/// Why a service ends: to stop, or to start anew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restart {
    state: Arc<AtomicU8>,
    /// Who is logged in, for the program that goes on.
    logins: Arc<Mutex<Option<(LoginToken, LoginSessions)>>>,
    /// Where it listens, for the same.
    address: Arc<Mutex<Option<SocketAddr>>>,
}

impl Restart {
    /// With what the program before this one has handed over, if this one was started again.
    pub(crate) fn inherit() -> Self {
        let logins = of_this_process(LOGINS).as_deref().and_then(LoginSessions::load);
        Self { logins: Arc::new(Mutex::new(logins)), ..Self::default() }
    }

    /// Who was logged in before.
    pub(crate) fn logins(&self) -> Option<(LoginToken, LoginSessions)> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who is logged in from now on.
    pub(crate) fn hand_over(&self, token: LoginToken, sessions: LoginSessions) {
        *self.logins.lock().unwrap_or_else(PoisonError::into_inner) = Some((token, sessions));
    }

    /// Where the service listens from now on.
    pub(crate) fn set_address(&self, address: SocketAddr) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// The service is to stop, whatever was wanted before.
    pub(crate) fn stop(&self) {
        self.state.store(STOPPING, Ordering::SeqCst);
    }

    /// The service is to start anew; false if it is stopping.
    fn restart(&self) -> bool {
        self.state.compare_exchange(RUNNING, RESTARTING, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whether it ended to start anew.
    pub(crate) fn is_wanted(&self) -> bool {
        self.state.load(Ordering::SeqCst) == RESTARTING
    }

    /// Waits for SIGHUP in the background, and cancels `shutdown` once `check` finds the configuration in order: that answers the names of what
    /// has changed. On a terminal, SIGHUP means that it is gone, and the service stops.
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
                        tracing::info!("starting anew with the configuration file as it is now; changed: {changed}");
                        end_within(STOP);
                        shutdown.cancel();
                        return;
                    }
                    Ok(_) => return,
                    Err(error) => tracing::error!(
                        "the configuration is not taken anew, and that which the service has stays in force: {error:#}"
                    ),
                }
            }
        });
        Ok(())
    }
}

/// Ends this process after that time, unless it has ended by then, or goes on as another program.
pub(crate) fn end_within(time: Duration) {
    after(time, move || {
        tracing::error!("not everything has stopped within {} s; ending all the same", time.as_secs());
        std::process::exit(1);
    });
}

/// Not a task: what hangs may be what runs tasks.
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
    // What it installs in the process stays.
    signal(SignalKind::hangup()).map(drop)
}

/// Confines this process, unless it is confined since before it was started anew: each time would add to what it goes through, up to
/// the 16 that the kernel allows.
pub(crate) fn confine(confinement: &Confinement) -> Confined {
    of_this_process(CONFINED).as_deref().and_then(Confined::parse).unwrap_or_else(|| confinement.enter())
}

/// What this process has left for itself before it was started anew; none if it was not started so.
fn of_this_process(variable: &str) -> Option<String> {
    let before = std::env::var(variable).ok()?;
    before.strip_prefix(&format!("{} ", std::process::id())).map(str::to_owned)
}

/// Where this service listened before it was started anew.
pub(crate) fn address_before() -> Option<SocketAddr> {
    of_this_process(ADDRESS)?.parse().ok()
}

/// The same as [`hold_hangup`], at the very beginning of a program that was started anew: whoever sends SIGHUP cannot know that it is not ready yet.
pub(crate) fn hold_hangup_if_anew() {
    // What it is for comes later, and tells its errors.
    if of_this_process(CONFINED).is_some() && hold_hangup().is_ok() {
        // What came meanwhile comes now. The program has not read its configuration yet, so there is nothing to do for it.
        let _ = hangup().thread_unblock();
    }
}

fn hangup() -> SigSet {
    SigSet::from(Signal::SIGHUP)
}

/// Starts this program anew in the place of itself, with the same arguments. Returns only if that fails.
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
    // A new program has no handlers, and SIGHUP would end it. One that is blocked waits for the handler: which signals are blocked is inherited.
    let is_blocked = hangup().thread_block().is_ok();
    let error = command.exec();
    if is_blocked {
        let _ = hangup().thread_unblock();
    }
    anyhow::Error::new(error).context(format!("cannot start {} anew; restart the service", program.display()))
}

/// Opens the folders of these files as well, so that a start anew finds what is in their places then. Not one that has more in it than such files:
/// then only a file that is changed in its place is found.
pub(crate) fn open_folders<'a>(confinement: Confinement, files: impl IntoIterator<Item = &'a Path>) -> Confinement {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    files.into_iter().fold(confinement, |confinement, file| {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Ok(found) = folder.canonicalize() else { return confinement };
        if is_for_more(&found, home.as_deref()) {
            let (file, found) = (file.display(), found.display());
            tracing::info!("for SIGHUP, put {file} into a folder of its own: {found}, which has more in it, is closed to this process");
            return confinement;
        }
        confinement.read(&found)
    })
}

/// Whether a folder is one of the system's own, or the home directory is in it.
fn is_for_more(folder: &Path, home: Option<&Path>) -> bool {
    const SYSTEM: [&str; 8] = ["/", "/etc", "/home", "/opt", "/root", "/tmp", "/usr", "/var"];
    let home = home.and_then(|home| home.canonicalize().ok());
    SYSTEM.iter().any(|system| folder == Path::new(system)) || home.is_some_and(|home| home.starts_with(folder))
}

/// Tells what an error of a file that cannot be opened means for a process that is confined.
pub(crate) fn explain(error: anyhow::Error) -> anyhow::Error {
    let kind = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref().map(std::io::Error::kind);
    if error.chain().any(|cause| kind(cause) == Some(ErrorKind::PermissionDenied)) {
        return error.context("what is in a folder that was closed to this process at its start needs a restart");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_told_to_stop_does_not_start_anew() {
        let restart = Restart::default();
        assert!(!restart.is_wanted());
        assert!(restart.restart() && restart.is_wanted());
        restart.stop();
        assert!(!restart.is_wanted() && !restart.restart());
    }

    #[test]
    fn a_stop_is_ended_also_where_nothing_runs_tasks_any_more() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let hangs = async move {
            after(Duration::from_millis(10), move || sender.send(()).unwrap());
            // As a guest or a disk would: the one thread that runs tasks is held.
            receiver.recv().unwrap();
        };
        runtime.block_on(hangs);
        assert!(STOP < Duration::from_secs(30));
    }

    #[test]
    fn a_folder_with_more_in_it_than_configuration_stays_closed() {
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
