//! Requests of the service, sent again by an attacker who captured them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bg_charm_api::wire::path;
use bytes::Bytes;
use http::Method;

use super::{Field, at_once};

const AT_ONCE: usize = 4;
/// How long each is repeated; its signature is valid for longer.
const AGAIN: Duration = Duration::from_secs(20);

pub(super) async fn run(field: Arc<Field>) {
    at_once(AT_ONCE, |number| {
        let field = field.clone();
        async move {
            let (client, method, target) = (&field.client, Method::GET, format!("{}?after=0", path::CHANGES));
            loop {
                let captured = client.sign(&field.service, &method, &target, b"");
                let (began, mut answered) = (Instant::now(), 0);
                let original = client.send(number, "original", &method, &target, captured.clone(), Bytes::new()).await;
                answered += u32::from(original.is_success());
                while began.elapsed() < AGAIN {
                    let again = client.send(number, "again", &method, &target, captured.clone(), Bytes::new()).await;
                    answered += u32::from(again.is_success());
                    if again.is_success() && answered > 1 {
                        field.tally().breach("a captured request was answered twice");
                    }
                }
            }
        }
    })
    .await;
}
