//! Why a request is not granted.

use http::Method;

use crate::methods::Methods;
use crate::origin::Origin;
use crate::path::PathMismatch;
use crate::target::TargetError;

/// Why a grant does not cover a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// There is no grant at all.
    #[error("no HTTP is granted")]
    NoGrant,
    /// The URL may not be requested.
    #[error(transparent)]
    Url(#[from] TargetError),
    /// The scheme, the host or the port differs.
    #[error("no grant covers {0}")]
    Origin(Origin),
    /// The path differs, or is ambiguous.
    #[error(transparent)]
    Path(#[from] PathMismatch),
    /// The method differs.
    #[error("{method} is not granted there, only {granted}")]
    Method {
        /// The requested method.
        method: Method,
        /// The granted methods.
        granted: Methods,
    },
}
