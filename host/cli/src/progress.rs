//! What a person sees while a component is checked, or compiled if it is not in the cache.

use std::future::Future;
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use indicatif::ProgressBar;

use crate::output;

/// What takes less was in the cache, or is hardly noticed.
const NOTICED: Duration = Duration::from_millis(300);
/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);

/// Waits for `work`, what is being done with that component. Should it take a while, a terminal shows a spinner, and a log a
/// line.
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
