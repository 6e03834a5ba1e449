//! Endpoints for registrations, their changes, and polls that ended before anything was triggered.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use bg_charm_api::{RegistrationFilter, Spaces, wire};
use bg_poller::{CharmRuntime, DisabledBy, Registration, RegistrationChanges};
use http::{StatusCode, Uri};

use crate::admission::Signed;
use crate::answer::Failure;
use crate::app::App;
use crate::options::{BODY, NO_BODY, REGISTRATION_BODY, REPORT_BODY};
use crate::permit;
use crate::query::{CharmPath, IntegrationPath, parameter};

type SignedForm = Signed<REGISTRATION_BODY>;

/// The reason if a client gives none.
const BY_HAND: &str = "by hand";

/// `GET /api/v1/registrations`, `?after=N` for what has changed since, `?fixes=true` with what to do about each.
pub(crate) async fn list(uri: Uri, signed: Signed<NO_BODY>) -> Result<Json<wire::Registrations>, Failure> {
    let known = parameter(&uri, "after")?;
    let RegistrationChanges { revision, registrations, removed } = signed.caller.registrations_since(known).await?;
    let says_fixes = parameter(&uri, "fixes")?.unwrap_or(false);
    let fix = |registration: &Registration| registration.fix().filter(|_| says_fixes);
    let registrations =
        registrations.into_iter().map(|registration| wire::Listed { fix: fix(&registration), registration }).collect();
    Ok(Json(wire::Registrations { revision: revision.unwrap_or_default(), registrations, removed }))
}

/// `GET /api/v1/registrations/damaged`
pub(crate) async fn damaged(signed: Signed<NO_BODY>) -> Result<Json<wire::Damaged>, Failure> {
    Ok(Json(wire::Damaged { damaged: signed.caller.damaged().await? }))
}

/// `GET /api/v1/registrations/changes?after=N`; waits at most [`wire::CHANGES_WAIT_SECONDS`].
pub(crate) async fn changes(
    State(app): State<Arc<App>>,
    uri: Uri,
    signed: Signed<NO_BODY>,
) -> Result<Json<wire::Revision>, Failure> {
    let after = parameter(&uri, "after")?.unwrap_or(0);
    let revision = tokio::select! {
        changed = signed.caller.changed(after) => changed?,
        () = app.shutdown.cancelled() => after,
    };
    Ok(Json(wire::Revision { revision }))
}

/// `POST /api/v1/registrations`
pub(crate) async fn register(State(app): State<Arc<App>>, signed: SignedForm) -> Result<Json<Registration>, Failure> {
    let wire::Register { charm, integration } = signed.json()?;
    permit::registration(&app, &signed.caller, &charm, &integration).await?;
    Ok(Json(signed.caller.register(&charm, &integration).await?))
}

/// `PATCH /api/v1/registrations/{space}/{charm}`
pub(crate) async fn set_disabled(
    CharmPath(charm): CharmPath,
    signed: SignedForm,
) -> Result<Json<Registration>, Failure> {
    let wire::SetDisabled { disabled, reason, by } = signed.json()?;
    let reason = reason.as_deref().unwrap_or(BY_HAND);
    let disabled = disabled.then_some((by.unwrap_or(DisabledBy::Hand), reason));
    Ok(Json(signed.caller.set_disabled(&charm, disabled).await?))
}

/// `POST /api/v1/registrations/enable`
pub(crate) async fn enable(signed: SignedForm) -> Result<Json<wire::Enabled>, Failure> {
    let wire::EnableMany { filter, all } = signed.json()?;
    if all == (filter != RegistrationFilter::default()) {
        return Err(Failure::invalid("expected a search, space, integration or state, or else all as true"));
    }
    Ok(Json(wire::Enabled { enabled: signed.caller.enable_all(&filter).await? }))
}

/// `PUT /api/v1/registrations/{space}/{charm}/interval`
pub(crate) async fn set_interval(
    CharmPath(charm): CharmPath,
    signed: SignedForm,
) -> Result<Json<Registration>, Failure> {
    let wire::SetInterval { interval_ms } = signed.json()?;
    Ok(Json(signed.caller.set_interval(&charm, interval_ms.map(Duration::from_millis)).await?))
}

/// `DELETE /api/v1/registrations/{space}/{charm}`
pub(crate) async fn remove(
    CharmPath(charm): CharmPath,
    signed: Signed<NO_BODY>,
) -> Result<Json<wire::Removed>, Failure> {
    Ok(Json(wire::Removed { removed: signed.caller.remove(&charm).await? }))
}

/// `POST /api/v1/runs`
pub(crate) async fn record(signed: Signed<BODY>) -> Result<StatusCode, Failure> {
    let wire::Runs { runs } = signed.json()?;
    signed.caller.record(&runs).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/pollers`
pub(crate) async fn report(
    State(app): State<Arc<App>>,
    signed: Signed<REPORT_BODY>,
) -> Result<Json<wire::PollerAnswer>, Failure> {
    let mut report: wire::PollerReport = signed.json()?;
    if !(1..=64).contains(&report.poller.chars().count()) {
        return Err(Failure::invalid("the name of a poll loop has 1 to 64 characters"));
    }
    let failing = std::mem::take(&mut report.failing);
    signed.caller.note_failing(failing, std::mem::take(&mut report.recovered)).await?;
    let answer = app.pollers.note(report);
    app.keep_health().await;
    Ok(Json(answer))
}

/// `PUT /api/v1/integrations/{id}/list`
pub(crate) async fn prepare_list(
    IntegrationPath(integration): IntegrationPath,
    signed: Signed<NO_BODY>,
) -> Result<StatusCode, Failure> {
    signed.caller.prepare_list(&integration).await?;
    Ok(StatusCode::NO_CONTENT)
}
