//! Logging in and out.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{HeaderValue, RETRY_AFTER, SET_COOKIE};
use http::{StatusCode, Uri};

use super::access::{self, FOREIGN, Form};
use super::{link, page};
use crate::admission::{TooMany, Unsigned, discard};
use crate::app::App;
use crate::options::FORM_BODY;
use crate::origins::Source;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    problem: Option<&'a str>,
    next: &'a str,
}

/// The message after a wrong token. Its name is in the address, so that a link cannot show another text.
const WRONG: &str = "That is not the login token.";
const WRONG_NAME: &str = "wrong-token";

/// `GET /admin/login?said=…&next=…`
pub(super) async fn page(uri: Uri, _: Unsigned) -> Response {
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let problem = (form.get("said") == Some(WRONG_NAME)).then_some(WRONG);
    page::html(StatusCode::OK, &LoginPage { problem, next: next(&form) })
}

fn next(form: &Form) -> &str {
    form.get("next").filter(|next| link::is_own(next)).unwrap_or("/admin")
}

/// `POST /admin/login`
pub(super) async fn begin(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if matches!(Source::of(&parts.headers), Source::Other(_)) {
        discard(body).await;
        return page::text(StatusCode::FORBIDDEN, FOREIGN);
    }
    let body = match app.admission.bodies.receive_small::<FORM_BODY>(&parts.headers, body).await {
        Ok(body) => body,
        Err(error) => return page::text(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let form = Form::parse(&body);
    let client = app.client(&parts.extensions, &parts.headers);
    let address = client.address();
    let refused = |status, problem: &str| page::html(status, &LoginPage { problem: Some(problem), next: next(&form) });
    if !app.logins.is_token(form.get("token").unwrap_or_default().trim()) {
        tracing::warn!(target: "admin", client = %address, "a login with a wrong token was refused");
        return match app.login_rate.take(&client.network()) {
            // A redirect, so that reloading the page does not send the form again.
            Ok(()) if access::accepts_html(&parts.headers) => page::redirect(&link::login(WRONG_NAME, next(&form))),
            Ok(()) => refused(StatusCode::FORBIDDEN, WRONG),
            Err(TooMany(seconds)) => {
                let text = format!("Too many wrong tokens; try again in {seconds} s.");
                ([(RETRY_AFTER, HeaderValue::from(seconds))], refused(StatusCode::TOO_MANY_REQUESTS, &text))
                    .into_response()
            }
        };
    }
    match app.logins.begin(Instant::now(), app.is_secure(&parts.headers)) {
        Ok(cookie) => {
            tracing::info!(target: "admin", client = %address, "the operator has logged in");
            ([(SET_COOKIE, cookie)], Redirect::to(next(&form))).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "no session can be started");
            refused(StatusCode::INTERNAL_SERVER_ERROR, "No session can be started; the log says why.")
        }
    }
}

/// `POST /admin/logout`
pub(super) async fn end(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    discard(body).await;
    if matches!(Source::of(&parts.headers), Source::Other(_)) {
        return page::text(StatusCode::FORBIDDEN, FOREIGN);
    }
    let cookie = app.logins.end(&parts.headers, app.is_secure(&parts.headers));
    ([(SET_COOKIE, cookie)], Redirect::to("/admin/login")).into_response()
}
