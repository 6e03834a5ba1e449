//! The client of a charm runtime over HTTP.

mod accounts;
#[cfg(test)]
mod again;
mod call;
mod cooldown;
#[cfg(test)]
mod hostile;
mod probe;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bg_charm_api::wire::{self, path};
use bg_charm_api::{
    AccessLevel, Acl, CharmShow, CharmSummary, DamagedRegistration, DeployRequest, Deployed, LogEntry, LogQuery,
    RegistrationFilter, SetRequest, SpaceSummary, Spaces, Subject, TraceContext,
};
use bg_identity::{Identity, IntegrationId, Secret, SpaceDid};
use bg_poller::{
    Charm, CharmRef, CharmRuntime, Counters, DisabledBy, Lookup, Outcome, Registration, RegistrationChanges, Run,
    RuntimeError, TokenLife,
};
use bg_server_trust::ServerTrust;
use http::Method;
use serde_json::Value;
use url::Url;

use call::{Call, Caller};
pub use probe::{Probe, probe};

/// A charm runtime over HTTP. Every request is signed with the caller's key. Redirects are not followed and proxies not
/// used, so that a signature only reaches the runtime.
#[derive(Clone)]
pub struct RemoteRuntime {
    caller: Arc<Caller>,
    polls: bool,
}

impl RemoteRuntime {
    /// The runtime at `api_url` (its origin, and a path if the API is below one), with requests signed by `identity`.
    /// Over TLS, it is verified by [`ServerTrust::PublicRoots`].
    pub fn new(api_url: Url, identity: Identity) -> Self {
        Self { caller: Arc::new(Caller::new(api_url, identity)), polls: false }
    }

    /// Sets how the server is verified over TLS.
    #[must_use]
    pub fn with_trust(mut self, trust: &ServerTrust) -> Self {
        if let Some(caller) = Arc::get_mut(&mut self.caller) {
            caller.set_trust(trust);
        }
        self
    }

    /// Sends the trace context with each request.
    #[must_use]
    pub fn with_trace_context(mut self, trace_context: TraceContext) -> Self {
        if let Some(caller) = Arc::get_mut(&mut self.caller) {
            caller.trace_context = trace_context;
        }
        self
    }

    /// Marks the requests as parts of polls.
    #[must_use]
    pub fn polling(self) -> Self {
        Self { polls: true, ..self }
    }

    /// The URL of the runtime.
    pub fn url(&self) -> &Url {
        self.caller.url()
    }

    /// Reports the state of this process's poll loop to the server, for the operator's pages.
    pub async fn report(&self, report: &wire::PollerReport) -> Result<wire::PollerAnswer, RuntimeError> {
        self.post(path::POLLERS).json(report)?.answer().await
    }

    fn get(&self, path: impl AsRef<str>) -> Call<'_> {
        self.call(Method::GET, path)
    }

    fn post(&self, path: impl AsRef<str>) -> Call<'_> {
        self.call(Method::POST, path)
    }

    fn call(&self, method: Method, path: impl AsRef<str>) -> Call<'_> {
        Call::new(&self.caller, method, path.as_ref())
    }
}

/// A unique name for one event.
fn random_key() -> Result<String, RuntimeError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| RuntimeError::unavailable(format!("the system provides no random bytes: {error}")))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

impl fmt::Debug for RemoteRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteRuntime({})", self.url())
    }
}

#[async_trait]
impl CharmRuntime for RemoteRuntime {
    async fn registrations(&self) -> Result<Vec<Registration>, RuntimeError> {
        let wire::Registrations { registrations, .. } =
            self.get(path::REGISTRATIONS).limit(call::REGISTRATIONS_BYTES).answer().await?;
        Ok(registrations.into_iter().map(|listed| listed.registration).collect())
    }

    async fn changes(&self, seen: u64) -> Result<RegistrationChanges, RuntimeError> {
        let call = self.get(path::REGISTRATIONS).query("after", &seen.to_string()).limit(call::REGISTRATIONS_BYTES);
        // A server of an earlier version answers all of them.
        let wire::Registrations { revision, registrations, removed } = call.answer().await?;
        let registrations = registrations.into_iter().map(|listed| listed.registration).collect();
        Ok(RegistrationChanges { revision: Some(revision), registrations, removed })
    }

    async fn changed(&self, seen: u64) -> Result<u64, RuntimeError> {
        let call = self.get(path::CHANGES).query("after", &seen.to_string()).time(call::CHANGES_TIME);
        let wire::Revision { revision } = call.answer().await?;
        Ok(revision)
    }

    async fn register(&self, charm: &CharmRef, integration: &IntegrationId) -> Result<Registration, RuntimeError> {
        let body = wire::Register { charm: charm.clone(), integration: integration.clone() };
        self.post(path::REGISTRATIONS).json(&body)?.answer().await
    }

    async fn set_disabled(
        &self,
        charm: &CharmRef,
        disabled: Option<(DisabledBy, &str)>,
    ) -> Result<Registration, RuntimeError> {
        let (by, reason) = disabled.map(|(by, reason)| (by, reason.to_owned())).unzip();
        let body = wire::SetDisabled { disabled: disabled.is_some(), reason, by };
        self.call(Method::PATCH, path::registration(charm)).json(&body)?.answer().await
    }

    async fn set_interval(&self, charm: &CharmRef, interval: Option<Duration>) -> Result<Registration, RuntimeError> {
        let interval_ms = interval.map(|interval| u64::try_from(interval.as_millis()).unwrap_or(u64::MAX));
        self.call(Method::PUT, path::interval(charm)).json(&wire::SetInterval { interval_ms })?.answer().await
    }

    async fn remove(&self, charm: &CharmRef) -> Result<bool, RuntimeError> {
        let wire::Removed { removed } = self.call(Method::DELETE, path::registration(charm)).answer().await?;
        Ok(removed)
    }

    async fn record(&self, runs: &[Run]) -> Result<(), RuntimeError> {
        self.post(path::RUNS).json(&wire::Runs { runs: runs.to_vec() })?.done().await
    }

    async fn runs(&self, charm: &CharmRef, limit: usize) -> Result<Vec<Run>, RuntimeError> {
        let call = self.get(path::of_charm(charm, "runs")).query("limit", &limit.to_string()).limit(call::VALUE_BYTES);
        let wire::Runs { runs } = call.answer().await?;
        Ok(runs)
    }

    async fn counters(&self, charm: &CharmRef) -> Result<Counters, RuntimeError> {
        self.get(path::of_charm(charm, "counters")).answer().await
    }

    async fn prepare_list(&self, integration: &IntegrationId) -> Result<(), RuntimeError> {
        self.call(Method::PUT, path::list(integration)).done().await
    }

    async fn open(&self, charm: &CharmRef) -> Result<Arc<dyn Charm>, RuntimeError> {
        let mut shape: wire::Shape = self.get(path::charm(charm)).answer().await?;
        let expires_at = Mutex::new(shape.expires_at.take().map(Lookup::from));
        Ok(Arc::new(RemoteCharm { runtime: self.clone(), charm: charm.clone(), shape, expires_at }))
    }

    async fn trigger(&self, charm: &CharmRef, stream: &str, event: &Value) -> Result<Outcome, RuntimeError> {
        let (stream, event) = (stream.to_owned(), event.clone());
        let mut body = wire::Trigger { stream, event, poll: self.polls, key: Some(random_key()?), again: None };
        let mut call = self.post(path::of_charm(charm, "trigger")).json(&body)?.time(call::HANDLER_TIME);
        // Only servers that support keys send `server`. To an older server, or before the first response, nothing is
        // sent a second time.
        let (number, newest) = self.caller.begin_event();
        body.again = newest;
        if body.again.is_some() {
            call = call.again(&body)?;
        }
        let wire::Triggered { outcome, server } = call.answer().await?;
        self.caller.end_event(number, server);
        Ok(outcome)
    }

    async fn refresh_auth(&self, charm: &CharmRef) -> Result<(), RuntimeError> {
        let call = self.post(path::of_charm(charm, "refresh")).time(call::HANDLER_TIME);
        if self.polls { call.query("poll", "true").done().await } else { call.done().await }
    }

    async fn secret(&self, charm: &CharmRef, path: &[String]) -> Result<Secret, RuntimeError> {
        let body = wire::SecretPath { path: path.to_vec() };
        let wire::SecretText { secret } =
            self.post(path::of_charm(charm, "secret")).json(&body)?.repeatable().answer().await?;
        Ok(secret)
    }
}

#[async_trait]
impl Spaces for RemoteRuntime {
    async fn deploy(&self, space: &SpaceDid, request: &DeployRequest) -> Result<Deployed, RuntimeError> {
        self.post(path::charms(space)).json(request)?.time(call::HANDLER_TIME).answer().await
    }

    async fn delete(&self, charm: &CharmRef) -> Result<(), RuntimeError> {
        self.call(Method::DELETE, path::charm(charm)).done().await
    }

    async fn new_space(&self, name: &str) -> Result<SpaceSummary, RuntimeError> {
        self.post(path::SPACES).json(&wire::NewSpace { name: name.to_owned() })?.answer().await
    }

    async fn spaces(&self, name: Option<&str>) -> Result<Vec<SpaceSummary>, RuntimeError> {
        let call = self.get(path::SPACES).limit(call::LIST_BYTES);
        let call = name.into_iter().fold(call, |call, name| call.query("name", name));
        let wire::SpaceList { spaces } = call.answer().await?;
        Ok(spaces)
    }

    async fn acl(&self, space: &SpaceDid) -> Result<Acl, RuntimeError> {
        self.get(path::acl(space)).answer().await
    }

    async fn set_acl(
        &self,
        space: &SpaceDid,
        subject: &Subject,
        level: Option<AccessLevel>,
    ) -> Result<Acl, RuntimeError> {
        let body = wire::SetAcl { subject: subject.clone(), level };
        self.call(Method::PUT, path::acl(space)).json(&body)?.answer().await
    }

    async fn charms(&self, space: &SpaceDid) -> Result<Vec<CharmSummary>, RuntimeError> {
        let wire::Charms { charms } = self.get(path::charms(space)).limit(call::LIST_BYTES).answer().await?;
        Ok(charms)
    }

    async fn show(&self, charm: &CharmRef) -> Result<CharmShow, RuntimeError> {
        self.get(path::of_charm(charm, "show")).limit(call::LIST_BYTES).answer().await
    }

    async fn page(&self, charm: &CharmRef) -> Result<Option<Value>, RuntimeError> {
        let call = self.get(path::of_charm(charm, "page")).time(call::HANDLER_TIME).limit(call::VALUE_BYTES);
        let wire::Page { page } = call.answer().await?;
        Ok(page)
    }

    async fn set(&self, charm: &CharmRef, request: &SetRequest) -> Result<(), RuntimeError> {
        self.call(Method::PUT, path::of_charm(charm, "value")).json(request)?.time(call::HANDLER_TIME).done().await
    }

    async fn damaged(&self) -> Result<Vec<DamagedRegistration>, RuntimeError> {
        let wire::Damaged { damaged } = self.get(path::DAMAGED).limit(call::LIST_BYTES).answer().await?;
        Ok(damaged)
    }

    async fn enable_all(&self, filter: &RegistrationFilter) -> Result<u64, RuntimeError> {
        let is_empty = *filter == RegistrationFilter::default();
        let body = wire::EnableMany { filter: filter.clone(), all: is_empty };
        let wire::Enabled { enabled } = self.post(path::ENABLE).json(&body)?.answer().await?;
        Ok(enabled)
    }

    async fn logs(&self, charm: &CharmRef, query: LogQuery) -> Result<Vec<LogEntry>, RuntimeError> {
        let LogQuery { after, limit, wait } = query;
        let mut call = self.get(path::of_charm(charm, "logs")).query("limit", &limit.to_string());
        if let Some(after) = after {
            call = call.query("after", &after.to_string());
        }
        if wait {
            call = call.query("wait", "true").time(call::CHANGES_TIME);
        }
        let wire::Logs { lines } = call.limit(call::VALUE_BYTES).answer().await?;
        Ok(lines)
    }
}

/// A charm of a remote runtime: its shape as of when it was opened, its values as they are now.
struct RemoteCharm {
    runtime: RemoteRuntime,
    charm: CharmRef,
    shape: wire::Shape,
    /// What came with it for the first question of a poll, until that is asked: a token that is renewed then ends
    /// later.
    expires_at: Mutex<Option<Lookup>>,
}

#[async_trait]
impl Charm for RemoteCharm {
    fn charm_ref(&self) -> &CharmRef {
        &self.charm
    }

    async fn keys(&self) -> Result<Vec<String>, RuntimeError> {
        Ok(self.shape.keys.clone())
    }

    async fn has_stream(&self, name: &str) -> Result<bool, RuntimeError> {
        Ok(self.shape.streams.iter().any(|stream| stream == name))
    }

    async fn get(&self, path: &[String]) -> Result<Lookup, RuntimeError> {
        if path == TokenLife::PATH
            && let Some(known) = self.expires_at.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            return Ok(known);
        }
        let keys = Value::from(path).to_string();
        let call = self.runtime.get(path::of_charm(&self.charm, "value")).query("path", &keys);
        let value: wire::Value = call.limit(call::VALUE_BYTES).answer().await?;
        Ok(value.into())
    }
}
