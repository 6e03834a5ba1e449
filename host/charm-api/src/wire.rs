//! The HTTP API of a charm runtime, as its server and `RemoteRuntime` of `bg-charm-client` both know it: paths, bodies,
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

/// The longest a request for changes waits, seconds. Servers answer after that at the latest.
pub const CHANGES_WAIT_SECONDS: u64 = 20;

/// Whether the server is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// The version of the server's program.
    pub version: String,
}

/// All registrations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Registrations {
    /// Their revision, from which to wait for changes.
    pub revision: u64,
    /// The registrations.
    pub registrations: Vec<Registration>,
}

/// Registrations that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Damaged {
    /// Each of them.
    pub damaged: Vec<crate::DamagedRegistration>,
}

/// The revision of the registrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// Differs from the one asked after, if they changed.
    pub revision: u64,
}

/// A charm to be registered. The original's field names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Register {
    /// Which charm; `pieceId` stands for `charmId`, too.
    #[serde(flatten)]
    pub charm: CharmRef,
    /// For which integration.
    pub integration: IntegrationId,
}

/// A registration to be disabled or enabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetDisabled {
    /// Whether it is to be disabled.
    pub disabled: bool,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who disables it; somebody, by hand, if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<DisabledBy>,
}

/// Registrations to be enabled: those that the filter lets through, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnableMany {
    /// Which ones: at least one of its members, unless `all` is set. Without a state, all that do not run as they should.
    #[serde(flatten)]
    pub filter: RegistrationFilter,
    /// Whether it is all of them.
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
    // So that it must be there.
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

/// Polls: those to be noted, or a charm's newest, newest first.
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
}

/// What is at a path of a charm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Value {
    /// A value, without what is secret within it.
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
    /// Whether this is part of a poll of the charm. If it is not, and succeeds, a charm that waits for a change is polled soon.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub poll: bool,
    /// A name for this one event, of the client's own making and not used for another: a request that is sent again with it, since its answer
    /// was lost, has the answer of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub key: Option<String>,
    /// In a request that is sent again: `server` in an earlier answer. Another server, or one that has started since, does not know whether it
    /// has done the first, and refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub again: Option<String>,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Triggered {
    /// What the handler came to.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The server that knows the keys of events which were sent to it, until it stops: for a request that is to be sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretPath {
    /// A cell's name, then object keys or array indices.
    pub path: Vec<String>,
}

/// A secret, for who may have it.
// This is the one place where one is serialised.
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
    /// Whom it is about.
    pub subject: Subject,
    /// What it gets in place of what it had; nothing if null.
    pub level: Option<AccessLevel>,
}

/// A space to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewSpace {
    /// Its name, which is the caller's own: 1 to 256 bytes without control characters, and none that begins with `did:`.
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
