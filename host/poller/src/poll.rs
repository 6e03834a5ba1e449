//! One poll of one charm.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::json;
use tokio::time::{Instant, timeout};
use tracing::{Instrument as _, Span, warn};

use crate::guard::panic_text;
use crate::message::one_line;
use crate::{
    Blame, Cause, Charm, CharmRef, CharmRuntime, Clock, Consequence, Fitness, Integration, Outcome, OutcomeKind,
    RuntimeError, Servers, TokenLife, UPDATER_STREAMS, UnixMillis,
};

/// How a turn ended.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) started_at: UnixMillis,
    pub(crate) start: Instant,
    pub(crate) duration: Duration,
    /// How long after its due time it started.
    pub(crate) late: Duration,
    /// The number of its integration's component: how often that was replaced.
    pub(crate) component: u32,
    /// The stream that was triggered.
    pub(crate) stream: Option<&'static str>,
    pub(crate) outcome: Outcome,
    /// Whether the runtime has recorded this run.
    pub(crate) noted: bool,
    /// What `is-valid-charm` said about the charm.
    pub(crate) validity: Validity,
}

/// What `is-valid-charm` did in a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Validity {
    /// It was not called: the turn ended before, or there is no component.
    #[default]
    NotAsked,
    /// It answered, yes or no.
    Answered,
    /// It failed with this outcome.
    Failed(OutcomeKind),
}

/// How far a turn has come.
#[derive(Default)]
struct Progress {
    stream: Option<&'static str>,
    validity: Validity,
}

impl Progress {
    /// The cause of a turn that ends without any answer: the component, if it was being called. Otherwise this service:
    /// the runtime enforces the limits of handlers, so no handler can be the cause.
    fn without_answer(&self, component: Cause, service: Cause) -> Cause {
        if matches!(self.validity, Validity::Failed(_)) { component } else { service }
    }
}

/// What a turn needs.
pub(crate) struct Task {
    pub(crate) runtime: Arc<dyn CharmRuntime>,
    pub(crate) integration: Option<Arc<dyn Integration>>,
    pub(crate) charm: CharmRef,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timeout: Duration,
    pub(crate) late: Duration,
    pub(crate) component: u32,
    /// Its span in a trace.
    pub(crate) span: Span,
}

impl Turn {
    /// Whether the runtime itself did not answer.
    pub(crate) fn runtime_failed(&self) -> bool {
        self.outcome.consequence() == Consequence::AsksTheRuntime
    }

    /// Whether its outcome shows that the runtime answers.
    pub(crate) fn runtime_answered(&self) -> bool {
        !matches!(self.outcome.blame(), Some(Blame::Runtime | Blame::Service))
    }
}

/// The outcome of a turn that ends because the runtime returned an error while `doing` something.
fn refused(error: &RuntimeError, doing: &str) -> Outcome {
    let (kind, cause) = error.verdict();
    // The message of an authorization error starts with `AuthorizationError`, which people search for.
    let is_authorization = matches!(error, RuntimeError::Authorization { .. });
    let message = if is_authorization { error.to_string() } else { format!("{doing}: {error}") };
    Outcome::failure(kind, message).caused_by(cause)
}

impl Task {
    /// Polls the charm. Never panics.
    pub(crate) async fn run(self) -> Turn {
        let started_at = self.clock.now();
        let start = Instant::now();
        let mut progress = Progress::default();
        let polling = AssertUnwindSafe(self.poll(&mut progress)).catch_unwind().instrument(self.span.clone());
        let turn = timeout(self.timeout, polling).await;
        let (outcome, noted) = match turn {
            Ok(Ok(Ok(outcome))) => (outcome, true),
            Ok(Ok(Err(outcome))) => (outcome, false),
            Ok(Err(panic)) => {
                let text = format!("the poll panicked, which is a fault of this program: {}", panic_text(&*panic));
                let cause = progress.without_answer(Cause::ComponentTrapped, Cause::ProgramFault);
                (Outcome::failure(OutcomeKind::Trapped, text).caused_by(cause), false)
            }
            Err(_) => {
                let text = format!("the poll did not end within {:?}", self.timeout);
                let cause = progress.without_answer(Cause::ComponentTime, Cause::PollTime);
                (Outcome::failure(OutcomeKind::Timeout, text).caused_by(cause), false)
            }
        };
        let Progress { stream, validity } = progress;
        self.span.record("outcome", outcome.kind.as_str());
        let (late, component, duration) = (self.late, self.component, start.elapsed());
        Turn { started_at, start, duration, late, component, stream, outcome, noted, validity }
    }

    async fn poll(&self, progress: &mut Progress) -> Result<Outcome, Outcome> {
        let charm =
            self.runtime.open(&self.charm).await.map_err(|error| refused(&error, "the charm cannot be opened"))?;
        self.refresh(&*charm).await?;
        self.validate(&charm, &mut progress.validity).await?;
        let stream = find_stream(&*charm).await?;
        progress.stream = Some(stream);
        let sent = self.runtime.trigger(&self.charm, stream, &json!({})).await;
        sent.map_err(|error| refused(&error, &format!("{stream} cannot be triggered")))
    }

    /// Renews the charm's OAuth token if that has ended or ends soon.
    async fn refresh(&self, charm: &dyn Charm) -> Result<(), Outcome> {
        let life = TokenLife::of(charm, self.clock.now()).await;
        let life = life.map_err(|error| refused(&error, "auth.expiresAt cannot be read"))?;
        if matches!(life, TokenLife::Unknown | TokenLife::Fresh(_)) {
            return Ok(());
        }
        let Err(error) = self.runtime.refresh_auth(&self.charm).await else { return Ok(()) };
        if life == TokenLife::EndsSoon {
            warn!(
                target: "poller", cause = error.cause().as_str(), fix = error.cause().fix_of(&self.charm),
                "The OAuth token of {} ends within a minute and cannot be renewed: {}",
                self.charm,
                one_line(&error.to_string())
            );
            return Ok(());
        }
        Err(refused(&error, "its OAuth token has expired and cannot be renewed"))
    }

    async fn validate(&self, charm: &Arc<dyn Charm>, validity: &mut Validity) -> Result<(), Outcome> {
        let Some(integration) = &self.integration else { return Ok(()) };
        // This remains if there is no answer at all: the call panics, or takes longer than a turn may.
        *validity = Validity::Failed(OutcomeKind::Timeout);
        let answer = integration.is_valid_charm(charm.clone()).await;
        *validity = answer.as_ref().map_or_else(|error| Validity::Failed(error.kind), |_| Validity::Answered);
        match answer {
            Ok(Fitness::Fit) => Ok(()),
            Ok(Fitness::Unfit(reason)) => {
                let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
                let text = format!("the integration {} finds the charm unfit for it{reason}", integration.id());
                Err(Outcome::failure(OutcomeKind::Invalid, text).caused_by(Cause::Unfit))
            }
            Err(error) => {
                let text = format!("is-valid-charm of the integration {}: {}", integration.id(), error.message);
                Err(Outcome::failure(error.kind, text)
                    .caused_by(error.cause)
                    .with_servers(Servers { failed: error.server, ..Servers::default() }))
            }
        }
    }
}

async fn find_stream(charm: &dyn Charm) -> Result<&'static str, Outcome> {
    for name in UPDATER_STREAMS {
        let found = charm.has_stream(name).await;
        if found.map_err(|error| refused(&error, "the charm's streams cannot be read"))? {
            return Ok(name);
        }
    }
    let names = UPDATER_STREAMS.join(", ");
    let text = format!("the charm has no stream with one of the names {names}");
    Err(Outcome::failure(OutcomeKind::NoStream, text).caused_by(Cause::NoStream))
}
