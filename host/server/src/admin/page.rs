//! Answers that are pages.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};

use crate::app::App;

/// What a page may load, and where it may send forms: from and to this server alone. No style or script is in the pages themselves, so what a charm
/// or a component says can be neither, even if it should ever get past the escaping.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

/// A page.
pub(super) fn html(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => {
            let headers = [
                (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
                (CONTENT_SECURITY_POLICY, POLICY),
            ];
            (status, headers, text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made")
        }
    }
}

/// A part of a page, made of a template.
pub(super) fn part(template: &impl Template) -> String {
    template.render().unwrap_or_else(|error| {
        tracing::error!(%error, "a part of a page could not be made");
        String::new()
    })
}

/// An answer that no person sees, as a rule.
pub(super) fn text(status: StatusCode, text: &str) -> Response {
    (status, [(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))], format!("{text}\n"))
        .into_response()
}

/// A page that tells of a problem.
pub(super) fn problem(status: StatusCode, title: &str, text: &str) -> Response {
    html(status, &Problem { title, text })
}

/// The answer to a person who opens an address at which there is nothing. It is the same for everybody, whether logged in or not.
pub(crate) fn not_found() -> Response {
    html(StatusCode::NOT_FOUND, &NotFound)
}

/// The ID of the part of a page that says whether anybody polls.
pub(super) const POLLED: &str = "polled";

/// What says that nobody polls, if that is so.
pub(super) fn polled(app: &App) -> String {
    part(&Polled { polled: app.pollers.are_there() })
}

#[derive(Template)]
#[template(path = "polled.html")]
struct Polled {
    polled: bool,
}

/// What the charm runtime could not do.
pub(super) fn failed(error: &bg_poller::RuntimeError) -> Response {
    let status = bg_charm_api::wire::Problem::from(error).code.status();
    problem(status, "That did not work", &error.to_string())
}

/// Sends the browser to a page after a form was done.
pub(super) fn see(place: &str) -> Response {
    Redirect::to(place).into_response()
}

#[derive(Template)]
#[template(path = "not_found.html")]
struct NotFound;

#[derive(Template)]
#[template(path = "problem.html")]
struct Problem<'a> {
    title: &'a str,
    text: &'a str,
}
