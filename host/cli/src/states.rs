//! What state registrations are in, as far as it can be told from here.

use std::collections::HashMap;

use bg_charm_runtime::SqlitePollStore;
use bg_poller::{CharmRef, PollStore as _, Registration, RegistrationState};

use crate::args::Common;
use crate::connect::{self, Place};
use crate::paths::DataDir;

/// How many polls of charms failed in a row, if any did, where the service that polls keeps that in this data directory.
#[derive(Debug, Default)]
pub(crate) struct States(HashMap<CharmRef, u32>);

impl States {
    /// Reads what there is. That it can't be read only makes states less exact.
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
        let database = match connect::place(common).await? {
            Place::Remote { url, .. } => DataDir::open(common)?.poll_database(&url),
            Place::Local(data_dir) => data_dir.runtime_database(),
        };
        if !database.exists() {
            return Ok(Self::default());
        }
        let store = tokio::task::spawn_blocking(move || SqlitePollStore::open(&database)).await??;
        let failed = store.load().await?.into_iter().filter(|state| state.failures > 0);
        Ok(Self(failed.map(|state| (state.charm, state.failures)).collect()))
    }

    /// That of a registration.
    pub(crate) fn of(&self, registration: &Registration) -> RegistrationState {
        registration.state(self.0.get(&registration.charm).copied().unwrap_or_default())
    }
}

/// In JSON, a state has its name.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
pub(crate) fn named<S: serde::Serializer>(state: &RegistrationState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}
