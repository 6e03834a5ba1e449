//! The page of a charm whose source is large.

use std::sync::Arc;

use bg_charm_api::wire::path;
use bytes::Bytes;
use http::Method;

use super::{Field, at_once, tenant};

const AT_ONCE: usize = 8;

pub(super) async fn run(field: Arc<Field>) {
    at_once(AT_ONCE, |number| {
        let (field, target) = (field.clone(), path::of_charm(&field.targets.large, "page"));
        async move {
            let tenant = tenant(0);
            loop {
                field.client.signed(number, ("tenant", &tenant), &Method::GET, &target, Bytes::new()).await;
            }
        }
    })
    .await;
}
