//! Names of charms.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CharmId, ParseCharmIdError, ParseDidError, SpaceDid};

/// The name of one charm: its space and its ID there. Written `<space DID>/<charm ID>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CharmRef {
    /// Where it lives.
    pub space: SpaceDid,
    /// Which it is there.
    #[serde(rename = "charmId", alias = "pieceId")]
    pub charm: CharmId,
}

impl fmt::Display for CharmRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.space, self.charm)
    }
}

/// A text that names no charm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseCharmRefError {
    /// There is no `/` in it.
    #[error("a charm is named <space DID>/<charm ID>, with a slash between them")]
    NoSlash,
    /// What stands before the slash is no space.
    #[error(transparent)]
    Space(#[from] ParseDidError),
    /// What stands behind it is no charm ID.
    #[error(transparent)]
    Charm(#[from] ParseCharmIdError),
}

impl FromStr for CharmRef {
    type Err = ParseCharmRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (space, charm) = text.split_once('/').ok_or(ParseCharmRefError::NoSlash)?;
        Ok(Self { space: space.parse()?, charm: charm.parse()? })
    }
}
