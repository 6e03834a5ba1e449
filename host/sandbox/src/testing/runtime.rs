//! A charm runtime and an integration's state, in memory.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bg_identity::{CharmId, IntegrationId, Secret, SpaceDid, space_did};
use bg_poller::{
    Charm, CharmRef, CharmRuntime, Counters, IntegrationState, Lookup, Outcome, OutcomeKind, PollState, PollStore,
    Registration, Run, RuntimeError, StateChanges, StateError, StoreError, UnixMillis,
};
use serde_json::{Value, json};

/// Has registrations, and a charm for each: `{"count": 7}`, a stream `bgUpdater`, a secret `auth.token`. A trigger
/// succeeds; nothing else changes anything.
#[derive(Default)]
pub(crate) struct MemoryRuntime {
    registrations: Vec<Registration>,
    pub(crate) listed: AtomicUsize,
    pub(crate) prepared: AtomicUsize,
    pub(crate) triggered: Mutex<BTreeMap<CharmRef, usize>>,
    /// Never answers questions about charms or state.
    pub(crate) silent: AtomicBool,
    /// Answers that it is unavailable when asked for registrations.
    pub(crate) is_away: AtomicBool,
    pub(crate) oauth: Arc<OAuth>,
    state: Mutex<BTreeMap<(IntegrationId, String), Vec<u8>>>,
}

/// The OAuth token of every charm: `ya29`, until it is renewed for the first time.
#[derive(Default)]
pub(crate) struct OAuth {
    /// When it ends, if known.
    pub(crate) expires_at: Mutex<Option<UnixMillis>>,
    /// When a new one ends.
    pub(crate) then: Mutex<Option<UnixMillis>>,
    pub(crate) renewals: AtomicUsize,
    /// Whether renewing fails.
    pub(crate) is_down: AtomicBool,
}

/// The charm of this name in a space of the same name.
pub(crate) fn charm(name: &str) -> CharmRef {
    let space: SpaceDid = space_did(name);
    CharmRef { space, charm: CharmId::for_content(name.as_bytes()) }
}

pub(crate) fn runtime_with(registrations: &[(CharmRef, &str, bool)]) -> Arc<MemoryRuntime> {
    with(registrations, UnixMillis::NEVER, UnixMillis::NEVER)
}

/// A runtime where the polls of the charms last succeeded at the first time, and failed at the second.
pub(crate) fn runtime_with_polls(
    registrations: &[(CharmRef, &str, bool)],
    success: u64,
    failure: u64,
) -> Arc<MemoryRuntime> {
    with(registrations, UnixMillis(success), UnixMillis(failure))
}

fn with(
    registrations: &[(CharmRef, &str, bool)],
    last_success: UnixMillis,
    last_run: UnixMillis,
) -> Arc<MemoryRuntime> {
    let registrations = registrations.iter().map(|(charm, integration, enabled)| Registration {
        charm: charm.clone(),
        integration: integration.parse().unwrap(),
        created_at: UnixMillis(1),
        updated_at: UnixMillis(1),
        last_run,
        interval: None,
        disabled_at: if *enabled { UnixMillis::NEVER } else { UnixMillis(1) },
        status: "Initializing".into(),
        last_success,
        woken_at: UnixMillis::NEVER,
        last_outcome: (!last_run.is_never()).then_some(OutcomeKind::HandlerFailed),
        last_blame: None,
        last_cause: None,
        disabled_by: (!*enabled).then_some(bg_poller::DisabledBy::Hand),
    });
    Arc::new(MemoryRuntime { registrations: registrations.collect(), ..MemoryRuntime::default() })
}

pub(crate) struct MemoryCharm(pub(crate) CharmRef);

#[async_trait]
impl Charm for MemoryCharm {
    fn charm_ref(&self) -> &CharmRef {
        &self.0
    }

    async fn keys(&self) -> Result<Vec<String>, RuntimeError> {
        Ok(vec!["auth".into(), "bgUpdater".into(), "count".into()])
    }

    async fn has_stream(&self, name: &str) -> Result<bool, RuntimeError> {
        Ok(name == "bgUpdater")
    }

    async fn get(&self, path: &[String]) -> Result<Lookup, RuntimeError> {
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        Ok(match path[..] {
            ["count"] => Lookup::Value(json!(7)),
            ["auth"] => Lookup::Value(json!({"expiresAt": 1})),
            ["auth", "token", ..] => Lookup::Secret,
            _ => Lookup::Absent,
        })
    }
}

/// A charm that knows when its token ends.
struct SignedIn(MemoryCharm, Arc<OAuth>);

#[async_trait]
impl Charm for SignedIn {
    fn charm_ref(&self) -> &CharmRef {
        self.0.charm_ref()
    }

    async fn keys(&self) -> Result<Vec<String>, RuntimeError> {
        self.0.keys().await
    }

    async fn has_stream(&self, name: &str) -> Result<bool, RuntimeError> {
        self.0.has_stream(name).await
    }

    async fn get(&self, path: &[String]) -> Result<Lookup, RuntimeError> {
        if path == ["auth", "expiresAt"] {
            return Ok(self.1.expires_at.lock().unwrap().map_or(Lookup::Absent, |at| Lookup::Value(json!(at.0))));
        }
        self.0.get(path).await
    }
}

impl MemoryRuntime {
    /// How often a charm was triggered.
    pub(crate) fn triggers(&self, charm: &CharmRef) -> usize {
        self.triggered.lock().unwrap().get(charm).copied().unwrap_or(0)
    }

    async fn answer(&self) {
        if self.silent.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    }
}

fn unused<T>() -> Result<T, RuntimeError> {
    Err(RuntimeError::unavailable("not in this test"))
}

#[async_trait]
impl CharmRuntime for MemoryRuntime {
    async fn registrations(&self) -> Result<Vec<Registration>, RuntimeError> {
        self.answer().await;
        self.listed.fetch_add(1, Ordering::Relaxed);
        if self.is_away.load(Ordering::Relaxed) {
            return unused();
        }
        Ok(self.registrations.clone())
    }

    async fn prepare_list(&self, _: &IntegrationId) -> Result<(), RuntimeError> {
        self.prepared.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn open(&self, charm: &CharmRef) -> Result<Arc<dyn Charm>, RuntimeError> {
        self.answer().await;
        Ok(Arc::new(SignedIn(MemoryCharm(charm.clone()), self.oauth.clone())))
    }

    async fn secret(&self, _: &CharmRef, path: &[String]) -> Result<Secret, RuntimeError> {
        if path == ["auth", "token"] {
            let token = match self.oauth.renewals.load(Ordering::Relaxed) {
                0 => "ya29".to_owned(),
                number => format!("ya29-{number}"),
            };
            Ok(Secret::new(token))
        } else {
            Err(RuntimeError::Unfit("no secret".into()))
        }
    }

    async fn changed(&self, seen: u64) -> Result<u64, RuntimeError> {
        if seen == 0 { Ok(1) } else { pending().await }
    }

    async fn register(&self, _: &CharmRef, _: &IntegrationId) -> Result<Registration, RuntimeError> {
        unused()
    }

    async fn set_disabled(
        &self,
        _: &CharmRef,
        _: Option<(bg_poller::DisabledBy, &str)>,
    ) -> Result<Registration, RuntimeError> {
        unused()
    }

    async fn set_interval(&self, _: &CharmRef, _: Option<Duration>) -> Result<Registration, RuntimeError> {
        unused()
    }

    async fn counters(&self, _: &CharmRef) -> Result<Counters, RuntimeError> {
        unused()
    }

    async fn remove(&self, _: &CharmRef) -> Result<bool, RuntimeError> {
        unused()
    }

    async fn record(&self, _: &[Run]) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn runs(&self, _: &CharmRef, _: usize) -> Result<Vec<Run>, RuntimeError> {
        unused()
    }

    async fn trigger(&self, charm: &CharmRef, _: &str, _: &Value) -> Result<Outcome, RuntimeError> {
        *self.triggered.lock().unwrap().entry(charm.clone()).or_default() += 1;
        Ok(Outcome::success())
    }

    async fn refresh_auth(&self, _: &CharmRef) -> Result<(), RuntimeError> {
        // Lets other tasks run meanwhile.
        tokio::task::yield_now().await;
        if self.oauth.is_down.load(Ordering::Relaxed) {
            return unused();
        }
        self.oauth.renewals.fetch_add(1, Ordering::Relaxed);
        *self.oauth.expires_at.lock().unwrap() = *self.oauth.then.lock().unwrap();
        Ok(())
    }
}

#[async_trait]
impl IntegrationState for MemoryRuntime {
    async fn get(&self, id: &IntegrationId, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.answer().await;
        Ok(self.state.lock().unwrap().get(&(id.clone(), key.into())).cloned())
    }

    async fn set(&self, id: &IntegrationId, key: &str, value: &[u8]) -> Result<(), StateError> {
        self.state.lock().unwrap().insert((id.clone(), key.into()), value.into());
        Ok(())
    }

    async fn delete(&self, id: &IntegrationId, key: &str) -> Result<(), StateError> {
        self.state.lock().unwrap().remove(&(id.clone(), key.into()));
        Ok(())
    }

    async fn keys(&self, id: &IntegrationId) -> Result<Vec<String>, StateError> {
        let state = self.state.lock().unwrap();
        Ok(state.keys().filter(|(owner, _)| owner == id).map(|(_, key)| key.clone()).collect())
    }

    async fn sizes(&self, id: &IntegrationId) -> Result<BTreeMap<String, usize>, StateError> {
        let state = self.state.lock().unwrap();
        let own = state.iter().filter(|((owner, _), _)| owner == id);
        Ok(own.map(|((_, key), value)| (key.clone(), value.len())).collect())
    }

    async fn apply(&self, id: &IntegrationId, changes: &StateChanges) -> Result<(), StateError> {
        for (key, value) in changes {
            match value {
                Some(value) => self.set(id, key, value).await?,
                None => self.delete(id, key).await?,
            }
        }
        Ok(())
    }
}

/// Remembers nothing.
#[async_trait]
impl PollStore for MemoryRuntime {
    async fn load(&self) -> Result<Vec<PollState>, StoreError> {
        Ok(Vec::new())
    }

    async fn save(&self, _: &[PollState]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn forget(&self, _: &[CharmRef]) -> Result<(), StoreError> {
        Ok(())
    }
}
