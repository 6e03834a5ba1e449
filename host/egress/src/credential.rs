//! Credentials, which guests use but never see.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use bg_identity::Secret;
use bg_manifest::CredentialPath;

use crate::{Owner, RequestCharm};

/// Why a credential is not available. Contains no part of one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CredentialError {
    /// The guest named a charm that it may not act for, or something that is not a charm.
    #[error("{charm} is not a charm of {owner}")]
    NotItsCharm {
        /// What the guest named.
        charm: String,
        /// Who named it.
        owner: Owner,
    },
    /// There is nothing that could be sent as a token.
    #[error("{0}")]
    Missing(String),
    /// The source failed. The gate does not know how sources fail, so it passes the error on to the source's owner, who
    /// does.
    #[error("{0}")]
    Failed(Arc<dyn Error + Send + Sync>),
}

impl CredentialError {
    /// An error of a source.
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(error.into().into())
    }
}

/// Why there is no new token in place of the one that a server refused. It is among the extensions of that server's
/// answer, which says less: only that it did not accept the old one.
#[derive(Clone, Debug)]
pub struct NotRenewed(pub CredentialError);

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
