//! The states of registrations, as far as they are known here.

use std::collections::HashMap;

use bg_charm_runtime::SqlitePollStore;
use bg_poller::{CharmRef, PollStore as _, Registration, RegistrationState};

use crate::args::Common;
use crate::connect::{self, Endpoint};
use crate::paths::DataDir;

/// How many consecutive polls of charms failed, if the service that polls stores its state in this data directory.
#[derive(Debug, Default)]
pub(crate) struct States(HashMap<CharmRef, u32>);

impl States {
    /// Reads what is stored. If it can't be read, states are only less precise.
    pub(crate) async fn read(common: &Common) -> Self {
        match Self::try_read(common).await {
            Ok(states) => states,
            Err(error) => {
                tracing::debug!("it is not known how often charms failed: {error:#}");
                Self::default()
            }
        }
    }

    async fn try_read(common: &Common) -> anyhow::Result<Self> {
        let database = match connect::endpoint(common).await? {
            Endpoint::Remote { url, .. } => DataDir::open(common)?.poll_database(&url),
            Endpoint::Local(data_dir) => data_dir.runtime_database(),
        };
        if !database.exists() {
            return Ok(Self::default());
        }
        let store = tokio::task::spawn_blocking(move || SqlitePollStore::open(&database)).await??;
        let failed = store.load().await?.into_iter().filter(|state| state.failures > 0);
        Ok(Self(failed.map(|state| (state.charm, state.failures)).collect()))
    }

    /// The state of a registration.
    pub(crate) fn of(&self, registration: &Registration) -> RegistrationState {
        registration.state(self.0.get(&registration.charm).copied().unwrap_or_default())
    }
}

/// In JSON, a state is its name.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde requires")]
pub(crate) fn named<S: serde::Serializer>(state: &RegistrationState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}
