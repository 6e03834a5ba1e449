//! A charm runtime and an integration's state, in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bg_identity::{CharmId, IntegrationId, Secret, SpaceDid, space_did};
use bg_poller::{
    Charm, CharmRef, CharmRuntime, IntegrationState, Lookup, Outcome, Registration, Run, RuntimeError, StateError,
    UnixMillis,
};
use serde_json::{Value, json};

/// Knows its registrations, and a charm behind each: `{"count": 7}`, a stream `bgUpdater`, a secret `auth.token`.
#[derive(Default)]
pub(crate) struct MemoryRuntime {
    registrations: Vec<Registration>,
    pub(crate) listed: AtomicUsize,
    pub(crate) prepared: AtomicUsize,
    state: Mutex<BTreeMap<String, Vec<u8>>>,
}

/// The charm of this name in a space of the same name.
pub(crate) fn charm(name: &str) -> CharmRef {
    let space: SpaceDid = space_did(name);
    CharmRef { space, charm: CharmId::for_content(name.as_bytes()) }
}

pub(crate) fn runtime_with(registrations: &[(CharmRef, &str, bool)]) -> Arc<MemoryRuntime> {
    let registrations = registrations.iter().map(|(charm, integration, enabled)| Registration {
        charm: charm.clone(),
        integration: integration.parse().unwrap(),
        created_at: UnixMillis(1),
        updated_at: UnixMillis(1),
        last_run: UnixMillis::NEVER,
        disabled_at: if *enabled { UnixMillis::NEVER } else { UnixMillis(1) },
        status: "Initializing".into(),
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
            ["auth", "token"] => Lookup::Secret,
            _ => Lookup::Absent,
        })
    }
}

fn unused<T>() -> Result<T, RuntimeError> {
    Err(RuntimeError::Unavailable("not in this test".into()))
}

#[async_trait]
impl CharmRuntime for MemoryRuntime {
    async fn registrations(&self) -> Result<Vec<Registration>, RuntimeError> {
        self.listed.fetch_add(1, Ordering::Relaxed);
        Ok(self.registrations.clone())
    }

    async fn prepare_list(&self, _: &IntegrationId) -> Result<(), RuntimeError> {
        self.prepared.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn open(&self, charm: &CharmRef) -> Result<Arc<dyn Charm>, RuntimeError> {
        Ok(Arc::new(MemoryCharm(charm.clone())))
    }

    async fn secret(&self, _: &CharmRef, path: &[String]) -> Result<Secret, RuntimeError> {
        if path == ["auth", "token"] {
            Ok(Secret::new("ya29".into()))
        } else {
            Err(RuntimeError::Unfit("no secret".into()))
        }
    }

    async fn changed(&self, _: u64) -> Result<u64, RuntimeError> {
        unused()
    }

    async fn register(&self, _: &CharmRef, _: &IntegrationId) -> Result<Registration, RuntimeError> {
        unused()
    }

    async fn set_disabled(&self, _: &CharmRef, _: Option<&str>) -> Result<Registration, RuntimeError> {
        unused()
    }

    async fn remove(&self, _: &CharmRef) -> Result<bool, RuntimeError> {
        unused()
    }

    async fn record(&self, _: &[Run]) -> Result<(), RuntimeError> {
        unused()
    }

    async fn runs(&self, _: &CharmRef, _: usize) -> Result<Vec<Run>, RuntimeError> {
        unused()
    }

    async fn trigger(&self, _: &CharmRef, _: &str, _: &Value) -> Result<Outcome, RuntimeError> {
        unused()
    }

    async fn refresh_auth(&self, _: &CharmRef) -> Result<(), RuntimeError> {
        unused()
    }
}

#[async_trait]
impl IntegrationState for MemoryRuntime {
    async fn get(&self, _: &IntegrationId, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.state.lock().unwrap().get(key).cloned())
    }

    async fn set(&self, _: &IntegrationId, key: &str, value: &[u8]) -> Result<(), StateError> {
        self.state.lock().unwrap().insert(key.into(), value.into());
        Ok(())
    }

    async fn delete(&self, _: &IntegrationId, key: &str) -> Result<(), StateError> {
        self.state.lock().unwrap().remove(key);
        Ok(())
    }

    async fn keys(&self, _: &IntegrationId) -> Result<Vec<String>, StateError> {
        Ok(self.state.lock().unwrap().keys().cloned().collect())
    }
}
