//! Valid signatures, which have to be remembered while they are valid, of a key without rights.

use std::sync::Arc;

use bg_charm_api::wire::path;
use bytes::Bytes;
use http::Method;

use super::{Field, at_once, stranger};

const AT_ONCE: usize = 16;

pub(super) async fn run(field: Arc<Field>) {
    at_once(AT_ONCE, |number| {
        let field = field.clone();
        async move {
            let stranger = stranger();
            loop {
                let sent = field.client.signed(
                    number,
                    ("stranger", &stranger),
                    &Method::GET,
                    path::REGISTRATIONS,
                    Bytes::new(),
                );
                if sent.await.is_success() {
                    field.tally().breach("a stranger got the registrations");
                }
            }
        }
    })
    .await;
}
