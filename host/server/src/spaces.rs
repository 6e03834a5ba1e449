//! Spaces: their charms and their access lists.

use axum::Json;
use bg_charms::{Acl, DeployRequest, Deployed, Spaces, api};

use crate::answer::Failure;
use crate::options::{BODY, DEPLOY_BODY, NO_BODY};
use crate::query::SpacePath;
use crate::signed::Signed;

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
    Ok(Json(api::Charms { charms: signed.caller.charms(&space).await? }))
}

/// `GET /api/v1/spaces/{space}/acl`
pub(crate) async fn acl(SpacePath(space): SpacePath, signed: Signed<NO_BODY>) -> Result<Json<Acl>, Failure> {
    Ok(Json(signed.caller.acl(&space).await?))
}

/// `PUT /api/v1/spaces/{space}/acl`
pub(crate) async fn set_acl(SpacePath(space): SpacePath, signed: Signed<BODY>) -> Result<Json<Acl>, Failure> {
    let api::SetAcl { subject, level } = signed.json()?;
    Ok(Json(signed.caller.set_acl(&space, &subject, level).await?))
}
