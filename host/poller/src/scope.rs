//! How far a failure reaches.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Blame, Cause};

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

    /// The usual cause of a failure of that scope.
    pub(crate) fn usual_cause(self) -> Cause {
        match self {
            Self::Charm => Cause::CharmBusy,
            Self::Space => Cause::SpaceDamaged,
            Self::Upstream => Cause::TokenServiceFails,
            Self::Runtime => Cause::RuntimeAway,
        }
    }

    /// The scope of a failure with that cause.
    pub fn of(cause: Cause) -> Self {
        match (cause, cause.blame()) {
            (Cause::SpaceDamaged, _) => Self::Space,
            (_, Blame::Upstream) => Self::Upstream,
            (_, Blame::Charm) => Self::Charm,
            _ => Self::Runtime,
        }
    }
}
