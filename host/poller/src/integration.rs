//! Integrations, as the poll loop sees them.

use std::sync::Arc;

use async_trait::async_trait;
use bg_identity::IntegrationId;

use crate::{Blame, Cause, Charm, CharmRef, FailedServer, OutcomeKind, Servers, StateError};

/// Why a call of an integration failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct IntegrationError {
    /// What kind of end. Where the integration itself answered an error: [`OutcomeKind::Unavailable`] for a temporary
    /// one, which counts against no charm, and [`OutcomeKind::HandlerFailed`] for a permanent one.
    pub kind: OutcomeKind,
    /// What exactly was the cause.
    pub cause: Cause,
    /// The server because of which it failed.
    pub server: Option<FailedServer>,
    /// What happened, for people.
    pub message: String,
}

impl IntegrationError {
    /// With the usual cause of its kind.
    pub fn new(kind: OutcomeKind, message: impl Into<String>) -> Self {
        Self { kind, cause: Cause::of_component(kind), server: None, message: message.into() }
    }

    /// Of a call that panicked, or that took longer than a component may.
    pub(crate) fn unanswered(problem: String) -> Self {
        Self::new(OutcomeKind::Trapped, problem)
    }

    /// Who is to blame: the component, unless it lacks something or says that it is temporary.
    pub fn blame(&self) -> Blame {
        self.cause.blame()
    }
}

/// Whether a charm is fit to be polled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// It is.
    Fit,
    /// It is not; why, if the integration says.
    Unfit(Option<String>),
}

/// Decides which charms to poll.
#[async_trait]
pub trait Integration: Send + Sync {
    /// Its ID, which registrations name.
    fn id(&self) -> &IntegrationId;

    /// Prepares what it needs.
    async fn initialize(&self) -> Result<(), IntegrationError>;

    /// The charms worth a poll now, as the integration answered: well-formed, at most 100,000, but not yet checked
    /// against its registrations.
    ///
    /// What it writes to its state meanwhile is not kept yet: see [`keep_state`](Self::keep_state).
    async fn fetch_charms(&self) -> Result<Vec<CharmRef>, IntegrationError>;

    /// Whether the last `fetch_charms` that answered has written something to its state.
    fn has_unkept_state(&self) -> bool {
        false
    }

    /// Keeps what the last `fetch_charms` that answered has written to its state. Called when the loop has written down
    /// that all charms that it named are owed a poll: otherwise an integration could remember for ever that it has told
    /// of a change that no charm was polled for. What is not kept when `fetch_charms` is called again is dropped.
    async fn keep_state(&self) -> Result<(), StateError> {
        Ok(())
    }

    /// The servers that answered the calls that succeeded since this was last asked.
    fn take_servers(&self) -> Servers {
        Servers::default()
    }

    /// Whether a charm is fit to be polled.
    async fn is_valid_charm(&self, charm: Arc<dyn Charm>) -> Result<Fitness, IntegrationError>;
}
