//! The charm runtime, as the poll loop and integrations see it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bg_identity::{IntegrationId, Secret, SpaceDid};
use serde_json::Value;

use crate::{Blame, Cause, CharmRef, Counters, DisabledBy, Outcome, OutcomeKind, Registration, Run, Scope};

/// Why the charm runtime did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// The caller has no access to the space. The text starts with the space's DID and ends with the fix.
    #[error("AuthorizationError: {message}")]
    Authorization {
        /// To which space.
        space: SpaceDid,
        /// Who lacks what there, and the command that fixes it.
        message: String,
    },
    /// There is no such charm.
    #[error("no charm {0}")]
    NotFound(CharmRef),
    /// The charm is there, but cannot be used so: no known updater stream, an unknown stream, a cell that is not there.
    #[error("{0}")]
    Unfit(String),
    /// The request is wrong in itself; asking again won't help.
    #[error("{0}")]
    Invalid(String),
    /// Something new would be more than its owner, its space or the server may keep. The text ends with what raises the
    /// limit.
    #[error("{0}")]
    Quota(String),
    /// Something is missing, damaged or wrong until somebody fixes it: the charm's credential, an option, a cell.
    #[error("{message}")]
    Unmet {
        /// What.
        cause: Cause,
        /// What happened; ends with the fix.
        message: String,
    },
    /// Something did not answer, or failed; it may do so later.
    #[error("{}{message}", if *scope == Scope::Runtime { "the charm runtime is unavailable: " } else { "" })]
    Unavailable {
        /// What did not answer.
        scope: Scope,
        /// What exactly was the cause.
        cause: Cause,
        /// What happened.
        message: String,
    },
}

impl RuntimeError {
    /// The runtime as a whole did not answer, or failed.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::unavailable_in(Scope::Runtime, message)
    }

    /// A part of it did not answer, or failed, or something that it needs for this.
    pub fn unavailable_in(scope: Scope, message: impl Into<String>) -> Self {
        Self::Unavailable { scope, cause: scope.usual_cause(), message: message.into() }
    }

    /// The same with its cause, which says what did not answer.
    pub fn unavailable_by(cause: Cause, message: impl Into<String>) -> Self {
        Self::Unavailable { scope: Scope::of(cause), cause, message: message.into() }
    }

    /// Something is missing, damaged or wrong.
    pub fn unmet(cause: Cause, message: impl Into<String>) -> Self {
        Self::Unmet { cause, message: message.into() }
    }

    /// Whether it may well succeed later, as it is: the fault is not in what was asked.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// What exactly was the cause.
    pub fn cause(&self) -> Cause {
        self.verdict().1
    }

    /// The outcome of a poll that ends with it, and its cause.
    pub(crate) fn verdict(&self) -> (OutcomeKind, Cause) {
        match self {
            Self::Authorization { .. } => (OutcomeKind::Denied, Cause::NoAccess),
            Self::Unmet { cause, .. } if cause.blame() == Blame::Charm => (OutcomeKind::Invalid, *cause),
            Self::Unmet { cause, .. } => (OutcomeKind::Denied, *cause),
            Self::NotFound(_) => (OutcomeKind::NotFound, Cause::Gone),
            Self::Unfit(_) | Self::Invalid(_) => (OutcomeKind::Invalid, Cause::Unfit),
            Self::Quota(_) => (OutcomeKind::LimitExceeded, Cause::OwnerFull),
            Self::Unavailable { cause, .. } => (OutcomeKind::Unavailable, *cause),
        }
    }
}

/// What has changed among the registrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationChanges {
    /// The number of the newest change among them, if the runtime says it.
    pub revision: Option<u64>,
    /// Those that have changed, as they are now.
    pub registrations: Vec<Registration>,
    /// The charms that have none any more. Without it, nobody knows what has changed: then `registrations` are all that
    /// there are.
    pub removed: Option<Vec<CharmRef>>,
}

/// What is at a path of a charm.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// A value. What is secret within it is left out.
    Value(Value),
    /// Something marked secret.
    Secret,
    /// Nothing.
    Absent,
}

/// A read-only view of one charm, without its secrets.
#[async_trait]
pub trait Charm: Send + Sync {
    /// Which charm.
    fn charm_ref(&self) -> &CharmRef;

    /// The names of its cells and streams, sorted.
    async fn keys(&self) -> Result<Vec<String>, RuntimeError>;

    /// Whether it has a stream of that name.
    async fn has_stream(&self, name: &str) -> Result<bool, RuntimeError>;

    /// What is at `path`: a key, then object keys or array indices.
    async fn get(&self, path: &[String]) -> Result<Lookup, RuntimeError>;
}

/// What stores charms and runs their handlers: the local one, or a remote one over HTTP.
#[async_trait]
pub trait CharmRuntime: Send + Sync {
    /// All registrations, disabled ones too.
    async fn registrations(&self) -> Result<Vec<Registration>, RuntimeError>;

    /// The charms of the enabled registrations of an integration, oldest first.
    async fn registered(&self, integration: &IntegrationId) -> Result<Vec<CharmRef>, RuntimeError> {
        Ok(self.enabled(integration).await?.into_iter().map(|one| one.charm).collect())
    }

    /// The enabled registrations of an integration, in the same order.
    async fn enabled(&self, integration: &IntegrationId) -> Result<Vec<Registration>, RuntimeError> {
        let all = self.registrations().await?.into_iter();
        Ok(all.filter(|one| one.is_enabled() && one.integration == *integration).collect())
    }

    /// A number that differs from `seen` once registrations have changed since `seen` was answered; waits for that, but
    /// may answer the same number after a while. Start with 0. Registering, enabling, disabling, removing and another
    /// interval are changes; polls (last run, status) are not.
    async fn changed(&self, seen: u64) -> Result<u64, RuntimeError>;

    /// What has changed since [`changed`](Self::changed) answered `seen`, or all registrations where that is not known:
    /// the runtime remembers the newest changes only, or none.
    async fn changes(&self, seen: u64) -> Result<RegistrationChanges, RuntimeError> {
        let _ = seen;
        Ok(RegistrationChanges { revision: None, registrations: self.registrations().await?, removed: None })
    }

    /// Whether the times that it notes are those of the clock here. Then the last run of a registration says when a
    /// charm that did not fail is due next, and the loop writes nothing more of it.
    fn shares_clock(&self) -> bool {
        false
    }

    /// Registers a charm, or re-enables and re-labels its registration. The charm must exist and have a stream with one
    /// of the [known names](crate::UPDATER_STREAMS).
    async fn register(&self, charm: &CharmRef, integration: &IntegrationId) -> Result<Registration, RuntimeError>;

    /// Enables (`None`) or disables a registration, by somebody and with a reason, which is shown as `Disabled: …`.
    async fn set_disabled(
        &self,
        charm: &CharmRef,
        disabled: Option<(DisabledBy, &str)>,
    ) -> Result<Registration, RuntimeError>;

    /// Sets the interval that a registration asks for; none is its integration's. Its failures are not forgotten for
    /// it.
    async fn set_interval(&self, charm: &CharmRef, interval: Option<Duration>) -> Result<Registration, RuntimeError>;

    /// Removes a registration; false if there was none.
    async fn remove(&self, charm: &CharmRef) -> Result<bool, RuntimeError>;

    /// Notes polls that ended before anything was triggered (invalid, no stream, …) on their registrations (last run,
    /// status) and in the run history. What [`trigger`](Self::trigger) ran is noted already. Runs of charms that are no
    /// longer registered are dropped.
    async fn record(&self, runs: &[Run]) -> Result<(), RuntimeError>;

    /// The newest `limit` runs of a charm, newest first.
    async fn runs(&self, charm: &CharmRef, limit: usize) -> Result<Vec<Run>, RuntimeError>;

    /// The outcomes of all runs of a registered charm.
    async fn counters(&self, charm: &CharmRef) -> Result<Counters, RuntimeError>;

    /// Creates the cell `<integration>-integration-charms` in the system space, unless it exists.
    async fn prepare_list(&self, integration: &IntegrationId) -> Result<(), RuntimeError>;

    /// A view of one charm.
    async fn open(&self, charm: &CharmRef) -> Result<Arc<dyn Charm>, RuntimeError>;

    /// Sends `event` to a stream and waits until the handler, and the promises it started, are done. What the handler
    /// does wrong is an outcome; what goes wrong around it an error. The handler's writes, the entry in the run history
    /// and the registration's last run and status are kept together, or none of them.
    async fn trigger(&self, charm: &CharmRef, stream: &str, event: &Value) -> Result<Outcome, RuntimeError>;

    /// Renews the charm's OAuth token in its `auth` cell.
    async fn refresh_auth(&self, charm: &CharmRef) -> Result<(), RuntimeError>;

    /// The secret text at `path` of a charm, for the egress gate alone.
    async fn secret(&self, charm: &CharmRef, path: &[String]) -> Result<Secret, RuntimeError>;
}
