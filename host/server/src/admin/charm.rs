//! The page of one registered charm.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use bg_charm_api::{LogQuery, RegistrationRow, Spaces};
use bg_charm_runtime::LocalHandle;
use bg_poller::{CharmRef, CharmRuntime, Counters, Run, RuntimeError};
use http::{StatusCode, Uri};

use super::access::Operator;
use super::live::{self, Part};
use super::row::Row;
use super::{actions, link, page, times};
use crate::answer::Failure;
use crate::app::App;
use crate::query::CharmPath;

/// How many runs and lines of the log are shown.
const RUNS: usize = 50;
const LINES: usize = 200;

#[derive(Template)]
#[template(path = "charm.html")]
struct CharmPage {
    name: String,
    page: String,
    notice: Option<&'static str>,
    polled: String,
    summary: String,
    runs: String,
    log: String,
}

#[derive(Template)]
#[template(path = "charm_summary.html")]
struct Summary<'a> {
    row: &'a Row,
    registered: String,
    interval: String,
    counters: &'a Counters,
    failed_at: String,
}

#[derive(Template)]
#[template(path = "charm_runs.html")]
struct Runs {
    runs: Vec<ShownRun>,
}

struct ShownRun {
    ok: bool,
    started: String,
    ms: u128,
    kind: &'static str,
    message: Option<String>,
    stack: Option<String>,
}

impl From<Run> for ShownRun {
    fn from(run: Run) -> Self {
        let Run { started_at, duration, outcome, .. } = run;
        Self {
            ok: outcome.is_success(),
            started: times::past(started_at),
            ms: duration.as_millis(),
            kind: outcome.kind.as_str(),
            message: outcome.message,
            stack: outcome.stack,
        }
    }
}

#[derive(Template)]
#[template(path = "charm_log.html")]
struct Log {
    lines: Vec<ShownLine>,
}

struct ShownLine {
    at: String,
    level: &'static str,
    text: String,
}

/// The charm's name, and the parts of its page.
struct Shown {
    name: String,
    summary: String,
    runs: String,
    log: String,
}

/// `None` if it is not registered.
async fn shown(app: &App, handle: &LocalHandle, charm: &CharmRef) -> Result<Option<Shown>, RuntimeError> {
    let Some(found) = handle.overview_of(charm).await? else { return Ok(None) };
    let counters = handle.counters(charm).await?;
    let runs = handle.runs(charm, RUNS).await?;
    let mut lines = handle.logs(charm, LogQuery { after: None, limit: LINES, wait: false }).await?;
    lines.reverse();
    let row = Row::new(&found, &app.pollers, &app.pollers.health(&app.activity));
    let line = |entry: bg_charm_api::LogEntry| ShownLine {
        at: times::past(entry.line.at),
        level: entry.line.level.as_str(),
        text: entry.line.text,
    };
    Ok(Some(Shown {
        summary: page::part(&Summary {
            row: &row,
            registered: times::past(found.registration.created_at),
            interval: interval(app, &found),
            counters: &counters,
            failed_at: times::past(counters.failed_at),
        }),
        runs: page::part(&Runs { runs: runs.into_iter().map(ShownRun::from).collect() }),
        log: page::part(&Log { lines: lines.into_iter().map(line).collect() }),
        name: row.name,
    }))
}

fn interval(app: &App, row: &RegistrationRow) -> String {
    let registration = &row.registration;
    match (app.pollers.interval_of(registration), registration.interval) {
        (Some(interval), Some(asks)) if asks < interval => format!(
            "every {}; it asks for every {}, which the service does not allow: run --min-interval",
            times::duration(interval),
            times::duration(asks)
        ),
        (Some(interval), Some(_)) => format!("every {}, its own interval", times::duration(interval)),
        (Some(interval), None) => format!("every {}", times::duration(interval)),
        (None, Some(asks)) => format!("every {}, or as often as the service allows", times::duration(asks)),
        (None, None) => format!("as often as the charms of {}", registration.integration),
    }
}

/// `GET /admin/charms/{space}/{charm}`
pub(super) async fn page(
    State(app): State<Arc<App>>,
    operator: Operator,
    charm: Result<CharmPath, Failure>,
    uri: Uri,
) -> Response {
    // A path that names no charm is like any other unknown path.
    let Ok(CharmPath(charm)) = charm else { return page::not_found() };
    match shown(&app, &operator.handle, &charm).await {
        Ok(Some(Shown { name, summary, runs, log })) => {
            let notice = actions::notice(&uri);
            let page = link::charm(&charm);
            page::html(
                StatusCode::OK,
                &CharmPage { name, page, notice, polled: page::polled(&app), summary, runs, log },
            )
        }
        Ok(None) => {
            page::problem(StatusCode::NOT_FOUND, "Not registered", &format!("{charm} is not registered to be polled."))
        }
        Err(error) => page::failed(&error),
    }
}

/// `GET /admin/charms/{space}/{charm}/events`
pub(super) async fn events(State(app): State<Arc<App>>, operator: Operator, CharmPath(charm): CharmPath) -> Response {
    let Operator { handle, headers } = operator;
    live::events(app.clone(), headers, move || parts(app.clone(), handle.clone(), charm.clone()))
}

async fn parts(app: Arc<App>, handle: LocalHandle, charm: CharmRef) -> Result<Option<Vec<Part>>, RuntimeError> {
    let Some(Shown { summary, runs, log, .. }) = shown(&app, &handle, &charm).await? else { return Ok(None) };
    let polled = Part::new(page::POLLED, page::polled(&app));
    Ok(Some(vec![polled, Part::new("summary", summary), Part::new("runs", runs), Part::new("log", log)]))
}
