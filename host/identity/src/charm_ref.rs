//! Names of charms.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CharmId, ParseCharmIdError, ParseDidError, SpaceDid};

/// The name of one charm: its space and its ID there. Written `<space DID>/<charm ID>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CharmRef {
    /// Its space.
    pub space: SpaceDid,
    /// Its ID in the space.
    #[serde(rename = "charmId", alias = "pieceId")]
    pub charm: CharmId,
}

impl fmt::Display for CharmRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.space, self.charm)
    }
}

/// A text that is not the name of a charm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseCharmRefError {
    /// It contains no `/`.
    #[error("a charm is named <space DID>/<charm ID>, with a slash between them")]
    NoSlash,
    /// The part before the slash is not a space.
    #[error(transparent)]
    Space(#[from] ParseDidError),
    /// The part after it is not a charm ID.
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
