//! Enables all registrations that the list shows.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use bg_charm_api::Spaces;
use http::{StatusCode, Uri};

use super::access::{Change, Operator};
use super::filter::Filter;
use super::page;
use crate::app::App;

#[derive(Template)]
#[template(path = "enable.html")]
struct AskToEnable {
    filter: Filter,
    list: String,
    many: u64,
}

/// `GET /admin/enable?search=…&space=…&integration=…&state=…`: asks for confirmation, with the number of registrations.
pub(super) async fn ask(uri: Uri, operator: Operator) -> Response {
    let filter = Filter::of(&uri).first();
    let which = match filter.registrations() {
        Ok(which) => which,
        Err(problem) => return wrong(&problem),
    };
    match operator.handle.count_to_enable(which).await {
        Ok(many) => page::html(StatusCode::OK, &AskToEnable { list: filter.address("/admin"), filter, many }),
        Err(error) => page::failed(&error),
    }
}

/// `POST /admin/enable`
pub(super) async fn enable(State(app): State<Arc<App>>, change: Change) -> Response {
    let filter = Filter::of_form(&change.form);
    let which = match filter.registrations() {
        Ok(which) => which,
        Err(problem) => return wrong(&problem),
    };
    match change.handle.enable_all(&which).await {
        Ok(many) => {
            let address = filter.address("/admin");
            tracing::info!(target: "admin", many, "{many} registrations enabled by the operator: {address}");
            app.counts.forget().await;
            // Their state has changed.
            let shown = Filter { state: String::new(), ..filter }.address("/admin");
            let separator = if shown.contains('?') { '&' } else { '?' };
            page::redirect(&format!("{shown}{separator}said=all-enabled"))
        }
        Err(error) => page::failed(&error),
    }
}

fn wrong(problem: &str) -> Response {
    page::problem(StatusCode::BAD_REQUEST, "No such list", problem)
}
