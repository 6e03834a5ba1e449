//! Step `rights`: what a request needs, as far as its method and path say it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use bg_charm_api::AccessLevel;
use bg_charm_runtime::Needed;
use bg_identity::{SpaceDid, system_space};
use bg_poller::CharmRef;
use http::request::Parts;

use crate::answer::Failure;
use crate::app::App;
use crate::options::RegistrationPolicy;
use crate::query::{CharmPath, SpacePath};

/// The right that a request needs, by the table of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// Nothing but a signature.
    Any,
    /// To register a charm, which is in the body. Known here only if the operator alone may register.
    Register,
    /// Access to the system space.
    System(AccessLevel),
    /// The operator only.
    OwnKey,
    /// Access to the charm in the path.
    Charm(AccessLevel),
    /// Access to the charm in the path; or to everything that the service polls.
    Observe,
    /// Ownership of the space of the charm in the path, or the service.
    OwnerOrService,
    /// A secret of the charm in the path.
    Secret,
    /// Access to the space in the path, which must exist.
    Space(AccessLevel),
    /// To deploy a charm to the space in the path, which may not exist yet.
    Deploy,
}

impl Right {
    /// The concrete right for this request.
    pub(super) async fn of(self, parts: &mut Parts, app: &Arc<App>) -> Result<Vec<Needed>, Failure> {
        Ok(match self {
            Self::Register if app.registration == RegistrationPolicy::Closed => {
                vec![Needed::Space(system_space(), AccessLevel::Write)]
            }
            Self::Any | Self::Register => Vec::new(),
            Self::System(level) => vec![Needed::Space(system_space(), level)],
            Self::OwnKey => vec![Needed::OwnKey],
            Self::Charm(level) => vec![Needed::Charm(charm(parts, app).await?, level)],
            Self::Observe => vec![Needed::Observe(charm(parts, app).await?)],
            Self::OwnerOrService => vec![Needed::OwnerOrService(charm(parts, app).await?)],
            Self::Secret => vec![
                Needed::Charm(charm(parts, app).await?, AccessLevel::Write),
                Needed::Space(system_space(), AccessLevel::Write),
            ],
            Self::Space(level) => vec![Needed::Space(space(parts, app).await?, level)],
            Self::Deploy => vec![Needed::Deploy(space(parts, app).await?)],
        })
    }
}

async fn charm(parts: &mut Parts, app: &Arc<App>) -> Result<CharmRef, Failure> {
    CharmPath::from_request_parts(parts, app).await.map(|CharmPath(charm)| charm)
}

async fn space(parts: &mut Parts, app: &Arc<App>) -> Result<SpaceDid, Failure> {
    SpacePath::from_request_parts(parts, app).await.map(|SpacePath(space)| space)
}
