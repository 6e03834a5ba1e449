//! What an integration writes to its state during `fetch-charms`, until it may be kept.

use std::collections::{BTreeMap, BTreeSet};

use bg_identity::IntegrationId;
use bg_poller::{IntegrationState, StateChanges, StateError, StateLimits};

/// The writes of one call, on top of what is stored. Only the call itself sees them before they are kept.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    changes: StateChanges,
    /// All keys with the sizes of their values, once something was written.
    sizes: Option<BTreeMap<String, usize>>,
    /// The keys that are stored: removing any other is not a change.
    kept: BTreeSet<String>,
}

impl Draft {
    /// What the call wrote to a key, if anything: its value, or `None` if it was removed.
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
        let mut sizes = if let Some(sizes) = self.sizes.take() {
            sizes
        } else {
            let sizes = state.sizes(integration).await?;
            self.kept = sizes.keys().cloned().collect();
            sizes
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
            // A call may set and remove any number of keys: only the permitted number is remembered.
            if sizes.remove(&key).is_some() {
                if self.kept.contains(&key) {
                    self.changes.insert(key, None);
                } else {
                    self.changes.remove(&key);
                }
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

    /// The changes to keep.
    pub(crate) fn into_changes(self) -> StateChanges {
        self.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_a_call_sets_and_removes_again_leave_no_change() {
        let mut draft = Draft { kept: ["old".to_owned()].into(), ..Draft::default() };
        let mut sizes = BTreeMap::from([("old".to_owned(), 3)]);
        for number in 0..3_000 {
            draft.change(&mut sizes, number.to_string(), Some(Vec::new())).unwrap();
            draft.change(&mut sizes, number.to_string(), None).unwrap();
            draft.change(&mut sizes, "never there".to_owned(), None).unwrap();
        }
        assert_eq!(draft.get("1"), None);
        draft.change(&mut sizes, "old".to_owned(), None).unwrap();
        assert_eq!(draft.get("old"), Some(&None), "its removal is a change");
        draft.change(&mut sizes, "old".to_owned(), Some(vec![1])).unwrap();
        assert_eq!(draft.into_changes(), [("old".to_owned(), Some(vec![1]))].into());
    }
}
