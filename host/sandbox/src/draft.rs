//! What an integration writes to its state during `fetch-charms`, until it may be kept.

use std::collections::BTreeMap;

use bg_identity::IntegrationId;
use bg_poller::{IntegrationState, StateChanges, StateError, StateLimits};

/// Writes of one call, over what is kept. The call reads what it has written; nobody else does before it is kept.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    changes: StateChanges,
    /// All keys with the sizes of their values, once something was written.
    sizes: Option<BTreeMap<String, usize>>,
}

impl Draft {
    /// What the call has made of a key, if it has written it: its value, or none if it was removed.
    pub(crate) fn get(&self, key: &str) -> Option<&Option<Vec<u8>>> {
        self.changes.get(key)
    }

    /// Sets or removes a key, within the limits.
    pub(crate) async fn write(
        &mut self,
        state: &dyn IntegrationState,
        integration: &IntegrationId,
        key: String,
        value: Option<Vec<u8>>,
    ) -> Result<(), StateError> {
        let mut sizes = match self.sizes.take() {
            Some(sizes) => sizes,
            None => state.sizes(integration).await?,
        };
        let written = self.change(&mut sizes, key, value);
        self.sizes = Some(sizes);
        written
    }

    fn change(
        &mut self,
        sizes: &mut BTreeMap<String, usize>,
        key: String,
        value: Option<Vec<u8>>,
    ) -> Result<(), StateError> {
        let Some(bytes) = value else {
            // Any number of keys that are not there can be removed.
            if sizes.remove(&key).is_some() {
                self.changes.insert(key, None);
            }
            return Ok(());
        };
        StateLimits::check_one(&key, &bytes)?;
        let before = sizes.insert(key.clone(), bytes.len());
        let total = sizes.iter().map(|(key, bytes)| key.len() + bytes).sum();
        if let Err(error) = StateLimits::check_all(sizes.len(), total) {
            match before {
                Some(before) => sizes.insert(key, before),
                None => sizes.remove(&key),
            };
            return Err(error);
        }
        self.changes.insert(key, Some(bytes));
        Ok(())
    }

    /// All keys, sorted.
    pub(crate) fn keys(&self) -> Option<Vec<String>> {
        self.sizes.as_ref().map(|sizes| sizes.keys().cloned().collect())
    }

    /// What is to be kept.
    pub(crate) fn into_changes(self) -> StateChanges {
        self.changes
    }
}
