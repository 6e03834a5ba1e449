//! The list of registrations.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use bg_charm_api::wire::IntegrationHealth;
use bg_charm_api::{Cursor, RegistrationCount, RegistrationPage, RegistrationQuery};
use bg_charm_runtime::LocalHandle;
use bg_poller::{RegistrationState, RuntimeError};
use http::{StatusCode, Uri};

use super::access::Operator;
use super::filter::Filter;
use super::live::{self, Part};
use super::row::Row;
use super::{actions, counts, integrations, page};
use crate::admission::Unsigned;
use crate::app::App;

/// How many integrations are listed when the requested one has no registrations.
const NAMED: usize = 8;

/// `GET /` and `GET /admin/`: redirects to the list.
pub(super) async fn redirect(_: Unsigned) -> Response {
    Redirect::to("/admin").into_response()
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    notice: Option<&'static str>,
    problem: Option<String>,
    filter: Filter,
    states: [RegistrationState; 6],
    integrations: Vec<String>,
    counts: String,
    polled: String,
    damaged: String,
    troubles: String,
    rows: String,
    events: String,
    here: String,
    enable: String,
    first: Option<String>,
    previous: Option<String>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "rows.html")]
struct Rows<'a> {
    rows: &'a [ShownRow],
    empty: &'a str,
}

struct ShownRow {
    key: String,
    html: String,
}

/// `GET /admin?search=…&space=…&integration=…&state=…&after=…`
pub(super) async fn page(State(app): State<Arc<App>>, uri: Uri, operator: Operator) -> Response {
    let filter = Filter::of(&uri);
    let (query, problem) = match filter.query() {
        Ok(query) => (Some(query), None),
        Err(problem) => (None, Some(problem)),
    };
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let found = async {
        let counts = app.counts.get(&operator.handle).await?;
        let damaged = app.counts.damaged(&operator.handle).await?;
        let overview = match query {
            Some(query) => operator.handle.overview(query).await?,
            None => RegistrationPage { rows: Vec::new(), more: false },
        };
        Ok::<_, RuntimeError>((counts, damaged, overview))
    };
    let (counts, damaged, overview) = match found.await {
        Ok(found) => found,
        Err(error) => return page::failed(&error),
    };
    let (previous, next) = neighbours(&filter, &overview);
    let health = app.pollers.health(&app.activity);
    let shown = ListPage {
        notice: actions::notice(&uri),
        problem,
        states: RegistrationState::ALL,
        integrations: counts::by_integration(&counts).keys().take(100).map(ToString::to_string).collect(),
        counts: counts::part(&counts),
        polled: page::polled(&app),
        damaged: counts::damaged_part(&damaged),
        troubles: integrations::troubles(&health),
        rows: rows_part(&filter, &shown_rows(&app, &overview, &health), &counts),
        events: filter.address("/admin/events"),
        here: filter.address("/admin"),
        enable: filter.first().address("/admin/enable"),
        first: (!(filter.after.is_empty() && filter.before.is_empty())).then(|| filter.first().address("/admin")),
        previous,
        next,
        filter,
    };
    page::html(status, &shown)
}

/// The addresses of the pages before and after this one.
fn neighbours(filter: &Filter, overview: &RegistrationPage) -> (Option<String>, Option<String>) {
    let RegistrationPage { rows, more } = overview;
    let backwards = !filter.before.is_empty() && filter.after.is_empty();
    let is_first = filter.after.is_empty() && filter.before.is_empty();
    let charm = |row: Option<&bg_charm_api::RegistrationRow>| row.map(|row| row.registration.charm.to_string());
    let has_previous = if backwards { *more } else { !is_first };
    let has_next = if backwards { true } else { *more };
    let previous = charm(rows.first()).filter(|_| has_previous);
    let next = charm(rows.last()).filter(|_| has_next);
    (
        previous.map(|before| Filter { before, ..filter.first() }.address("/admin")),
        next.map(|after| Filter { after, ..filter.first() }.address("/admin")),
    )
}

fn shown_rows(app: &App, overview: &RegistrationPage, health: &[IntegrationHealth]) -> Vec<ShownRow> {
    let row = |row| {
        let row = Row::new(row, &app.pollers, health);
        ShownRow { html: row.html(), key: row.key }
    };
    overview.rows.iter().map(row).collect()
}

fn rows_part(filter: &Filter, rows: &[ShownRow], counts: &[RegistrationCount]) -> String {
    page::part(&Rows { rows, empty: &empty(filter, counts) })
}

/// Why the list is empty. An unknown name is reported with the existing ones.
fn empty(filter: &Filter, counts: &[RegistrationCount]) -> String {
    let known: Vec<String> = counts::by_integration(counts).keys().take(NAMED).map(ToString::to_string).collect();
    if known.is_empty() {
        return "No charm is registered yet. A charm's page has a button for it, and `bg-wasm-host register` does the \
            same."
            .to_owned();
    }
    let name = &filter.integration;
    if !name.is_empty() && !counts.iter().any(|one| one.integration.as_str() == name) {
        return format!("No charm is registered for {name}; there are charms of {}.", known.join(", "));
    }
    "No registration matches.".to_owned()
}

/// `GET /admin/events?…`: the parts of that page, when they change.
pub(super) async fn events(State(app): State<Arc<App>>, uri: Uri, operator: Operator) -> Response {
    let filter = Filter::of(&uri);
    let Ok(query) = filter.query() else { return page::text(StatusCode::BAD_REQUEST, "the page has no such list") };
    let Operator { handle, headers } = operator;
    live::events(app.clone(), headers, move || parts(app.clone(), handle.clone(), filter.clone(), query.clone()))
}

async fn parts(
    app: Arc<App>,
    handle: LocalHandle,
    filter: Filter,
    query: RegistrationQuery,
) -> Result<Option<Vec<Part>>, RuntimeError> {
    let counts = app.counts.get(&handle).await?;
    let damaged = app.counts.damaged(&handle).await?;
    let mut overview = handle.overview(query.clone()).await?;
    if overview.rows.is_empty() && matches!(query.cursor, Some(Cursor::Before(_) | Cursor::After(_))) {
        // The rows of this page are gone; the list has others.
        overview = handle.overview(RegistrationQuery { cursor: None, ..query }).await?;
    }
    let health = app.pollers.health(&app.activity);
    let rows = shown_rows(&app, &overview, &health);
    // Single rows, as long as the list has the same ones.
    let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    let all = Part::of_parts("rows", keys.join(" "), rows_part(&filter, &rows, &counts));
    let single = rows.into_iter().map(|row| Part::within("rows", row.key, row.html));
    let polled = Part::new(page::POLLED, page::polled(&app));
    let troubles = Part::new(integrations::TROUBLES, integrations::troubles(&health));
    let damaged = Part::new(counts::DAMAGED, counts::damaged_part(&damaged));
    let counts = Part::new("counts", counts::part(&counts));
    Ok(Some([counts, polled, damaged, troubles, all].into_iter().chain(single).collect()))
}
