//! Accounts at other services, for their operator.

use axum::Json;
use bg_charm_api::{
    AccountRequest, AccountSummary, Accounts, AttachRequest, ClientRequest, ClientSummary, DetachRequest, DeviceAnswer,
    DeviceBegun, DeviceQuestion, LoggedOut, SignInAnswer, SignInBegun, SignInRequest, SignedIn, TokenRequest, wire,
};

use crate::admission::Signed;
use crate::answer::Failure;
use crate::options::{ACCOUNT_BODY, NO_BODY};

/// `GET /api/v1/accounts`
pub(crate) async fn list(signed: Signed<NO_BODY>) -> Result<Json<wire::Accounts>, Failure> {
    Ok(Json(wire::Accounts { accounts: signed.caller.accounts().await? }))
}

/// `GET /api/v1/accounts/clients`
pub(crate) async fn clients(signed: Signed<NO_BODY>) -> Result<Json<wire::Clients>, Failure> {
    Ok(Json(wire::Clients { clients: signed.caller.clients().await? }))
}

/// `PUT /api/v1/accounts/clients`
pub(crate) async fn set_client(signed: Signed<ACCOUNT_BODY>) -> Result<Json<ClientSummary>, Failure> {
    let request: ClientRequest = signed.json()?;
    Ok(Json(signed.caller.set_client(&request).await?))
}

/// `POST /api/v1/accounts/sign-in`
pub(crate) async fn begin_sign_in(signed: Signed<ACCOUNT_BODY>) -> Result<Json<SignInBegun>, Failure> {
    let request: SignInRequest = signed.json()?;
    Ok(Json(signed.caller.begin_sign_in(&request).await?))
}

/// `POST /api/v1/accounts/sign-in/answer`
pub(crate) async fn finish_sign_in(signed: Signed<ACCOUNT_BODY>) -> Result<Json<SignedIn>, Failure> {
    let answer: SignInAnswer = signed.json()?;
    Ok(Json(signed.caller.finish_sign_in(&answer).await?))
}

/// `POST /api/v1/accounts/device`
pub(crate) async fn begin_device(signed: Signed<ACCOUNT_BODY>) -> Result<Json<DeviceBegun>, Failure> {
    let request: SignInRequest = signed.json()?;
    Ok(Json(signed.caller.begin_device(&request).await?))
}

/// `POST /api/v1/accounts/device/answer`
pub(crate) async fn poll_device(signed: Signed<ACCOUNT_BODY>) -> Result<Json<DeviceAnswer>, Failure> {
    let question: DeviceQuestion = signed.json()?;
    Ok(Json(signed.caller.poll_device(&question).await?))
}

/// `POST /api/v1/accounts/token`
pub(crate) async fn keep_token(signed: Signed<ACCOUNT_BODY>) -> Result<Json<SignedIn>, Failure> {
    let request: TokenRequest = signed.json()?;
    Ok(Json(signed.caller.keep_token(&request).await?))
}

/// `POST /api/v1/accounts/attach`
pub(crate) async fn attach(signed: Signed<ACCOUNT_BODY>) -> Result<Json<AccountSummary>, Failure> {
    let request: AttachRequest = signed.json()?;
    Ok(Json(signed.caller.attach(&request).await?))
}

/// `POST /api/v1/accounts/detach`
pub(crate) async fn detach(signed: Signed<ACCOUNT_BODY>) -> Result<Json<wire::Detached>, Failure> {
    let request: DetachRequest = signed.json()?;
    Ok(Json(wire::Detached { cells: signed.caller.detach(&request).await? }))
}

/// `POST /api/v1/accounts/renew`
pub(crate) async fn renew(signed: Signed<ACCOUNT_BODY>) -> Result<Json<AccountSummary>, Failure> {
    let request: AccountRequest = signed.json()?;
    Ok(Json(signed.caller.renew(&request).await?))
}

/// `POST /api/v1/accounts/logout`
pub(crate) async fn logout(signed: Signed<ACCOUNT_BODY>) -> Result<Json<LoggedOut>, Failure> {
    let request: AccountRequest = signed.json()?;
    Ok(Json(signed.caller.logout(&request).await?))
}
