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
use std::io::IsTerminal as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bg_sandbox::CompilerCommand;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::confine::{Confined, Confinement};

/// Tells the program, when it is started anew, that it is confined already, and how: `<process ID> <fully|partly|not>`. One of another process
/// means nothing.
const CONFINED: &str = "BG_WASM_HOST_CONFINED";

const RUNNING: u8 = 0;
const RESTARTING: u8 = 1;
const STOPPING: u8 = 2;

/// Why a service ends: to stop, or to start anew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restart(Arc<AtomicU8>);

impl Restart {
    /// The service is to stop, whatever was wanted before.
    pub(crate) fn stop(&self) {
        self.0.store(STOPPING, Ordering::SeqCst);
    }

    /// The service is to start anew; false if it is stopping.
    fn restart(&self) -> bool {
        self.0.compare_exchange(RUNNING, RESTARTING, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whether it ended to start anew.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::SeqCst) == RESTARTING
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
                    restart.stop();
                    shutdown.cancel();
                    return;
                }
                match check().await {
                    Ok(changed) if restart.restart() => {
                        let changed = if changed.is_empty() { "no option".to_owned() } else { changed.join(", ") };
                        tracing::info!("starting anew with the configuration file as it is now; changed: {changed}");
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
    let before = std::env::var(CONFINED).unwrap_or_default();
    before
        .strip_prefix(&format!("{} ", std::process::id()))
        .and_then(Confined::parse)
        .unwrap_or_else(|| confinement.enter())
}

/// Starts this program anew in the place of itself, with the same arguments. Returns only if that fails.
pub(crate) fn exec(confined: &Confined) -> anyhow::Error {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| OsString::from("bg-wasm-host"));
    let program = CompilerCommand::this_program([""; 0]).program;
    let error = Command::new(&program)
        .arg0(name)
        .args(arguments)
        .env(CONFINED, format!("{} {}", std::process::id(), confined.name()))
        .exec();
    anyhow::Error::new(error).context(format!("cannot start {} anew; restart the service", program.display()))
}

/// The folder of a file: what must be open to find another file there in its place.
pub(crate) fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
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
}
