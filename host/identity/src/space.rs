//! Spaces: where charms live.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::str::FromStr;
use std::sync::OnceLock;

use crate::text::written_as_text;
use crate::{Did, Identity, ParseDidError};

/// The name of the space where the list of registered charms lives.
pub const SYSTEM_SPACE_NAME: &str = "toolshed-system";

/// The passphrase of the key pair from which the key pairs of all named spaces are derived. It is public, as the
/// original's is: a space's access list decides who may use the space, not this key.
const COMMON_USER: &str = "common user";

/// The name of a space: a DID.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceDid(Did);

impl SpaceDid {
    /// The space as a DID.
    pub fn did(&self) -> &Did {
        &self.0
    }

    /// The DID as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl From<Did> for SpaceDid {
    fn from(did: Did) -> Self {
        Self(did)
    }
}

impl From<SpaceDid> for Did {
    fn from(space: SpaceDid) -> Self {
        space.0
    }
}

impl FromStr for SpaceDid {
    type Err = ParseDidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

written_as_text!(
    SpaceDid,
    ParseDidError,
    Did::PATTERN,
    "The name of a space: the DID of its key.",
    "did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo"
);

/// `Hash` and `Ord` agree with those of the text.
impl Borrow<str> for SpaceDid {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

/// Parses names of spaces with many duplicates, such as those of a list of charms. Each name is checked once, which is
/// the most expensive part, and its text is stored once.
#[derive(Debug, Default)]
pub struct SpaceReader(HashSet<SpaceDid>);

impl SpaceReader {
    /// The space of that name.
    pub fn read(&mut self, text: &str) -> Result<SpaceDid, ParseDidError> {
        if let Some(space) = self.0.get(text) {
            return Ok(space.clone());
        }
        let space: SpaceDid = text.parse()?;
        self.0.insert(space.clone());
        Ok(space)
    }
}

/// The key pair of the space of that name.
pub fn space_identity(name: &str) -> Identity {
    Identity::from_passphrase(COMMON_USER).derive(name)
}

/// The space of that name.
pub fn space_did(name: &str) -> SpaceDid {
    SpaceDid(space_identity(name).did())
}

/// The space where the list of registered charms lives.
pub fn system_space() -> SpaceDid {
    // Every poll uses it, and deriving a key takes as long as a query.
    static SPACE: OnceLock<SpaceDid> = OnceLock::new();
    SPACE.get_or_init(|| space_did(SYSTEM_SPACE_NAME)).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_names_give_the_same_spaces_as_the_original() {
        let cases = [
            (SYSTEM_SPACE_NAME, "did:key:z6Mkfuw7h6jDwqVb6wimYGys14JFcyTem4Kqvdj9DjpFhY88"),
            ("my-space", "did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo"),
        ];
        for (name, did) in cases {
            assert_eq!(space_did(name).as_str(), did, "{name}");
        }
        assert_eq!(system_space(), space_did(SYSTEM_SPACE_NAME));
    }

    #[test]
    fn a_space_is_a_key_as_a_json_map() {
        let map = std::collections::BTreeMap::from([(system_space(), 1)]);
        let json = serde_json::to_string(&map).unwrap();
        assert_eq!(serde_json::from_str::<std::collections::BTreeMap<SpaceDid, i32>>(&json).unwrap(), map);
    }
}
