//! What state registrations are in, as far as it can be told from here.

use std::collections::HashMap;

use bg_charms::SqlitePollStore;
use bg_poller::{CharmRef, PollStore as _, Registration, RegistrationState};

use crate::args::Common;
use crate::connect::{self, Place};
use crate::paths::DataDir;

/// How many polls of each charm failed in a row, where the service that polls keeps that in this data directory.
#[derive(Debug, Default)]
pub(crate) struct States(Option<HashMap<CharmRef, u32>>);

impl States {
    /// Reads what there is. That it can't be read only makes states less exact.
    pub(crate) async fn read(common: &Common) -> Self {
        match Self::try_read(common).await {
            Ok(states) => states,
            Err(error) => {
                tracing::debug!("it is not known how often charms failed: {error:#}");
                Self(None)
            }
        }
    }

    async fn try_read(common: &Common) -> anyhow::Result<Self> {
        let database = match connect::place(common).await? {
            Place::Remote(url) => DataDir::open(common.data_dir.as_deref())?.poll_database(&url),
            Place::Local(data_dir) => data_dir.runtime_database(),
        };
        if !database.exists() {
            return Ok(Self(None));
        }
        let store = tokio::task::spawn_blocking(move || SqlitePollStore::open(&database)).await??;
        let failed = store.load().await?.into_iter().filter(|state| state.failures > 0);
        Ok(Self(Some(failed.map(|state| (state.charm, state.failures)).collect())))
    }

    /// That of a registration.
    pub(crate) fn of(&self, registration: &Registration) -> RegistrationState {
        let failures = self.0.as_ref().map(|known| known.get(&registration.charm).copied().unwrap_or_default());
        RegistrationState::of(registration, failures)
    }
}
