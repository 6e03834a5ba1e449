//! Keeps the loop's registrations up to date, and watches whether the runtime is there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::guard::guarded;
use crate::report::one_line;
use crate::{Cause, CharmRef, CharmRuntime, Limit, Registration, RegistrationChanges, RuntimeError};

/// Reading the list of 100,000 registrations over a network takes seconds; what takes longer than this is not coming.
const LIST_LIMIT: Duration = Duration::from_mins(1);
/// A runtime answers after 20 s at the latest, changed or not.
const CHANGED_LIMIT: Duration = Duration::from_mins(2);
/// A runtime has a number for its registrations at once, as a rule.
const NUMBER_LIMIT: Duration = Duration::from_secs(2);
/// How soon to ask again where access is refused: somebody may be granting it right now.
const REFUSED_RETRY: Duration = Duration::from_secs(2);
/// How often a refusal is logged while it lasts.
const REFUSED_REMINDER: Duration = Duration::from_mins(5);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// At least this long between two readings, or five times what the last one took (up to [`LONGEST_GAP`]): a thousand
/// registrations in a row are then a few readings.
const SHORTEST_GAP: Duration = Duration::from_millis(100);
const LONGEST_GAP: Duration = Duration::from_secs(1);
/// For how long the loop goes by what is said to have changed; then all registrations are read again, so that nothing
/// is missed for ever.
const ALL_AGAIN: Duration = Duration::from_hours(1);

/// What the loop receives.
#[derive(Debug)]
pub(crate) enum News {
    /// All registrations, as they are now. The runtime is there.
    Registrations(Vec<Registration>),
    /// Those that have changed, as they are now, and the charms that have none any more. The runtime is there.
    Changed(Vec<Registration>, Vec<CharmRef>),
    /// The runtime is not there.
    Unavailable(Cause, String),
    /// The runtime is there, but lets nobody read its registrations at the moment.
    Refused,
}

/// Logs a refusal when it starts and every few minutes.
#[derive(Default)]
struct Refusal {
    logged_at: Option<Instant>,
}

impl Refusal {
    fn log(&mut self, error: &RuntimeError) {
        if self.logged_at.is_none_or(|at| at.elapsed() >= REFUSED_REMINDER) {
            self.logged_at = Some(Instant::now());
            error!(target: "poller", "{}", one_line(&error.to_string()));
        }
    }

    fn over(&mut self) {
        if self.logged_at.take().is_some() {
            info!(target: "poller", "The list of registrations can be read now");
        }
    }
}

async fn list(runtime: &dyn CharmRuntime) -> Result<Vec<Registration>, RuntimeError> {
    answered(guarded(runtime.registrations(), LIST_LIMIT).await)
}

fn answered<T>(answer: Result<Result<T, RuntimeError>, String>) -> Result<T, RuntimeError> {
    answer.unwrap_or_else(|problem| Err(RuntimeError::unavailable(format!("reading the registrations: {problem}"))))
}

/// What has changed since that number; or else all registrations.
async fn read(runtime: &dyn CharmRuntime, since: Option<u64>) -> Result<RegistrationChanges, RuntimeError> {
    let Some(seen) = since else {
        let registrations = list(runtime).await?;
        return Ok(RegistrationChanges { revision: None, registrations, removed: None });
    };
    answered(guarded(runtime.changes(seen), LIST_LIMIT).await)
}

/// The number first: what changes in between is then read once more, and not missed. Where it does not come, the list
/// is read again.
async fn numbered(runtime: &dyn CharmRuntime) -> Result<(u64, Vec<Registration>), RuntimeError> {
    let number = guarded(runtime.changed(0), NUMBER_LIMIT).await;
    Ok((number.ok().and_then(Result::ok).unwrap_or(0), list(runtime).await?))
}

/// The registrations at the start, and the number of the change that they are of; none if it was shut down first. A
/// refusal is waited out, unless the loop is to end by itself. A runtime that is not there at first is an error; one
/// that goes away while access is waited for is not.
pub(crate) async fn first(
    runtime: &dyn CharmRuntime,
    limit: Limit,
    shutdown: &CancellationToken,
) -> Result<Option<(u64, Vec<Registration>)>, RuntimeError> {
    let mut refusal = Refusal::default();
    loop {
        let answer = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(None),
            answer = numbered(runtime) => answer,
        };
        match answer {
            Ok(numbered) => {
                refusal.over();
                return Ok(Some(numbered));
            }
            Err(error @ RuntimeError::Authorization { .. }) if limit == Limit::None => refusal.log(&error),
            Err(error @ RuntimeError::Unavailable { .. }) if refusal.logged_at.is_some() => refusal.log(&error),
            Err(error) => return Err(error),
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(None),
            () = sleep(REFUSED_RETRY) => {}
        }
    }
}

/// Tells the loop whenever registrations have changed, and (at once, when `probe` is notified) whether the runtime is
/// there. Ends when nobody listens any more.
///
/// `seen`: the number of the change that the loop knows of.
pub(crate) async fn watch(runtime: Arc<dyn CharmRuntime>, probe: Arc<Notify>, news: mpsc::Sender<News>, mut seen: u64) {
    let mut not_before = Instant::now();
    let mut retry = FIRST_RETRY;
    let mut refusal = Refusal::default();
    let mut all_read = Instant::now();
    loop {
        let changed = async {
            sleep_until(not_before).await;
            guarded(runtime.changed(seen), CHANGED_LIMIT).await
        };
        let answer = tokio::select! {
            biased;
            () = probe.notified() => None,
            answer = changed => Some(answer),
        };
        // What it has said before counts as long as it answers.
        let mut since = Some(seen).filter(|_| all_read.elapsed() < ALL_AGAIN);
        match answer {
            Some(Ok(Ok(number))) if number == seen => {
                retry = FIRST_RETRY;
                not_before = Instant::now() + SHORTEST_GAP;
                continue;
            }
            Some(Ok(Ok(number))) => {
                retry = FIRST_RETRY;
                seen = number;
            }
            // Whether the runtime is there is for the list below to tell.
            Some(Ok(Err(_)) | Err(_)) | None => since = None,
        }
        let watching_fails = matches!(answer, Some(Ok(Err(_)) | Err(_)));
        let reading = Instant::now();
        let mut was_away = false;
        let RegistrationChanges { revision, registrations, removed } = loop {
            match read(&*runtime, since).await {
                Ok(answer) => break answer,
                Err(RuntimeError::Unavailable { cause, message, .. }) => {
                    (was_away, since) = (true, None);
                    if news.send(News::Unavailable(cause, message)).await.is_err() {
                        return;
                    }
                    sleep(retry).await;
                    retry = (retry * 2).min(LAST_RETRY);
                }
                Err(error) => {
                    refusal.log(&error);
                    if news.send(News::Refused).await.is_err() {
                        return;
                    }
                    sleep(REFUSED_RETRY).await;
                }
            }
        };
        refusal.over();
        if was_away {
            retry = FIRST_RETRY;
        }
        // This answers a probe that was requested meanwhile.
        let _ = probe.notified().now_or_never();
        let gap = (reading.elapsed() * 5).clamp(SHORTEST_GAP, LONGEST_GAP);
        seen = revision.unwrap_or(seen);
        let read = if let Some(removed) = removed {
            News::Changed(registrations, removed)
        } else {
            all_read = reading;
            News::Registrations(registrations)
        };
        if news.send(read).await.is_err() {
            return;
        }
        not_before = Instant::now() + gap;
        if watching_fails {
            // The list can be read, but changes can't be waited for: read it now and then.
            not_before += retry;
            if retry < LAST_RETRY && retry * 2 >= LAST_RETRY {
                warn!(target: "poller", "Changes of registrations cannot be watched; they are read every {LAST_RETRY:?}");
            }
            retry = (retry * 2).min(LAST_RETRY);
        }
    }
}
