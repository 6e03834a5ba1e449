//! How far a failure reaches.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Blame;

/// What did not answer. The failure of one charm says nothing about others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// This charm alone, such as one whose turn did not come.
    Charm,
    /// Everything in its space.
    Space,
    /// A service elsewhere that it needs, such as the one that renews tokens.
    Upstream,
    /// The runtime as a whole.
    Runtime,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 4] = [Self::Charm, Self::Space, Self::Upstream, Self::Runtime];

    /// Who is to blame for it.
    pub(crate) fn blame(self) -> Blame {
        match self {
            Self::Charm | Self::Space => Blame::Charm,
            Self::Upstream => Blame::Upstream,
            Self::Runtime => Blame::Runtime,
        }
    }
}
