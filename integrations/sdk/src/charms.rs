//! The integration's registrations, and the contents of their charms.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bindings::commontools::background::charms as host;

/// A charm, as passed to [`is_valid_charm`](crate::Integration::is_valid_charm) or returned by [`open`].
pub use host::Charm;

/// The names of the stream that a poll is sent to, in order of preference.
pub const UPDATER_STREAMS: [&str; 8] = [
    "bgUpdater",
    "integrationUpdater",
    "updater",
    "googleUpdater",
    "githubUpdater",
    "notionUpdater",
    "calendarUpdater",
    "discordUpdater",
];

/// A reference to a charm. Written `<space>/<charm ID>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CharmRef {
    /// The DID of its space.
    pub space: String,
    /// Its ID in the space.
    #[serde(rename = "charmId")]
    pub charm_id: String,
}

impl fmt::Display for CharmRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.space, self.charm_id)
    }
}

impl From<host::CharmRef> for CharmRef {
    fn from(from: host::CharmRef) -> Self {
        Self { space: from.space, charm_id: from.charm_id }
    }
}

impl From<CharmRef> for host::CharmRef {
    fn from(from: CharmRef) -> Self {
        Self { space: from.space, charm_id: from.charm_id }
    }
}

/// Why a charm can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CharmError {
    /// Not one of this integration's registrations, or no such charm: the host does not say which.
    NotFound,
    /// The reference is not a DID and a charm ID; the reason.
    Malformed(String),
    /// The charm runtime did not answer, or refused.
    Unavailable(String),
}

impl fmt::Display for CharmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such charm among this integration's registrations"),
            Self::Malformed(reason) => write!(f, "malformed charm reference: {reason}"),
            Self::Unavailable(reason) => write!(f, "the charm runtime is unavailable: {reason}"),
        }
    }
}

impl std::error::Error for CharmError {}

impl From<host::CharmError> for CharmError {
    fn from(from: host::CharmError) -> Self {
        match from {
            host::CharmError::NotFound => Self::NotFound,
            host::CharmError::Malformed(reason) => Self::Malformed(reason),
            host::CharmError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

/// The result of looking up a path of a charm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The value, as JSON text. Secrets within it are left out.
    Value(String),
    /// The value is marked secret: it never reaches an integration.
    Secret,
    /// There is no value.
    Absent,
}

impl Lookup {
    /// Whether there is no value.
    pub fn is_absent(&self) -> bool {
        *self == Self::Absent
    }

    /// The value, if it is visible and a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        match self {
            Self::Value(json) => serde_json::from_str(json).ok(),
            Self::Secret | Self::Absent => None,
        }
    }
}

/// What an integration can read of a charm: of a [`Charm`], or in a unit test of a `testing::FakeCharm`.
pub trait CharmView {
    /// The charm's reference.
    fn reference(&self) -> CharmRef;
    /// The names of its cells and streams, sorted.
    fn keys(&self) -> Result<Vec<String>, CharmError>;
    /// Whether it has a stream of that name.
    fn has_stream(&self, name: &str) -> Result<bool, CharmError>;
    /// Looks up a path: a key, then object keys or array indices.
    fn get(&self, path: &[&str]) -> Result<Lookup, CharmError>;
    /// Explains why `is_valid_charm` is about to return `false`: operators see it in the outcome of the poll.
    fn explain(&self, reason: &str);
}

/// Whether the object at `kept` still agrees with the charm's cells. `parts` maps keys of the object to the paths that
/// their values come from. A value that is missing on either side is not compared. An object whose values are all empty
/// agrees with everything: the charm has not filled it yet.
pub fn is_as_kept(charm: &impl CharmView, kept: &[&str], parts: &[(&str, &[&str])]) -> bool {
    use serde_json::Value;
    let value = |path: &[&str]| charm.get(path).ok()?.json::<Value>();
    let Some(Value::Object(kept)) = value(kept) else { return true };
    let is_empty = |value: &Value| value.is_null() || value.as_str() == Some("") || value.as_f64() == Some(0.0);
    kept.values().all(is_empty)
        || parts.iter().all(|(key, path)| match (kept.get(*key), value(path)) {
            (Some(before), Some(now)) => *before == now,
            _ => true,
        })
}

impl CharmView for Charm {
    fn reference(&self) -> CharmRef {
        self.ref_().into()
    }

    fn keys(&self) -> Result<Vec<String>, CharmError> {
        Ok(Self::keys(self)?)
    }

    fn has_stream(&self, name: &str) -> Result<bool, CharmError> {
        Ok(Self::has_stream(self, name)?)
    }

    fn get(&self, path: &[&str]) -> Result<Lookup, CharmError> {
        let path = path.iter().map(|&part| part.to_owned()).collect::<Vec<_>>();
        Ok(match Self::get(self, &path)? {
            host::Lookup::Value(json) => Lookup::Value(json),
            host::Lookup::Secret => Lookup::Secret,
            host::Lookup::Absent => Lookup::Absent,
        })
    }

    fn explain(&self, reason: &str) {
        Self::explain(self, reason);
    }
}

/// A registration, with the results of its polls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polls {
    /// The charm.
    pub charm: CharmRef,
    /// When the last successful poll started, in milliseconds since the Unix epoch; `None` if none succeeded.
    pub last_success: Option<u64>,
    /// When the last poll started; `None` if there was none.
    pub last_poll: Option<u64>,
    /// How the last poll ended: `Success`, `HandlerFailed` and so on; `None` if there was none.
    pub last_outcome: Option<String>,
}

/// The enabled registrations of this integration.
pub fn registered() -> Result<Vec<CharmRef>, CharmError> {
    Ok(host::registered()?.into_iter().map(Into::into).collect())
}

/// The same registrations, with the results of their polls.
pub fn registered_with_polls() -> Result<Vec<Polls>, CharmError> {
    let polls = host::registered_with_polls()?.into_iter();
    Ok(polls
        .map(|host::Polls { charm, last_success, last_poll, last_outcome }| Polls {
            charm: charm.into(),
            last_success,
            last_poll,
            last_outcome,
        })
        .collect())
}

/// Opens a registered charm.
pub fn open(charm: &CharmRef) -> Result<Charm, CharmError> {
    Ok(host::open(&charm.clone().into())?)
}

/// Creates the cell `<id>-integration-charms` in the system space, unless it exists.
pub fn prepare_list() -> Result<(), CharmError> {
    Ok(host::prepare_list()?)
}

/// Looks up a path of a charm.
pub fn get(charm: &impl CharmView, path: &[&str]) -> Result<Lookup, CharmError> {
    charm.get(path)
}

/// The stream for polls of the charm: the first of [`UPDATER_STREAMS`] that it has.
pub fn updater_stream(charm: &impl CharmView) -> Result<Option<&'static str>, CharmError> {
    for name in UPDATER_STREAMS {
        if charm.has_stream(name)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Whether the charm can be polled: it has one of [`UPDATER_STREAMS`]. If not, explains that to the operator.
pub fn can_be_polled(charm: &impl CharmView) -> Result<bool, CharmError> {
    let stream = updater_stream(charm)?;
    if stream.is_none() {
        charm.explain(&format!("it has no stream with one of the names {}", UPDATER_STREAMS.join(", ")));
    }
    Ok(stream.is_some())
}

/// Whether the charm can be polled, and has a cell for a [sign-in](has_auth). If not, explains that to the operator.
pub fn can_be_polled_signed_in(charm: &impl CharmView) -> Result<bool, CharmError> {
    let signed_in = has_auth(charm)?;
    if !signed_in {
        charm.explain("it has no cell auth to sign in with");
    }
    Ok(signed_in && can_be_polled(charm)?)
}

/// Whether the charm has a cell `auth`, which stores the sign-in of a service such as Google, even if all of it is
/// secret.
pub fn has_auth(charm: &impl CharmView) -> Result<bool, CharmError> {
    Ok(charm.keys()?.iter().any(|key| key == "auth") || !charm.get(&["auth"])?.is_absent())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::FakeCharm;

    #[test]
    fn the_first_known_stream_gets_the_polls() {
        for (streams, found) in [
            (vec![], None),
            (vec!["increment"], None),
            (vec!["googleUpdater"], Some("googleUpdater")),
            (vec!["discordUpdater", "googleUpdater", "bgUpdater"], Some("bgUpdater")),
        ] {
            let charm = streams.into_iter().fold(FakeCharm::new(json!({})), FakeCharm::stream);
            assert_eq!(updater_stream(&charm), Ok(found));
        }
    }

    #[test]
    fn a_sign_in_is_found_even_if_it_is_secret() {
        for (charm, found) in [
            (FakeCharm::new(json!({"emails": []})), false),
            (FakeCharm::new(json!({"auth": null})), true),
            (FakeCharm::new(json!({"auth": {"token": "t"}})), true),
            (FakeCharm::new(json!({"auth": {"token": "t"}})).secret(&["auth"]), true),
        ] {
            assert_eq!(has_auth(&charm), Ok(found), "{charm:?}");
        }
    }

    #[test]
    fn a_value_of_another_type_is_not_returned() {
        assert_eq!(Lookup::Value("7".into()).json::<u32>(), Some(7));
        assert_eq!(Lookup::Value("\"7\"".into()).json::<u32>(), None);
        assert_eq!(Lookup::Secret.json::<u32>(), None);
        assert_eq!(Lookup::Absent.json::<u32>(), None);
    }
}
