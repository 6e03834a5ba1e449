//! Credentials, which guests use but never see.

use async_trait::async_trait;
use bg_identity::Secret;
use bg_manifest::CredentialPath;

use crate::{Owner, RequestCharm};

/// Why a credential is not available. Contains no part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The guest named a charm that it may not act for, or something that is not a charm.
    #[error("{charm} is not a charm of {owner}")]
    NotItsCharm {
        /// What the guest named.
        charm: String,
        /// Who named it.
        owner: Owner,
    },
    /// The charm has no such secret, or its authorization has ended for good.
    #[error("{0}")]
    Missing(String),
    /// The operator's configuration does not allow it: the client of the token service, or access to the space.
    #[error("{0}")]
    Refused(String),
    /// The charm runtime, or the token service, could not be reached; a later attempt may succeed.
    #[error("{0}")]
    Unavailable(String),
}

/// Where credentials come from.
#[async_trait]
pub trait CredentialSource: Send + Sync {
    /// The bearer token at `path` of the charm that the request is for, by the host or by the guest's `bg-charm`
    /// header. Must check that the charm belongs to `owner`.
    async fn bearer(
        &self,
        owner: &Owner,
        charm: &RequestCharm,
        path: &CredentialPath,
    ) -> Result<Secret, CredentialError>;

    /// A replacement for the token `refused`, to which a server answered 401. Renewed once for all concurrent callers.
    /// `None` if there is no replacement; the guest then gets the server's answer.
    async fn renewed(
        &self,
        owner: &Owner,
        charm: &RequestCharm,
        path: &CredentialPath,
        refused: &Secret,
    ) -> Result<Option<Secret>, CredentialError>;
}
