//! Style sheet, scripts and icon of the pages.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue};

use crate::admission::Unsigned;

fn asset(media_type: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(media_type))], text).into_response()
}

pub(super) async fn style(_: Unsigned) -> Response {
    asset("text/css; charset=utf-8", include_str!("../../assets/style.css"))
}

pub(super) async fn script(_: Unsigned) -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../assets/admin.js"))
}

pub(super) async fn login_script(_: Unsigned) -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../assets/login.js"))
}

pub(super) async fn icon(_: Unsigned) -> Response {
    asset("image/svg+xml", include_str!("../../assets/icon.svg"))
}
