//! Programs that are far more expensive to parse than to send.

use std::collections::BTreeMap;
use std::sync::Arc;

use bg_charm_api::DeployRequest;
use bg_charm_api::wire::path;
use bytes::Bytes;
use http::Method;

use super::{Field, at_once, stranger, tenant};

/// How many are sent concurrently, by each of the two.
const AT_ONCE: usize = 64;
/// Nesting depth: a body of just under 64 KiB.
const DEEP: usize = 60_000;

pub(super) async fn run(field: Arc<Field>) {
    let request = DeployRequest {
        file_name: "deep.tsx".to_owned(),
        source: "(".repeat(DEEP),
        files: BTreeMap::new(),
        inputs: serde_json::Map::new(),
        charm: None,
    };
    let body = Bytes::from(serde_json::to_vec(&request).expect("a request is JSON"));
    // A stranger in a foreign space, and a tenant in its own.
    at_once(2 * AT_ONCE, |number| {
        let (who, identity, space) = if number % 2 == 0 {
            ("stranger", stranger(), &field.targets.healthy[0].space)
        } else {
            ("tenant", tenant(0), &field.targets.own[0])
        };
        let (field, target, body) = (field.clone(), path::charms(space), body.clone());
        async move {
            loop {
                let answer =
                    field.client.signed(number / 2, (who, &identity), &Method::POST, &target, body.clone()).await;
                if answer.is_success() {
                    field.tally().breach("an invalid program was deployed");
                } else if who == "stranger" && matches!(answer.status, Ok(400 | 422)) {
                    field.tally().breach("a stranger's program was read before its rights were known");
                }
            }
        }
    })
    .await;
}
