//! The charm that a request is for.

use std::fmt;
use std::sync::Arc;

use bg_identity::CharmRef;

/// The charm that a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestCharm {
    /// The charm of the call, which the host knows; the guest cannot change it.
    Known(Arc<CharmRef>),
    /// The guest's text, which may not be the name of a charm.
    Named(String),
}

impl RequestCharm {
    /// The charm; `None` if the guest's text is not the name of one.
    pub fn charm(&self) -> Option<CharmRef> {
        match self {
            Self::Known(charm) => Some(CharmRef::clone(charm)),
            Self::Named(text) => text.parse().ok(),
        }
    }
}

impl fmt::Display for RequestCharm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(charm) => charm.fmt(f),
            Self::Named(text) => f.write_str(text),
        }
    }
}
