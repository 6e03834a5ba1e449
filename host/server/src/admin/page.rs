//! Responses that are pages.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};

use crate::app::App;

/// Pages load from this server and send forms to it only. Pages contain no inline style or script, so that text of a
/// charm or a component can be neither, even if it got past the escaping.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'",
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
            tracing::error!(%error, "a page could not be rendered");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be rendered")
        }
    }
}

/// A part of a page, rendered from a template.
pub(super) fn part(template: &impl Template) -> String {
    template.render().unwrap_or_else(|error| {
        tracing::error!(%error, "a part of a page could not be rendered");
        String::new()
    })
}

/// A plain-text response, which people rarely see.
pub(super) fn text(status: StatusCode, text: &str) -> Response {
    (status, [(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))], format!("{text}\n"))
        .into_response()
}

/// A page about a problem.
pub(super) fn problem(status: StatusCode, title: &str, text: &str) -> Response {
    html(status, &Problem { title, text })
}

/// The page for unknown addresses. It is the same for everybody, logged in or not.
pub(crate) fn not_found() -> Response {
    html(StatusCode::NOT_FOUND, &NotFound)
}

/// The ID of the part that says whether a service polls.
pub(super) const POLLED: &str = "polled";

/// The note that no service polls, if none does.
pub(super) fn polled(app: &App) -> String {
    part(&Polled { polled: app.pollers.are_there() })
}

#[derive(Template)]
#[template(path = "polled.html")]
struct Polled {
    polled: bool,
}

/// The page for an error of the charm runtime.
pub(super) fn failed(error: &bg_poller::RuntimeError) -> Response {
    let status = bg_charm_api::wire::Problem::from(error).code.status();
    problem(status, "That did not work", &error.to_string())
}

/// Redirects the browser after a form.
pub(super) fn redirect(place: &str) -> Response {
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
