//! Spaces: their charms and their access lists.

use axum::Json;
use bg_charms::api::Problem;
use bg_charms::{Acl, DeployRequest, Deployed, Spaces, api};
use bg_identity::SpaceDid;
use bg_poller::RuntimeError;

use crate::admission::Signed;
use crate::answer::Failure;
use crate::options::{BODY, DEPLOY_BODY, NO_BODY};
use crate::query::SpacePath;

/// Why something is not told or changed about a space. All that can be wrong with a request for one, once it is read, is that there is no such
/// space.
fn refused(space: &SpaceDid) -> impl FnOnce(RuntimeError) -> Failure {
    let space = space.clone();
    |error| match error {
        RuntimeError::Invalid(detail) => Problem::no_space(space, detail).into(),
        other => other.into(),
    }
}

/// `POST /api/v1/spaces/{space}/charms`
pub(crate) async fn deploy(
    SpacePath(space): SpacePath,
    signed: Signed<DEPLOY_BODY>,
) -> Result<Json<Deployed>, Failure> {
    let request: DeployRequest = signed.json()?;
    Ok(Json(signed.caller.deploy(&space, &request).await?))
}

/// `GET /api/v1/spaces/{space}/charms`
pub(crate) async fn charms(SpacePath(space): SpacePath, signed: Signed<NO_BODY>) -> Result<Json<api::Charms>, Failure> {
    Ok(Json(api::Charms { charms: signed.caller.charms(&space).await.map_err(refused(&space))? }))
}

/// `GET /api/v1/spaces/{space}/acl`
pub(crate) async fn acl(SpacePath(space): SpacePath, signed: Signed<NO_BODY>) -> Result<Json<Acl>, Failure> {
    Ok(Json(signed.caller.acl(&space).await.map_err(refused(&space))?))
}

/// `PUT /api/v1/spaces/{space}/acl`
pub(crate) async fn set_acl(SpacePath(space): SpacePath, signed: Signed<BODY>) -> Result<Json<Acl>, Failure> {
    let api::SetAcl { subject, level } = signed.json()?;
    Ok(Json(signed.caller.set_acl(&space, &subject, level).await.map_err(refused(&space))?))
}
