//! The page on which a sign-in ends, and the elements of pages that begin one.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{StatusCode, Uri};

use crate::admission::Unsigned;
use crate::button::SCRIPT_TYPE;

const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; script-src 'self'; base-uri 'none'; frame-ancestors 'none'");

/// The page may tell the one that opened it, which has no other way to learn of it: it has nothing to protect.
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// How a sign-in ended. Its name is in the address, so that a link cannot show another text.
const SAID: [(&str, bool, &str); 4] = [
    ("signed-in", true, "You are signed in. This window can be closed."),
    (
        "signed-in-with-less",
        true,
        "You are signed in, but not all that was asked for was allowed. This window can be closed.",
    ),
    ("failed", false, "The sign-in failed; the log of the server says why. Close this window, and start again."),
    (
        "stray",
        false,
        "This answer belongs to no sign-in that this browser has begun. Close this window, and start again.",
    ),
];

/// `GET /api/integrations/{provider}-oauth/done?said=…`
pub(crate) async fn done(uri: Uri, _: Unsigned) -> Response {
    let said = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).find(|(name, _)| name == "said");
    let found = said.and_then(|(_, said)| SAID.iter().find(|(name, ..)| *name == said));
    let Some((_, success, text)) = found else { return not_found() };
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Sign-in</title><script \
         src=\"/oauth-done.js\" data-success=\"{success}\" defer></script></head><body><p>{text}</p></body></html>\n"
    );
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, POLICY),
        (OPENER_POLICY, HeaderValue::from_static("unsafe-none")),
    ];
    (headers, page).into_response()
}

pub(super) fn not_found() -> Response {
    StatusCode::NOT_FOUND.into_response()
}

/// `GET /oauth-done.js`: tells the page that began the sign-in how it ended.
pub(crate) async fn done_script(_: Unsigned) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(SCRIPT_TYPE))], include_str!("../../assets/oauth-done.js"))
        .into_response()
}

/// `GET /ct-google-oauth.js`: the elements, for pages of every origin.
pub(crate) async fn element(_: Unsigned) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(SCRIPT_TYPE)),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
        (http::header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    (headers, include_str!("../../assets/ct-google-oauth.js")).into_response()
}
