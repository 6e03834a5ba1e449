//! Shows progress while a component is checked, or compiled if it is not cached.

use std::future::Future;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bg_sandbox::{LoadError, LoadedComponent, Origin, Sandbox, World};
use indicatif::ProgressBar;

use crate::output;

/// Anything faster was cached, or is hardly noticed.
const NOTICED: Duration = Duration::from_millis(300);
/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);
/// How many bytes of a component one processor compiles per second: half a megabyte, for JavaScript and Python.
const COMPILED_PER_SECOND: usize = 500_000;

/// Waits for `work` on that component. If it takes a while, a terminal shows a spinner, and a log a line.
pub(crate) async fn show<T>(doing: &str, path: &Path, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    if let Ok(done) = tokio::time::timeout(NOTICED, &mut work).await {
        return done;
    }
    if !std::io::stderr().is_terminal() {
        tracing::info!("{doing} {}", path.display());
        return work.await;
    }
    let spinner = ProgressBar::new_spinner().with_message(output::printable(&format!("{doing} {}", path.display())));
    spinner.enable_steady_tick(TURN);
    let done = work.await;
    spinner.finish_and_clear();
    done
}

/// Loads a component. If it has to be compiled, the log says so at the beginning, with the usual duration, and at the
/// end.
pub(crate) async fn load(
    sandbox: &Sandbox,
    path: &Path,
    bytes: impl Into<Arc<[u8]>>,
    world: World,
) -> Result<Arc<LoadedComponent>, LoadError> {
    let bytes = bytes.into();
    let (shown, seconds) = (path.display().to_string(), compile_seconds(bytes.len(), processors()));
    let begins = || tracing::info!("compiling {shown}, which takes about {seconds} s the first time");
    let loaded = show("loading", path, sandbox.load_reporting(bytes, world, begins)).await;
    if let Ok(component) = &loaded
        && let Origin::Compiled(time) = component.origin()
    {
        tracing::info!("compiled {shown} in {:.1} s", time.as_secs_f64());
    }
    loaded
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The approximate time to compile a component of this many bytes.
fn compile_seconds(bytes: usize, processors: usize) -> usize {
    bytes.div_ceil(COMPILED_PER_SECOND * processors.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_of_a_compilation_matches_measurements() {
        // JavaScript and Rust on two processors, see docs/integrations.md.
        assert_eq!(compile_seconds(13_000_000, 2), 13);
        assert_eq!(compile_seconds(100_000, 2), 1);
        assert_eq!(compile_seconds(22_000_000, 8), 6);
    }
}
