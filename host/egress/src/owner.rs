//! For whom a request is sent.

use std::fmt;

use bg_identity::IntegrationId;

/// For whom requests are sent. Each has connections, TLS sessions and grants of its own.
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
