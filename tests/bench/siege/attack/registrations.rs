//! Unsigned registrations: of charms that are registered already, of unknown ones, and malformed ones.

use std::sync::Arc;

use bg_charm_api::wire::path;
use bg_identity::CharmId;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::json;

use super::{Field, at_once};

const AT_ONCE: usize = 8;
/// Deep JSON, of just under 64 KiB.
const DEEP: usize = 60_000;

pub(super) async fn run(field: Arc<Field>) {
    at_once(AT_ONCE, |worker| {
        let field = field.clone();
        async move {
            let json: HeaderMap = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))].into_iter().collect();
            for turn in 0_usize.. {
                let charm = &field.targets.healthy[turn % field.targets.healthy.len()];
                let form =
                    |id: &CharmId| json!({ "space": charm.space, "charmId": id, "integration": "my-test" }).to_string();
                let (who, body) = match turn % 3 {
                    0 => ("registered", form(&charm.charm)),
                    1 => ("unknown", form(&CharmId::for_content(&turn.to_le_bytes()))),
                    _ => ("garbage", "[".repeat(DEEP)),
                };
                field.client.send(worker, who, &Method::POST, path::BUTTON, json.clone(), body.into()).await;
            }
        }
    })
    .await;
}
