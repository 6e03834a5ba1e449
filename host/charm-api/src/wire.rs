//! The HTTP API of a charm runtime, shared by its server and `RemoteRuntime` of `bg-charm-client`: paths, bodies,
//! errors. All bodies are JSON; names are written in camel case.

mod health;
pub mod path;
mod poller;
mod problem;

use bg_identity::{IntegrationId, Secret};
use bg_poller::{CharmRef, DisabledBy, Lookup, Outcome, Registration, Run};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::{AccessLevel, RegistrationFilter, Subject};
pub use health::{HealthState, IntegrationHealth, KeptHealth, RecentRequests};
pub use poller::{
    AskedView, CallTotals, Denial, FunctionCalls, IntegrationReport, IntegrationView, OwnerEgress, PollerAnswer,
    PollerReport, REPORT_EVERY, Sent,
};
pub use problem::{ErrorCode, Problem};

/// The longest wait of a request for changes, in seconds. Servers respond after that at the latest.
pub const CHANGES_WAIT_SECONDS: u64 = 20;

/// Whether the server is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// The version of the server's program.
    pub version: String,
}

/// All registrations, or what has changed among them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Registrations {
    /// Their revision; pass it to wait for changes.
    pub revision: u64,
    /// All registrations; with `removed`, only those that have changed.
    pub registrations: Vec<Listed>,
    /// The charms whose registrations were removed. If present, `registrations` has only those that changed since the
    /// requested revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Vec<CharmRef>>,
}

/// A registration, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The registration.
    #[serde(flatten)]
    pub registration: Registration,
    /// With `fixes`: what to do, if it is disabled or its last poll failed; its status says what is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// Registrations that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Damaged {
    /// Each of them.
    pub damaged: Vec<crate::DamagedRegistration>,
}

/// Accounts at other services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accounts {
    /// All of them, oldest first.
    pub accounts: Vec<crate::AccountSummary>,
}

/// The operator's clients at providers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Clients {
    /// All of them, by the names of their providers.
    pub clients: Vec<crate::ClientSummary>,
}

/// What a charm lost with its account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Detached {
    /// The cells that are empty now.
    pub cells: Vec<String>,
}

/// The revision of the registrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// Differs from the requested one if they changed.
    pub revision: u64,
}

/// A charm to register, with the original's field names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Register {
    /// Which charm; `pieceId` means `charmId`.
    #[serde(flatten)]
    pub charm: CharmRef,
    /// For which integration.
    pub integration: IntegrationId,
}

/// Disables or enables a registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetDisabled {
    /// Whether to disable it.
    pub disabled: bool,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What disables it; by hand if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<DisabledBy>,
}

/// Enables registrations: those that match the filter, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnableMany {
    /// At least one condition, unless `all` is set. Without a state, all registrations that do not run as they should.
    #[serde(flatten)]
    pub filter: RegistrationFilter,
    /// Whether to enable all of them.
    #[serde(default)]
    pub all: bool,
}

/// How many registrations were enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Enabled {
    /// How many.
    pub enabled: u64,
}

/// The interval that a registration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["intervalMs"]))]
pub struct SetInterval {
    /// Milliseconds from the start of one poll to the start of the next; `null` for the interval of its integration.
    // Makes the member required.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(range(min = 100, max = 604_800_000))]
    pub interval_ms: Option<u64>,
}

/// Whether there was a registration to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Removed {
    /// False if there was none.
    pub removed: bool,
}

/// Polls: the ones to record, or a charm's newest, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Runs {
    /// The polls.
    pub runs: Vec<Run>,
}

/// Lines of a charm's log, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Logs {
    /// The lines.
    pub lines: Vec<crate::LogEntry>,
}

/// What a charm is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shape {
    /// Its name for people.
    pub name: Option<String>,
    /// The names of its cells and streams, sorted.
    pub keys: Vec<String>,
    /// The names of its streams, sorted.
    pub streams: Vec<String>,
    /// The value at `auth.expiresAt`, which every poll needs. If left out, callers ask for it.
    #[serde(rename = "expiresAt", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Value>,
}

/// The value at a path of a charm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Value {
    /// A value, without the secrets within it.
    Value {
        /// The value.
        value: serde_json::Value,
    },
    /// Something marked secret.
    Secret,
    /// Nothing.
    Absent,
}

impl From<Lookup> for Value {
    fn from(lookup: Lookup) -> Self {
        match lookup {
            Lookup::Value(value) => Self::Value { value },
            Lookup::Secret => Self::Secret,
            Lookup::Absent => Self::Absent,
        }
    }
}

impl From<Value> for Lookup {
    fn from(found: Value) -> Self {
        match found {
            Value::Value { value } => Self::Value(value),
            Value::Secret => Self::Secret,
            Value::Absent => Self::Absent,
        }
    }
}

/// A charm's page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Page {
    /// A JSON array of texts and of nodes `{name, props, children}`; null if the charm has no page.
    pub page: Option<serde_json::Value>,
}

/// An event for a stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trigger {
    /// Which stream.
    pub stream: String,
    /// The event.
    pub event: serde_json::Value,
    /// Whether this is part of a poll of the charm. If it is not, and succeeds, a charm that waits for a change is
    /// polled soon.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub poll: bool,
    /// A name for this event, chosen by the client and not used for another: a request that is sent again with it,
    /// since its answer was lost, gets the answer of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub key: Option<String>,
    /// In a request that is sent again: `server` of an answer from before the first was sent. A server that does not
    /// know the key refuses it with `unknown-event` if the first may have been handled: by another server, before this
    /// one started, or if this one has since forgotten answers to this signer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub again: Option<String>,
}

/// The result of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Triggered {
    /// The outcome of the handler.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The server, and the time of its answer: `again` in a later request that is sent again. Clients do not interpret
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretPath {
    /// A cell's name, then object keys or array indices.
    pub path: Vec<String>,
}

/// A secret, for a caller that may have it.
// The only place where a secret is serialized.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct SecretText {
    /// The secret.
    pub secret: Secret,
}

impl From<Secret> for SecretText {
    fn from(secret: Secret) -> Self {
        Self { secret }
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Exposed<'a> {
            secret: &'a str,
        }
        Exposed { secret: self.secret.expose() }.serialize(serializer)
    }
}

/// An entry of an access list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetAcl {
    /// The subject.
    pub subject: Subject,
    /// Its new level; null removes the entry.
    pub level: Option<AccessLevel>,
}

/// A space to create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewSpace {
    /// Its name, unique for the caller: 1 to 256 bytes without control characters, not starting with `did:`.
    pub name: String,
}

/// Spaces, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceList {
    /// The spaces.
    pub spaces: Vec<crate::SpaceSummary>,
}

/// The charms of a space, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Charms {
    /// The charms.
    pub charms: Vec<crate::CharmSummary>,
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};
    use serde_json::json;

    use super::*;

    fn charm() -> CharmRef {
        CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"a") }
    }

    #[test]
    fn bodies_have_the_names_of_the_original() {
        let register: Register =
            serde_json::from_value(json!({"pieceId": charm().charm, "space": charm().space, "integration": "gmail"}))
                .unwrap();
        assert_eq!(register.charm, charm());
        let written = serde_json::to_value(&register).unwrap();
        assert_eq!(written, json!({"charmId": charm().charm, "space": charm().space, "integration": "gmail"}));
        assert_eq!(serde_json::to_value(Value::from(Lookup::Secret)).unwrap(), json!({"kind": "secret"}));
        assert_eq!(
            serde_json::to_value(Value::from(Lookup::Value(json!(1)))).unwrap(),
            json!({"kind": "value", "value": 1})
        );
    }

    #[test]
    fn a_secret_is_exposed_in_its_answer_only() {
        let answer = SecretText { secret: Secret::new("ya29".into()) };
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"secret":"ya29"}"#);
        assert!(!format!("{answer:?}").contains("ya29"));
    }
}
