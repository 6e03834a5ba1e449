//! Endpoints for charms: their cells, logs and runs, and events sent to them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bg_charm_api::{CharmShow, LogQuery, SetRequest, Spaces, wire};
use bg_poller::{CharmRuntime, Counters};
use http::{StatusCode, Uri};

use crate::admission::Signed;
use crate::answer::Failure;
use crate::app::App;
use crate::options::{BODY, NO_BODY, VALUE_BODY};
use crate::query::{CharmPath, KeyPath, parameter};
use crate::triggers::EventKey;

/// How many runs are returned by default, and at most.
const RUNS: usize = 20;
const MOST_RUNS: usize = 1_000;

/// `GET /api/v1/charms/{space}/{charm}`
pub(crate) async fn shape(CharmPath(charm): CharmPath, signed: Signed<NO_BODY>) -> Result<Json<wire::Shape>, Failure> {
    Ok(Json(signed.caller.shape(&charm).await?))
}

/// `DELETE /api/v1/charms/{space}/{charm}`
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    CharmPath(charm): CharmPath,
    signed: Signed<NO_BODY>,
) -> Result<StatusCode, Failure> {
    signed.caller.delete(&charm).await?;
    app.counts.forget().await;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/charms/{space}/{charm}/value?path=["key",…]`
pub(crate) async fn value(
    CharmPath(charm): CharmPath,
    uri: Uri,
    signed: Signed<NO_BODY>,
) -> Result<Json<wire::Value>, Failure> {
    let KeyPath(path) = parameter(&uri, "path")?
        .ok_or_else(|| Failure::invalid("the query parameter path is missing; expected a JSON array of strings"))?;
    let found = signed.caller.open(&charm).await?.get(&path).await?;
    Ok(Json(found.into()))
}

/// `PUT /api/v1/charms/{space}/{charm}/value`
pub(crate) async fn set(CharmPath(charm): CharmPath, signed: Signed<VALUE_BODY>) -> Result<StatusCode, Failure> {
    let request: SetRequest = signed.json()?;
    signed.caller.set(&charm, &request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/charms/{space}/{charm}/runs?limit=N`
pub(crate) async fn runs(
    CharmPath(charm): CharmPath,
    uri: Uri,
    signed: Signed<NO_BODY>,
) -> Result<Json<wire::Runs>, Failure> {
    let limit = parameter(&uri, "limit")?.unwrap_or(RUNS).min(MOST_RUNS);
    Ok(Json(wire::Runs { runs: signed.caller.runs(&charm, limit).await? }))
}

/// `GET /api/v1/charms/{space}/{charm}/counters`
pub(crate) async fn counters(CharmPath(charm): CharmPath, signed: Signed<NO_BODY>) -> Result<Json<Counters>, Failure> {
    Ok(Json(signed.caller.counters(&charm).await?))
}

/// How many lines of a log are returned by default.
const LINES: usize = 100;

/// `GET /api/v1/charms/{space}/{charm}/logs?after=N&limit=N&wait=true`; waits at most [`wire::CHANGES_WAIT_SECONDS`].
pub(crate) async fn logs(
    State(app): State<Arc<App>>,
    CharmPath(charm): CharmPath,
    uri: Uri,
    signed: Signed<NO_BODY>,
) -> Result<Json<wire::Logs>, Failure> {
    let query = LogQuery {
        after: parameter(&uri, "after")?,
        limit: parameter(&uri, "limit")?.unwrap_or(LINES),
        wait: parameter(&uri, "wait")?.unwrap_or(false),
    };
    let lines = tokio::select! {
        lines = signed.caller.logs(&charm, query) => lines?,
        () = app.shutdown.cancelled() => Vec::new(),
    };
    Ok(Json(wire::Logs { lines }))
}

/// `GET /api/v1/charms/{space}/{charm}/show`
pub(crate) async fn show(CharmPath(charm): CharmPath, signed: Signed<NO_BODY>) -> Result<Json<CharmShow>, Failure> {
    Ok(Json(signed.caller.show(&charm).await?))
}

/// `GET /api/v1/charms/{space}/{charm}/page`
pub(crate) async fn page(CharmPath(charm): CharmPath, signed: Signed<NO_BODY>) -> Result<Json<wire::Page>, Failure> {
    Ok(Json(wire::Page { page: signed.caller.page(&charm).await? }))
}

/// `POST /api/v1/charms/{space}/{charm}/trigger`; responds when the handler is done.
pub(crate) async fn trigger(
    State(app): State<Arc<App>>,
    CharmPath(charm): CharmPath,
    signed: Signed<BODY>,
) -> Result<Json<wire::Triggered>, Failure> {
    let wire::Trigger { stream, event, poll, key, again } = signed.json()?;
    let Some(key) = key else {
        if again.is_some() {
            return Err(Failure::invalid("a request that is sent again needs the key of the first"));
        }
        let outcome = signed.caller.polling(poll).trigger(&charm, &stream, &event).await?;
        return Ok(Json(wire::Triggered { outcome, server: Some(app.triggers.server()) }));
    };
    let event_key = EventKey::new(signed.caller.actor(), &charm, key)?;
    let sent = format!("{stream} {event}");
    let work = async move {
        // Moves the whole request, with its permits: the work continues if the client hangs up.
        let signed = signed;
        signed.caller.polling(poll).trigger(&charm, &stream, &event).await
    };
    let outcome = app.triggers.once(event_key, &sent, again.as_deref(), work).await?;
    // Taken after the event, so that the client's next events are later than this time.
    Ok(Json(wire::Triggered { outcome, server: Some(app.triggers.server()) }))
}

/// `POST /api/v1/charms/{space}/{charm}/refresh?poll=true`
pub(crate) async fn refresh(
    CharmPath(charm): CharmPath,
    uri: Uri,
    signed: Signed<NO_BODY>,
) -> Result<StatusCode, Failure> {
    let polls = parameter(&uri, "poll")?.unwrap_or(false);
    signed.caller.polling(polls).refresh_auth(&charm).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/charms/{space}/{charm}/secret`; for the egress gate of a service with access to the space.
pub(crate) async fn secret(
    CharmPath(charm): CharmPath,
    signed: Signed<BODY>,
) -> Result<Json<wire::SecretText>, Failure> {
    let wire::SecretPath { path } = signed.json()?;
    Ok(Json(wire::SecretText { secret: signed.caller.secret(&charm, &path).await? }))
}
