//! Who sends a request.

use std::fmt;

use bg_identity::IntegrationId;

/// Who sends a request. Each owner has its own connections, TLS sessions and grants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// An integration.
    Integration(IntegrationId),
    /// The handlers of charms.
    Charms,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integration(id) => write!(f, "integration {id}"),
            Self::Charms => f.write_str("charms"),
        }
    }
}
