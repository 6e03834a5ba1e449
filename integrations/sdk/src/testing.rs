//! A charm for unit tests, which run without a host.
//!
//! ```
//! use bg_integration_sdk::{CharmView, Lookup, testing::FakeCharm};
//! use serde_json::json;
//!
//! let inputs = json!({"auth": {"token": "t", "scope": []}});
//! let charm = FakeCharm::new(inputs).stream("bgUpdater").secret(&["auth", "token"]);
//! assert_eq!(charm.has_stream("bgUpdater"), Ok(true));
//! assert_eq!(charm.get(&["auth", "token"]), Ok(Lookup::Secret));
//! ```

use std::cell::RefCell;

use serde_json::Value;

use crate::charms::CharmError;
use crate::{CharmRef, CharmView, Lookup};

/// A charm made from a JSON object: its cells by name.
#[derive(Clone, Debug)]
pub struct FakeCharm {
    cells: Value,
    streams: Vec<String>,
    secrets: Vec<Vec<String>>,
    explained: RefCell<Option<String>>,
}

impl FakeCharm {
    /// A charm with these cells and no streams.
    pub fn new(cells: Value) -> Self {
        Self { cells, streams: Vec::new(), secrets: Vec::new(), explained: RefCell::default() }
    }

    /// The last explanation why it is unfit.
    pub fn explained(&self) -> Option<String> {
        self.explained.borrow().clone()
    }

    /// Adds a stream.
    #[must_use]
    pub fn stream(mut self, name: &str) -> Self {
        self.streams.push(name.to_owned());
        self
    }

    /// Marks the value at a path as secret.
    #[must_use]
    pub fn secret(mut self, path: &[&str]) -> Self {
        self.secrets.push(path.iter().map(|&part| part.to_owned()).collect());
        self
    }
}

impl CharmView for FakeCharm {
    fn reference(&self) -> CharmRef {
        CharmRef { space: "did:key:z6MkFake".to_owned(), charm_id: "fid1:fake".to_owned() }
    }

    fn keys(&self) -> Result<Vec<String>, CharmError> {
        let cells = self.cells.as_object().into_iter().flatten().map(|(name, _)| name.clone());
        let mut keys = cells.chain(self.streams.iter().cloned()).collect::<Vec<_>>();
        keys.sort();
        Ok(keys)
    }

    fn has_stream(&self, name: &str) -> Result<bool, CharmError> {
        Ok(self.streams.iter().any(|stream| stream == name))
    }

    fn get(&self, path: &[&str]) -> Result<Lookup, CharmError> {
        let Some(found) = path.iter().try_fold(&self.cells, |value, part| match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            _ => value.get(part),
        }) else {
            return Ok(Lookup::Absent);
        };
        if self.secrets.iter().any(|secret| path.len() >= secret.len() && path.iter().zip(secret).all(|(a, b)| a == b))
        {
            return Ok(Lookup::Secret);
        }
        let mut shown = found.clone();
        for secret in &self.secrets {
            if secret.len() > path.len() && path.iter().zip(secret).all(|(a, b)| a == b) {
                remove(&mut shown, &secret[path.len()..]);
            }
        }
        Ok(Lookup::Value(shown.to_string()))
    }

    fn explain(&self, reason: &str) {
        self.explained.replace(Some(reason.to_owned()));
    }
}

/// Removes the value at a path of objects.
fn remove(value: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else { return };
    let parent = parents.iter().try_fold(value, |value, part| value.get_mut(part));
    if let Some(Value::Object(parent)) = parent {
        parent.remove(last);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fake_charm_hides_its_secrets_like_the_host() {
        let charm = FakeCharm::new(json!({"auth": {"token": "t", "user": {"email": "e"}}, "n": [1, 2]}))
            .stream("bgUpdater")
            .secret(&["auth", "token"]);
        assert_eq!(charm.keys().unwrap(), ["auth", "bgUpdater", "n"]);
        for (path, found) in [
            (vec!["auth", "token"], Lookup::Secret),
            (vec!["auth"], Lookup::Value(r#"{"user":{"email":"e"}}"#.into())),
            (vec!["auth", "user", "email"], Lookup::Value("\"e\"".into())),
            (vec!["auth", "refreshToken"], Lookup::Absent),
            (vec!["n", "1"], Lookup::Value("2".into())),
            (vec!["n", "2"], Lookup::Absent),
            (vec!["x"], Lookup::Absent),
        ] {
            assert_eq!(charm.get(&path), Ok(found), "{path:?}");
        }
    }
}
