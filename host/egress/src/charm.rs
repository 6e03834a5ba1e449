//! The charm that a request is for.

use std::fmt;
use std::sync::Arc;

use bg_identity::CharmRef;

/// The charm that a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestCharm {
    /// The one of the call: the host knows it, whatever the guest says.
    Known(Arc<CharmRef>),
    /// The text by which the guest names one, in whatever form it did so.
    Named(String),
}

impl RequestCharm {
    /// Which charm it is; none if the guest's text is no name of one.
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
