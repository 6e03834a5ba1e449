//! The pages of integrations: what they are, ask for, get and do.

use std::path::Path;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use bg_charm_api::wire::{
    Denial, FunctionCalls, HealthState, IntegrationHealth, IntegrationReport, IntegrationView, OwnerEgress, Sent,
};
use bg_charm_runtime::LocalHandle;
use bg_egress::Owner;
use bg_identity::IntegrationId;
use bg_poller::{LogLine, RuntimeError, Standing, UnixMillis};
use http::StatusCode;

use super::access::Operator;
use super::live::{self, Part};
use super::{counts, page, times};
use crate::app::App;
use crate::pollers::KnownIntegration;
use crate::query::IntegrationPath;

/// How many integrations without a component are listed: anybody may register a charm for any name.
const MOST_WITHOUT: usize = 200;
const CHARMS: &str = "Charms' handlers";

#[derive(Template)]
#[template(path = "integrations.html")]
struct All {
    polled: String,
    table: String,
}

#[derive(Template)]
#[template(path = "integrations_table.html")]
struct Table {
    rows: Vec<TableRow>,
}

#[derive(Default)]
struct TableRow {
    link: String,
    name: String,
    component: String,
    health: Option<ShownHealth>,
    standing: String,
    registrations: String,
    calls: u64,
    requests: u64,
    denied: u64,
}

impl TableRow {
    /// Adds the activity of its component.
    fn doing(self, calls: &[FunctionCalls], egress: &OwnerEgress) -> Self {
        Self {
            calls: calls.iter().map(|function| function.totals.calls).sum(),
            requests: egress.allowed + egress.denied + egress.would_deny,
            denied: egress.denied + egress.would_deny,
            ..self
        }
    }
}

async fn table(app: &App, handle: &LocalHandle) -> Result<String, RuntimeError> {
    let registered = counts::by_integration(&app.counts.get(handle).await?);
    let with_component = app.pollers.integrations(&app.activity);
    let row = |owner: &Owner, name: String, component: String, registrations| TableRow {
        link: link(owner),
        name,
        component,
        registrations,
        ..TableRow::default()
    };
    let count = |id: &IntegrationId| registered.get(id).copied().unwrap_or(0).to_string();
    let mut rows = Vec::new();
    let now = UnixMillis::now();
    for KnownIntegration { report, gone } in &with_component {
        let IntegrationReport { view, calls, egress, .. } = report;
        let file = Path::new(&view.file).file_name().unwrap_or_default();
        let component = format!("{} {}", file.display(), view.version);
        let withheld = view.asked.iter().filter(|asked| !asked.options.is_empty()).count();
        let says = match withheld {
            _ if gone.is_some() => "no longer polls".to_owned(),
            0 => String::new(),
            _ => format!("{withheld} of its {} requests for HTTP not granted", view.asked.len()),
        };
        let health = gone.is_none().then(|| ShownHealth::new(report.health(now)));
        let row = row(&Owner::Integration(view.id.clone()), view.id.to_string(), component, count(&view.id));
        rows.push(TableRow { health, standing: says, ..row.doing(calls, egress) });
    }
    let (calls, egress) = (app.activity.calls_of(&Owner::Charms), app.activity.egress_of(&Owner::Charms));
    let handlers = row(&Owner::Charms, CHARMS.to_owned(), "script.wasm".to_owned(), String::new());
    rows.push(handlers.doing(&calls, &egress));
    let is_known = |id: &IntegrationId| with_component.iter().any(|known| known.report.view.id == *id);
    for id in registered.keys().filter(|id| !is_known(id)).take(MOST_WITHOUT) {
        let says = if app.pollers.are_there() { "polled, without a component" } else { "" };
        let row = row(&Owner::Integration(id.clone()), id.to_string(), "none".to_owned(), count(id));
        rows.push(TableRow { standing: says.to_owned(), ..row });
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
        Ok(table) => page::html(StatusCode::OK, &All { polled: page::polled(&app), table }),
        Err(error) => page::failed(&error),
    }
}

/// `GET /admin/all-integrations/events`: not below the address of an integration that may be called `events`
pub(super) async fn all_events(State(app): State<Arc<App>>, operator: Operator) -> Response {
    let Operator { handle, headers } = operator;
    live::events(app.clone(), headers, move || {
        let (app, handle) = (app.clone(), handle.clone());
        async move {
            let table = table(&app, &handle).await?;
            Ok(Some(vec![Part::new(page::POLLED, page::polled(&app)), Part::new("integrations", table)]))
        }
    })
}

#[derive(Template)]
#[template(path = "integration.html")]
struct OwnerPage {
    name: String,
    link: String,
    health: String,
    activity: String,
    view: Option<IntegrationView>,
    loaded: String,
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

/// The health of an integration, at the top of its page.
#[derive(Template)]
#[template(path = "integration_health.html")]
struct HealthPart {
    known: Option<ShownHealth>,
    /// The last report of its loop, if the loop is gone.
    gone: Option<String>,
}

struct ShownHealth {
    of: IntegrationHealth,
    paused_until: String,
    failed_at: String,
    log: Vec<ShownLine>,
}

impl ShownHealth {
    fn new(of: IntegrationHealth) -> Self {
        let failed_at = of.failure.as_ref().map(|failure| times::past(failure.at)).unwrap_or_default();
        let line = |line: &LogLine| ShownLine {
            at: times::past(line.at),
            level: line.level.as_str(),
            text: line.text.clone(),
        };
        Self { paused_until: times::due(of.paused_until), failed_at, log: of.log.iter().map(line).collect(), of }
    }

    /// Whether its last failure is its present problem.
    fn fails(&self) -> bool {
        self.of.state >= HealthState::Failing
    }

    /// The CSS class for its colour.
    fn class(&self) -> &'static str {
        match self.of.state {
            HealthState::Works => "running",
            HealthState::Degraded => "backing-off",
            HealthState::Failing | HealthState::Paused => "failing",
        }
    }
}

struct ShownLine {
    at: String,
    level: &'static str,
    text: String,
}

/// The problems of integrations, for the list of registrations.
#[derive(Template)]
#[template(path = "troubles.html")]
struct Troubles {
    troubles: Vec<ShownHealth>,
}

/// The ID of that part.
pub(super) const TROUBLES: &str = "troubles";

/// The integrations with problems.
pub(super) fn troubles(all: &[IntegrationHealth]) -> String {
    let troubled = all.iter().filter(|health| health.state != HealthState::Works);
    page::part(&Troubles { troubles: troubled.cloned().map(ShownHealth::new).collect() })
}

/// Empty for charms' handlers, and for integrations without a component.
fn health(known: Option<&KnownIntegration>) -> String {
    let gone = known.and_then(|known| known.gone).map(times::past);
    let known = known.map(|known| ShownHealth::new(known.report.health(UnixMillis::now())));
    page::part(&HealthPart { known, gone })
}

struct ShownDenial {
    of: Denial,
    /// The page of the newest request's charm.
    charm: Option<String>,
    newest: String,
}

struct ShownSent {
    at: String,
    /// How often it was sent in a row, with the same result.
    times: usize,
    of: Sent,
}

/// The newest requests; repetitions are counted with the first.
fn shown_requests(newest: impl IntoIterator<Item = Sent>) -> Vec<ShownSent> {
    let mut shown: Vec<ShownSent> = Vec::new();
    let what = |sent: &Sent| {
        (
            sent.method.clone(),
            sent.origin.clone(),
            sent.path.clone(),
            sent.decision.clone(),
            sent.status,
            sent.error.clone(),
        )
    };
    for of in newest {
        match shown.last_mut().filter(|last| what(&last.of) == what(&of)) {
            Some(last) => last.times += 1,
            None => shown.push(ShownSent { at: times::past(of.at), times: 1, of }),
        }
    }
    shown
}

struct ShownCalls {
    function: String,
    calls: u64,
    failed: u64,
    mean: String,
    longest: String,
    busy: String,
    memory: String,
}

impl From<FunctionCalls> for ShownCalls {
    fn from(FunctionCalls { function, totals }: FunctionCalls) -> Self {
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

/// The page of an integration with a component.
fn known(app: &App, owner: &Owner) -> Option<KnownIntegration> {
    match owner {
        Owner::Integration(id) => app.pollers.integration(id, &app.activity),
        Owner::Charms => None,
    }
}

async fn activity(
    app: &App,
    handle: &LocalHandle,
    owner: &Owner,
    known: Option<KnownIntegration>,
) -> Result<String, RuntimeError> {
    let (mut standing, mut registrations) = (None, None);
    let (mut calls, mut egress) = (Vec::new(), OwnerEgress::default());
    match owner {
        Owner::Integration(id) => {
            if let Some(KnownIntegration { report, .. }) = known {
                (standing, calls, egress) = (Some(report.standing), report.calls, report.egress);
            }
            let count = counts::by_integration(&app.counts.get(handle).await?).get(id).copied().unwrap_or(0);
            registrations = Some((super::link::with_query("/admin", &[("integration", id.as_str())]), count));
        }
        Owner::Charms => (calls, egress) = (app.activity.calls_of(owner), app.activity.egress_of(owner)),
    }
    let denials = std::mem::take(&mut egress.denials);
    let denial = |of: Denial| {
        let charm = of.charm.as_ref().and_then(|charm| charm.parse().ok());
        ShownDenial { charm: charm.as_ref().map(super::link::charm), newest: times::past(of.newest), of }
    };
    let newest = std::mem::take(&mut egress.newest);
    Ok(page::part(&Activity {
        interval: standing.as_ref().map(|standing| times::duration(standing.interval)).unwrap_or_default(),
        standing,
        registrations,
        denials: denials.into_iter().map(denial).collect(),
        newest: shown_requests(newest),
        calls: calls.into_iter().map(ShownCalls::from).collect(),
        egress,
    }))
}

async fn owner_page(app: &App, operator: &Operator, owner: &Owner) -> Response {
    let name = match owner {
        Owner::Integration(id) => id.to_string(),
        Owner::Charms => CHARMS.to_owned(),
    };
    let known = known(app, owner);
    let view = known.as_ref().map(|known| known.report.view.clone());
    let is_known = match owner {
        Owner::Integration(id) if view.is_none() => match app.counts.get(&operator.handle).await {
            Ok(counts) => counts::by_integration(&counts).contains_key(id),
            Err(error) => return page::failed(&error),
        },
        _ => true,
    };
    if !is_known {
        return page::not_found();
    }
    let health = health(known.as_ref());
    match activity(app, &operator.handle, owner, known).await {
        Ok(activity) => {
            let loaded = view.as_ref().map(|view| times::past(view.loaded_at)).unwrap_or_default();
            page::html(StatusCode::OK, &OwnerPage { name, link: link(owner), health, activity, view, loaded })
        }
        Err(error) => page::failed(&error),
    }
}

fn owner_events(app: &Arc<App>, operator: Operator, owner: Owner) -> Response {
    let (Operator { handle, headers }, app) = (operator, app.clone());
    live::events(app.clone(), headers, move || {
        let (app, handle, owner) = (app.clone(), handle.clone(), owner.clone());
        async move {
            let known = known(&app, &owner);
            let health = Part::new("health", health(known.as_ref()));
            Ok(Some(vec![health, Part::new("activity", activity(&app, &handle, &owner, known).await?)]))
        }
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

/// `GET /admin/handlers`: the activity of charms' handlers in this process.
pub(super) async fn handlers(State(app): State<Arc<App>>, operator: Operator) -> Response {
    owner_page(&app, &operator, &Owner::Charms).await
}

/// `GET /admin/handlers/events`
pub(super) async fn handler_events(State(app): State<Arc<App>>, operator: Operator) -> Response {
    owner_events(&app, operator, Owner::Charms)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_repeated_request_is_shown_once_with_its_count() {
        let sent = |at: u64, path: &str, status| Sent {
            at: UnixMillis(at),
            method: "GET".to_owned(),
            origin: "https://mail.example".to_owned(),
            path: path.to_owned(),
            decision: "allowed".to_owned(),
            ok: true,
            denied: false,
            credential: false,
            status,
            bytes: at,
            elapsed: Duration::from_millis(at),
            error: None,
        };
        let newest = [
            sent(9, "/a", Some(200)),
            sent(8, "/a", Some(200)),
            sent(7, "/a", Some(500)),
            sent(6, "/b", Some(500)),
            sent(5, "/a", Some(200)),
        ];
        let shown: Vec<_> = shown_requests(newest).into_iter().map(|shown| (shown.of.at.0, shown.times)).collect();
        assert_eq!(shown, [(9, 2), (7, 1), (6, 1), (5, 1)]);
    }
}
