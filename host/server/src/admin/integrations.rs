//! Integrations: what they are, what they ask for and get, and what they do.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use bg_charms::LocalHandle;
use bg_egress::{Decision, Owner};
use bg_identity::IntegrationId;
use bg_manifest::AskedHttp;
use bg_poller::{RuntimeError, Standing};
use http::StatusCode;

use super::access::Operator;
use super::live::{self, Part};
use super::{counts, page, times};
use crate::activity::{CallTotals, Denial, OwnerEgress, Sent};
use crate::app::App;
use crate::polling::{IntegrationView, Polling};
use crate::query::IntegrationPath;

/// How many integrations without a component are listed: anybody may register a charm under any name.
const MOST_WITHOUT: usize = 200;
const CHARMS: &str = "Charms' handlers";

#[derive(Template)]
#[template(path = "integrations.html")]
struct All {
    polls_here: bool,
    table: String,
}

#[derive(Template)]
#[template(path = "integrations_table.html")]
struct Table {
    rows: Vec<TableRow>,
}

struct TableRow {
    link: String,
    name: String,
    component: String,
    paused: bool,
    standing: String,
    registrations: String,
    calls: u64,
    requests: u64,
    denied: u64,
}

async fn table(app: &App, handle: &LocalHandle) -> Result<String, RuntimeError> {
    let registered = counts::by_integration(&app.counts.get(handle).await?);
    let with_component = app.polling.as_deref().map(Polling::integrations).unwrap_or_default();
    let standings = app.polling.as_deref().map(|polling| polling.gauges().integrations()).unwrap_or_default();
    let row =
        |owner: &Owner, name: String, component: String, standing: Option<Standing>, says: String, registrations| {
            let (calls, egress) = (app.activity.calls_of(owner), app.activity.egress_of(owner));
            TableRow {
                link: link(owner),
                name,
                component,
                paused: standing.is_some_and(|standing| standing.paused),
                standing: says,
                registrations,
                calls: calls.iter().map(|(_, totals)| totals.calls).sum(),
                requests: egress.allowed + egress.denied + egress.would_deny,
                denied: egress.denied + egress.would_deny,
            }
        };
    let count = |id: &IntegrationId| registered.get(id).copied().unwrap_or(0).to_string();
    let mut rows = Vec::new();
    for view in &with_component {
        let about = &view.manifest.integration;
        let component = format!("{} {}", view.file.file_name().unwrap_or_default().display(), about.version);
        let owner = Owner::Integration(about.id.clone());
        let standing = standings.get(&about.id).copied();
        let withheld = match (view.withheld.len(), view.asked.len()) {
            (0, _) => "works".to_owned(),
            (withheld, asked) => format!("works; {withheld} of {asked} that it asks for not granted"),
        };
        rows.push(row(&owner, about.id.to_string(), component, standing, withheld, count(&about.id)));
    }
    rows.push(row(&Owner::Charms, CHARMS.to_owned(), "script.wasm".to_owned(), None, String::new(), String::new()));
    let is_known = |id: &IntegrationId| with_component.iter().any(|view| view.manifest.integration.id == *id);
    for id in registered.keys().filter(|id| !is_known(id)).take(MOST_WITHOUT) {
        let owner = Owner::Integration(id.clone());
        let says = if app.polling.is_some() { "polled without being asked for" } else { "" };
        rows.push(row(&owner, id.to_string(), "none".to_owned(), None, says.to_owned(), count(id)));
    }
    Ok(page::part(&Table { rows }))
}

fn link(owner: &Owner) -> String {
    match owner {
        Owner::Integration(id) => format!("/admin/integrations/{id}"),
        Owner::Charms => "/admin/handlers".to_owned(),
    }
}

/// `GET /admin/integrations`
pub(super) async fn all(State(app): State<Arc<App>>, operator: Operator) -> Response {
    match table(&app, &operator.handle).await {
        Ok(table) => page::html(StatusCode::OK, &All { polls_here: app.polling.is_some(), table }),
        Err(error) => page::failed(&error),
    }
}

/// `GET /admin/all-integrations/events`: not below the address of an integration that may be called `events`
pub(super) async fn all_events(State(app): State<Arc<App>>, operator: Operator) -> Response {
    let Operator { handle, headers } = operator;
    live::events(app.clone(), headers, move || {
        let (app, handle) = (app.clone(), handle.clone());
        async move { Ok(Some(vec![Part::new("integrations", table(&app, &handle).await?)])) }
    })
}

#[derive(Template)]
#[template(path = "integration.html")]
struct OwnerPage {
    name: String,
    link: String,
    activity: String,
    view: Option<IntegrationView>,
    loaded: String,
    asked: Vec<ShownAsked>,
}

/// Something that an integration asks for.
struct ShownAsked {
    grant: String,
    credential: String,
    reason: String,
    partly: bool,
    /// What would grant it; nothing if it is granted.
    options: Vec<String>,
}

#[derive(Template)]
#[template(path = "integration_activity.html")]
struct Activity {
    standing: Option<Standing>,
    interval: String,
    registrations: Option<(String, u64)>,
    egress: OwnerEgress,
    denials: Vec<ShownDenial>,
    newest: Vec<ShownSent>,
    calls: Vec<ShownCalls>,
}

struct ShownDenial {
    of: Denial,
    newest: String,
}

struct ShownSent {
    ok: bool,
    at: String,
    of: Sent,
}

struct ShownCalls {
    function: &'static str,
    calls: u64,
    failed: u64,
    mean: String,
    longest: String,
    busy: String,
    memory: String,
}

impl From<(&'static str, CallTotals)> for ShownCalls {
    fn from((function, totals): (&'static str, CallTotals)) -> Self {
        Self {
            function,
            calls: totals.calls,
            failed: totals.failed,
            mean: times::duration(totals.mean()),
            longest: times::duration(totals.longest),
            busy: times::duration(totals.mean_busy()),
            memory: times::bytes(totals.memory),
        }
    }
}

async fn activity(app: &App, handle: &LocalHandle, owner: &Owner) -> Result<String, RuntimeError> {
    let (mut standing, mut registrations) = (None, None);
    if let Owner::Integration(id) = owner {
        standing = app.polling.as_deref().and_then(|polling| polling.gauges().integrations().get(id).copied());
        let count = counts::by_integration(&app.counts.get(handle).await?).get(id).copied().unwrap_or(0);
        registrations = Some((super::link::with_query("/admin", &[("integration", id.as_str())]), count));
    }
    let mut egress = app.activity.egress_of(owner);
    let denials = std::mem::take(&mut egress.denials);
    let newest = std::mem::take(&mut egress.newest);
    let ok = |sent: &Sent| sent.decision == Decision::Allowed && sent.error.is_none();
    Ok(page::part(&Activity {
        standing,
        interval: standing.map(|standing| times::duration(standing.interval)).unwrap_or_default(),
        registrations,
        denials: denials.into_iter().map(|of| ShownDenial { newest: times::past(of.newest), of }).collect(),
        newest: newest.into_iter().map(|of| ShownSent { ok: ok(&of), at: times::past(of.at), of }).collect(),
        calls: app.activity.calls_of(owner).into_iter().map(ShownCalls::from).collect(),
        egress,
    }))
}

fn asked(view: &IntegrationView) -> Vec<ShownAsked> {
    let shown = |asked: &AskedHttp| {
        let withheld: Vec<_> = view.withheld.iter().filter(|withheld| withheld.asked == *asked).collect();
        ShownAsked {
            grant: asked.grant.to_string(),
            credential: asked.credential.as_ref().map(ToString::to_string).unwrap_or_default(),
            reason: asked.reason.clone(),
            partly: withheld.iter().any(|withheld| withheld.partly_granted),
            options: withheld.iter().map(|withheld| withheld.option.clone()).collect(),
        }
    };
    view.asked.iter().map(shown).collect()
}

async fn owner_page(app: &App, operator: &Operator, owner: &Owner) -> Response {
    let (name, view) = match owner {
        Owner::Integration(id) => (id.to_string(), app.polling.as_deref().and_then(|polling| polling.integration(id))),
        Owner::Charms => (CHARMS.to_owned(), None),
    };
    match activity(app, &operator.handle, owner).await {
        Ok(activity) => {
            let loaded = view.as_ref().map(|view| times::past(view.loaded_at)).unwrap_or_default();
            let asked = view.as_ref().map(asked).unwrap_or_default();
            page::html(StatusCode::OK, &OwnerPage { name, link: link(owner), activity, view, loaded, asked })
        }
        Err(error) => page::failed(&error),
    }
}

fn owner_events(app: &Arc<App>, operator: Operator, owner: Owner) -> Response {
    let (Operator { handle, headers }, app) = (operator, app.clone());
    live::events(app.clone(), headers, move || {
        let (app, handle, owner) = (app.clone(), handle.clone(), owner.clone());
        async move { Ok(Some(vec![Part::new("activity", activity(&app, &handle, &owner).await?)])) }
    })
}

/// `GET /admin/integrations/{id}`
pub(super) async fn page(
    State(app): State<Arc<App>>,
    operator: Operator,
    IntegrationPath(id): IntegrationPath,
) -> Response {
    owner_page(&app, &operator, &Owner::Integration(id)).await
}

/// `GET /admin/integrations/{id}/events`
pub(super) async fn events(
    State(app): State<Arc<App>>,
    operator: Operator,
    IntegrationPath(id): IntegrationPath,
) -> Response {
    owner_events(&app, operator, Owner::Integration(id))
}

/// `GET /admin/handlers`: what charms do that run in this process.
pub(super) async fn handlers(State(app): State<Arc<App>>, operator: Operator) -> Response {
    owner_page(&app, &operator, &Owner::Charms).await
}

/// `GET /admin/handlers/events`
pub(super) async fn handler_events(State(app): State<Arc<App>>, operator: Operator) -> Response {
    owner_events(&app, operator, Owner::Charms)
}
