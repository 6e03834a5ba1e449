//! Guesses of the operator's login token: on the page, and in place of a signature.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};

use super::{Field, at_once};

const AT_ONCE: usize = 8;

pub(super) async fn run(field: Arc<Field>) {
    at_once(AT_ONCE, |worker| {
        let field = field.clone();
        async move {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            let form: HeaderMap = [(CONTENT_TYPE, form)].into_iter().collect();
            for turn in 0_usize.. {
                let guess = format!("the-login-token-number-{worker}-{turn}");
                let answer = if turn % 2 == 0 {
                    let body = Bytes::from(format!("token={guess}&next=/admin"));
                    field.client.send(worker, "page", &Method::POST, "/admin/login", form.clone(), body).await
                } else {
                    let bearer = HeaderValue::from_str(&format!("Bearer {guess}")).expect("it is ASCII");
                    let headers: HeaderMap = [(AUTHORIZATION, bearer)].into_iter().collect();
                    field.client.send(worker, "bearer", &Method::GET, "/metrics", headers, Bytes::new()).await
                };
                if matches!(answer.status, Ok(200..=399)) {
                    field.tally().breach("a wrong token was taken");
                }
            }
        }
    })
    .await;
}
