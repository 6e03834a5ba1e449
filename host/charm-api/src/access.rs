//! Who may do what in a space.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bg_identity::{Did, ParseDidError, SpaceDid, is_public_key, system_space};
use bg_poller::RuntimeError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The owner of the database: the process of an embedded runtime. May do everything.
    Operator,
    /// The holder of this key.
    Did(Did),
    /// The holder of this key, on a server that others reach. It has the rights that access lists give it. It has no
    /// rights as the key of a space, or of the public passphrase, because others can compute those keys.
    Remote(Did),
    /// Anybody. May register charms, as the original allows, and nothing else.
    Anonymous,
}

/// What a subject may do in a space; each level includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum AccessLevel {
    /// See charms and their values, without secrets.
    Read,
    /// Deploy charms, and send events to them.
    Write,
    /// Change the access list.
    Owner,
}

impl AccessLevel {
    /// Every level, lowest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Owner];

    /// The name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::Owner => "OWNER",
        }
    }
}

impl fmt::Display for AccessLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is not an access level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an access level is READ, WRITE or OWNER")]
pub struct ParseAccessLevelError;

impl FromStr for AccessLevel {
    type Err = ParseAccessLevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text)).ok_or(ParseAccessLevelError)
    }
}

/// The subject of an entry in an access list. Written as a DID or `*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Anyone who signs requests, with any key.
    Anyone,
    /// The holder of this key.
    Did(Did),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("*"),
            Self::Did(did) => did.fmt(f),
        }
    }
}

impl FromStr for Subject {
    type Err = ParseDidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" { Ok(Self::Anyone) } else { text.parse().map(Self::Did) }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Subject {
    fn schema_name() -> Cow<'static, str> {
        "Subject".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = format!("{}|^\\*$", Did::PATTERN);
        json_schema!({
            "type": "string",
            "description": "The subject of an entry in an access list: a DID, or `*` for anyone who signs requests.",
            "pattern": pattern,
            "examples": ["*"],
        })
    }
}

/// The access list of a space. The space's own key owns it, even if the list does not name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Acl(pub BTreeMap<Subject, AccessLevel>);

impl Acl {
    /// The list of a new space that its creator owns, and to which these keys (the service's) may write.
    pub fn of_private_space(creator: Option<&Did>, service: impl IntoIterator<Item = Did>) -> Self {
        let service = service.into_iter().map(|did| (Subject::Did(did), AccessLevel::Write));
        let creator = creator.map(|did| (Subject::Did(did.clone()), AccessLevel::Owner));
        // The creator's entry comes last, and wins.
        Self(service.chain(creator).collect())
    }

    /// The list of a new space: its creator owns it, and anyone who signs requests may write.
    pub fn of_new_space(creator: Option<&Did>) -> Self {
        let creator = creator.map(|did| (Subject::Did(did.clone()), AccessLevel::Owner));
        Self([(Subject::Anyone, AccessLevel::Write)].into_iter().chain(creator).collect())
    }

    /// What a key may do in `space`, whose list this is.
    pub fn level(&self, space: &SpaceDid, did: &Did) -> Option<AccessLevel> {
        if space.did() == did {
            return Some(AccessLevel::Owner);
        }
        self.0.get(&Subject::Anyone).max(self.0.get(&Subject::Did(did.clone()))).copied()
    }

    /// What an actor may do in `space`, whose list this is.
    pub fn level_of(&self, space: &SpaceDid, actor: &Actor) -> Option<AccessLevel> {
        match actor {
            Actor::Operator => Some(AccessLevel::Owner),
            Actor::Did(did) => self.level(space, did),
            Actor::Remote(did) => {
                let own = if is_public_key(did) { None } else { self.0.get(&Subject::Did(did.clone())) };
                self.0.get(&Subject::Anyone).max(own).copied()
            }
            Actor::Anonymous => None,
        }
    }

    /// Fails unless `actor` has at least `needed` in `space`, whose list this is.
    pub fn check(&self, space: &SpaceDid, actor: &Actor, needed: AccessLevel) -> Result<(), RuntimeError> {
        let level = self.level_of(space, actor);
        if level >= Some(needed) {
            return Ok(());
        }
        Err(RuntimeError::Authorization { space: space.clone(), message: refusal(space, actor, level, needed) })
    }
}

/// Who lacks which access, and how to grant it.
fn refusal(space: &SpaceDid, actor: &Actor, level: Option<AccessLevel>, needed: AccessLevel) -> String {
    let is_system = *space == system_space();
    let space_text = if is_system { format!("{space} (the system space)") } else { space.to_string() };
    let lacks = match level {
        None => "has no access".to_owned(),
        Some(level) => format!("has {level} access and needs {needed}"),
    };
    match actor {
        Actor::Operator | Actor::Anonymous => {
            format!("{space_text}: an unsigned request has no access; sign it with a key that has {needed} access")
        }
        Actor::Remote(did) if is_public_key(did) => format!(
            "{space_text}: {did} is the key of the public passphrase, which has no rights on a server that others reach, beyond \
             those of everybody; give the server and this command a key of your own (`bg-wasm-host identity new \
             FILE`, then --identity FILE)"
        ),
        Actor::Remote(did) if is_system => format!(
            "{space_text}: {did} {lacks}; use the key that the server has (IDENTITY or OPERATOR_PASS), or have its \
             operator grant it: bg-wasm-host charm acl {space} --grant {did}=WRITE"
        ),
        Actor::Did(did) if is_system => format!(
            "{space_text}: {did} {lacks}; run `bg-wasm-host add-admin-charm` with the same IDENTITY or OPERATOR_PASS \
             to grant it"
        ),
        Actor::Did(did) | Actor::Remote(did) => {
            format!("{space_text}: {did} {lacks}; an owner of the space can grant it in the space's access list")
        }
    }
}

#[cfg(test)]
mod tests {
    use bg_identity::{Identity, space_did};

    use super::*;

    fn did(name: &str) -> Did {
        Identity::from_passphrase(name).did()
    }

    #[test]
    fn the_access_table() {
        use AccessLevel::{Owner, Read, Write};
        let space = space_did("my-space");
        let entry = |name: &str, level| (Subject::Did(did(name)), level);
        let acl = Acl([entry("ann", Owner), entry("ben", Read), (Subject::Anyone, Write)].into());
        let private = Acl([entry("ann", Owner), entry("ben", Read)].into());
        let public = Acl([entry("implicit trust", Owner), (Subject::Anyone, Read)].into());
        let signed = |name: &str| Actor::Did(did(name));
        let cases = [
            (&acl, Actor::Operator, Some(Owner)),
            (&acl, Actor::Anonymous, None),
            (&acl, Actor::Did(space.did().clone()), Some(Owner)),
            (&acl, signed("ann"), Some(Owner)),
            (&acl, signed("ben"), Some(Write)),
            (&acl, signed("eve"), Some(Write)),
            (&private, signed("ann"), Some(Owner)),
            (&private, signed("ben"), Some(Read)),
            (&private, signed("eve"), None),
            (&private, Actor::Operator, Some(Owner)),
            (&private, Actor::Anonymous, None),
            (&private, Actor::Did(space.did().clone()), Some(Owner)),
            (&acl, Actor::Remote(did("ann")), Some(Owner)),
            (&acl, Actor::Remote(space.did().clone()), Some(Write)),
            (&private, Actor::Remote(space.did().clone()), None),
            (&public, Actor::Remote(did("implicit trust")), Some(Read)),
            (&public, Actor::Did(did("implicit trust")), Some(Owner)),
        ];
        for (acl, actor, expected) in cases {
            for needed in AccessLevel::ALL {
                let allowed = acl.check(&space, &actor, needed).is_ok();
                assert_eq!(allowed, Some(needed) <= expected, "{actor:?} {needed} {acl:?}");
            }
        }
    }

    #[test]
    fn a_refusal_in_the_system_space_names_the_command_that_fixes_it() {
        let error =
            Acl::default().check(&system_space(), &Actor::Did(did("implicit trust")), AccessLevel::Read).unwrap_err();
        assert_eq!(
            error.to_string(),
            "AuthorizationError: did:key:z6Mkfuw7h6jDwqVb6wimYGys14JFcyTem4Kqvdj9DjpFhY88 (the system space): \
             did:key:z6MksHnZGdHxNoCqcC3kPvBSo2goCzLSWheQ8LrVpAtQwgwW has no access; run `bg-wasm-host \
             add-admin-charm` with the same IDENTITY or OPERATOR_PASS to grant it"
        );
    }

    #[test]
    fn an_access_list_is_a_json_object() {
        let acl = Acl::of_new_space(Some(&did("ann")));
        let json = serde_json::to_string(&acl).unwrap();
        assert_eq!(json, format!(r#"{{"*":"WRITE","{}":"OWNER"}}"#, did("ann")));
        assert_eq!(serde_json::from_str::<Acl>(&json).unwrap(), acl);
        assert!(serde_json::from_str::<Acl>(r#"{"ann":"OWNER"}"#).is_err());
        assert!("admin".parse::<AccessLevel>().is_err() && "owner".parse() == Ok(AccessLevel::Owner));
    }
}
