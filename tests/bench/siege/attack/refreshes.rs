//! Renewals of a charm's token, each of which sends its refresh token to the token service.

use std::sync::Arc;
use std::time::Duration;

use bg_charm_api::wire::path;
use bytes::Bytes;
use http::Method;
use tokio::time::interval;

use super::{Field, at_once, tenant};

const AT_ONCE: usize = 8;
/// Fifty a second, if they are answered as fast.
const EVERY: Duration = Duration::from_millis(160);

pub(super) async fn run(field: Arc<Field>) {
    at_once(AT_ONCE, |worker| {
        let (field, target) = (field.clone(), path::of_charm(&field.targets.account, "refresh"));
        // The owner of the charm's space, and a key with write access.
        let (who, identity) = [("owner", tenant(0)), ("writer", tenant(1))][worker % 2].clone();
        async move {
            let mut every = interval(EVERY);
            loop {
                every.tick().await;
                let sent = field.client.signed(worker, (who, &identity), &Method::POST, &target, Bytes::new());
                if sent.await.is_success() && who == "writer" {
                    field.tally().breach("a token was renewed for one who does not own it");
                }
            }
        }
    })
    .await;
}
