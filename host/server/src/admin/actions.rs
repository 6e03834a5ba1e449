//! The operator's actions on a registration.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use bg_charm_api::Spaces;
use bg_charm_runtime::LocalHandle;
use bg_poller::{CharmRef, CharmRuntime, DisabledBy, RuntimeError, UPDATER_STREAMS};
use http::{StatusCode, Uri};
use serde_json::json;

use super::access::{Change, Operator};
use super::{link, page};
use crate::app::App;
use crate::query::CharmPath;

/// The reason of registrations that were disabled here.
const BY_HAND: &str = "by hand";

/// The message of the next page. Its name is in the address, so that a link cannot show another text.
#[derive(Clone, Copy)]
enum Said {
    Runs,
    Sent,
    Enabled,
    AllEnabled,
    Disabled,
    Removed,
    Deleted,
}

impl Said {
    const ALL: [Self; 7] =
        [Self::Runs, Self::Sent, Self::Enabled, Self::AllEnabled, Self::Disabled, Self::Removed, Self::Deleted];

    fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Sent => "sent",
            Self::Enabled => "enabled",
            Self::AllEnabled => "all-enabled",
            Self::Disabled => "disabled",
            Self::Removed => "removed",
            Self::Deleted => "deleted",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Runs => "It runs now; the result will appear here.",
            Self::Sent => {
                "The event is sent. It does not count as a poll, because no service polls; the result will appear here."
            }
            Self::Enabled => "Enabled; it is polled at once.",
            Self::AllEnabled => "Enabled; they are polled soon.",
            Self::Disabled => "Disabled; it is no longer polled.",
            Self::Removed => "Removed; it is no longer polled.",
            Self::Deleted => "Deleted, with its registration, cells, log and runs.",
        }
    }
}

/// The message of the last action.
pub(super) fn notice(uri: &Uri) -> Option<&'static str> {
    let mut pairs = url::form_urlencoded::parse(uri.query()?.as_bytes());
    let (_, name) = pairs.find(|(key, _)| key == "said")?;
    Said::ALL.into_iter().find(|said| said.name() == name).map(Said::text)
}

/// Redirects back to the page of the form, with a message.
fn done(change: &Change, charm: &CharmRef, said: Said) -> Response {
    let back =
        change.form.get("back").filter(|back| link::is_own(back)).map_or_else(|| link::charm(charm), str::to_owned);
    let separator = if back.contains('?') { '&' } else { '?' };
    page::redirect(&format!("{back}{separator}said={}", said.name()))
}

fn log(charm: &CharmRef, what: &str) {
    tracing::info!(target: "admin", %charm, "{what} by the operator: {charm}");
}

/// `POST /admin/charms/{space}/{charm}/enable`
pub(super) async fn enable(State(app): State<Arc<App>>, CharmPath(charm): CharmPath, change: Change) -> Response {
    match change.handle.set_disabled(&charm, None).await {
        Ok(_) => {
            log(&charm, "enabled");
            app.counts.forget().await;
            done(&change, &charm, Said::Enabled)
        }
        Err(error) => page::failed(&error),
    }
}

/// `POST /admin/charms/{space}/{charm}/disable`
pub(super) async fn disable(State(app): State<Arc<App>>, CharmPath(charm): CharmPath, change: Change) -> Response {
    match change.handle.set_disabled(&charm, Some((DisabledBy::Hand, BY_HAND))).await {
        Ok(_) => {
            log(&charm, "disabled");
            app.counts.forget().await;
            done(&change, &charm, Said::Disabled)
        }
        Err(error) => page::failed(&error),
    }
}

#[derive(Template)]
#[template(path = "remove.html")]
struct AskToRemove {
    name: String,
    page: String,
    space: String,
    charm: String,
}

#[derive(Template)]
#[template(path = "delete.html")]
struct AskToDelete {
    name: String,
    page: String,
    space: String,
    charm: String,
}

/// `GET /admin/charms/{space}/{charm}/remove`
pub(super) async fn ask_to_remove(CharmPath(charm): CharmPath, operator: Operator) -> Response {
    ask(&charm, &operator, |[name, page, space, charm]| AskToRemove { name, page, space, charm }).await
}

/// `GET /admin/charms/{space}/{charm}/delete`
pub(super) async fn ask_to_delete(CharmPath(charm): CharmPath, operator: Operator) -> Response {
    ask(&charm, &operator, |[name, page, space, charm]| AskToDelete { name, page, space, charm }).await
}

/// A page that asks for confirmation; it has the charm's name, page, space and ID.
async fn ask<T: Template>(charm: &CharmRef, operator: &Operator, of: impl FnOnce([String; 4]) -> T) -> Response {
    match operator.handle.overview_of(charm).await {
        Ok(Some(row)) => {
            let name = row.name.unwrap_or_else(|| bg_identity::short(charm.charm.as_str()));
            page::html(
                StatusCode::OK,
                &of([name, link::charm(charm), charm.space.to_string(), charm.charm.to_string()]),
            )
        }
        Ok(None) => not_registered(charm),
        Err(error) => page::failed(&error),
    }
}

fn not_registered(charm: &CharmRef) -> Response {
    page::problem(StatusCode::NOT_FOUND, "Not registered", &format!("{charm} is not registered to be polled."))
}

/// `POST /admin/charms/{space}/{charm}/remove`
pub(super) async fn remove(State(app): State<Arc<App>>, CharmPath(charm): CharmPath, change: Change) -> Response {
    match change.handle.remove(&charm).await {
        Ok(true) => {
            log(&charm, "removed");
            app.counts.forget().await;
            // The charm's own page no longer exists.
            let change = Change { form: super::access::Form::parse(b"back=/admin"), ..change };
            done(&change, &charm, Said::Removed)
        }
        Ok(false) => not_registered(&charm),
        Err(error) => page::failed(&error),
    }
}

/// `POST /admin/charms/{space}/{charm}/delete`
pub(super) async fn delete(State(app): State<Arc<App>>, CharmPath(charm): CharmPath, change: Change) -> Response {
    match change.handle.delete(&charm).await {
        Ok(()) => {
            log(&charm, "deleted");
            app.counts.forget().await;
            // The charm's own page no longer exists.
            let change = Change { form: super::access::Form::parse(b"back=/admin"), ..change };
            done(&change, &charm, Said::Deleted)
        }
        Err(error) => page::failed(&error),
    }
}

/// `POST /admin/charms/{space}/{charm}/run`: a normal poll if there is a poll loop; otherwise the event alone, as by
/// `bg-wasm-host trigger`.
pub(super) async fn run(State(app): State<Arc<App>>, CharmPath(charm): CharmPath, change: Change) -> Response {
    let said = match app.pollers.poll(&charm).await {
        Ok(Some(true)) => Said::Runs,
        // It may have been registered a moment ago, or belong to another service (--charms).
        Ok(Some(false)) => {
            let text = format!(
                "The service does not poll {charm}: it is not registered, or disabled, or this service is for other \
                 charms."
            );
            return page::problem(StatusCode::CONFLICT, "It is not polled", &text);
        }
        Ok(None) => {
            if let Err(error) = begin(&change.handle, &charm).await {
                return page::failed(&error);
            }
            Said::Sent
        }
        Err(error) => {
            return page::problem(StatusCode::SERVICE_UNAVAILABLE, "It is not polled", &error.to_string());
        }
    };
    log(&charm, "run");
    done(&change, &charm, said)
}

/// Sends the event, and does not wait for the result: a handler may take a minute.
async fn begin(handle: &LocalHandle, charm: &CharmRef) -> Result<(), RuntimeError> {
    let view = handle.open(charm).await?;
    for stream in UPDATER_STREAMS {
        if view.has_stream(stream).await? {
            let (handle, charm) = (handle.clone(), charm.clone());
            tokio::spawn(async move {
                if let Err(error) = handle.trigger(&charm, stream, &json!({})).await {
                    tracing::warn!(target: "admin", %charm, "{charm} could not be run: {error}");
                }
            });
            return Ok(());
        }
    }
    Err(RuntimeError::Unfit(format!("{charm} has no stream with one of the names {}", UPDATER_STREAMS.join(", "))))
}
