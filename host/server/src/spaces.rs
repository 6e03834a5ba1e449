//! Spaces: their charms and their access lists.

use axum::Json;
use bg_charm_api::wire::Problem;
use bg_charm_api::{Acl, DeployRequest, Deployed, SpaceSummary, Spaces, wire};
use bg_identity::SpaceDid;
use bg_poller::RuntimeError;
use http::Uri;

use crate::admission::Signed;
use crate::answer::Failure;
use crate::options::{BODY, DEPLOY_BODY, NO_BODY};
use crate::query::{SpacePath, parameter};

/// The error of a request about a space. Once the request is parsed, only a missing space can make it invalid.
fn refused(space: &SpaceDid) -> impl FnOnce(RuntimeError) -> Failure {
    let space = space.clone();
    |error| match error {
        RuntimeError::Invalid(detail) => Problem::no_space(space, detail).into(),
        other => other.into(),
    }
}

/// `GET /api/v1/spaces?name=NAME`
pub(crate) async fn list(uri: Uri, signed: Signed<NO_BODY>) -> Result<Json<wire::SpaceList>, Failure> {
    let name: Option<String> = parameter(&uri, "name")?;
    Ok(Json(wire::SpaceList { spaces: signed.caller.spaces(name.as_deref()).await? }))
}

/// `POST /api/v1/spaces`
pub(crate) async fn new(signed: Signed<BODY>) -> Result<Json<SpaceSummary>, Failure> {
    let wire::NewSpace { name } = signed.json()?;
    Ok(Json(signed.caller.new_space(&name).await?))
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
pub(crate) async fn charms(
    SpacePath(space): SpacePath,
    signed: Signed<NO_BODY>,
) -> Result<Json<wire::Charms>, Failure> {
    Ok(Json(wire::Charms { charms: signed.caller.charms(&space).await.map_err(refused(&space))? }))
}

/// `GET /api/v1/spaces/{space}/acl`
pub(crate) async fn acl(SpacePath(space): SpacePath, signed: Signed<NO_BODY>) -> Result<Json<Acl>, Failure> {
    Ok(Json(signed.caller.acl(&space).await.map_err(refused(&space))?))
}

/// `PUT /api/v1/spaces/{space}/acl`
pub(crate) async fn set_acl(SpacePath(space): SpacePath, signed: Signed<BODY>) -> Result<Json<Acl>, Failure> {
    let wire::SetAcl { subject, level } = signed.json()?;
    Ok(Json(signed.caller.set_acl(&space, &subject, level).await.map_err(refused(&space))?))
}
