//! Everything that a signer can store on the server: spaces, charms, values.

use std::collections::BTreeMap;
use std::sync::Arc;

use bg_charm_api::wire::path;
use bg_charm_api::{DeployRequest, SetRequest};
use bg_identity::{Identity, space_did};
use bg_poller::CharmRef;
use http::Method;
use serde_json::{Map, Value, json};

use super::client::Answer;
use super::{Field, TENANTS, at_once, tenant};

/// Per key.
const AT_ONCE: usize = 2;
/// One charm in this many is put into a new space.
const NEW_SPACE: usize = 3;
const INPUT: usize = 100_000;
const VALUE: usize = 1_000_000;

const SOURCE: &str = "import { Default, NAME, pattern } from \"commontools\";\n\
    export default pattern<{ notes: Default<string, \"\"> }>(({ notes }) => ({ [NAME]: \"Notes\", notes }));\n";

pub(super) async fn run(field: Arc<Field>) {
    at_once(TENANTS * AT_ONCE, |number| fill(field.clone(), number)).await;
}

async fn fill(field: Arc<Field>, worker: usize) {
    let number = worker % TENANTS;
    let identity = tenant(number);
    for turn in 0_usize.. {
        let (who, space) = if turn % NEW_SPACE == 0 {
            ("charm in a new space", space_did(&format!("storage-{worker}-{turn}")))
        } else {
            ("charm in its own space", field.targets.own[number].clone())
        };
        let notes = Value::from("n".repeat(INPUT));
        let request = DeployRequest {
            file_name: "notes.tsx".to_owned(),
            source: format!("{SOURCE}// {worker} {turn}\n"),
            files: BTreeMap::new(),
            inputs: Map::from_iter([("notes".to_owned(), notes)]),
            charm: None,
        };
        let body = serde_json::to_vec(&request).expect("a request is JSON");
        let answer = keep(&field, worker, (who, &identity), &Method::POST, &path::charms(&space), body).await;
        if answer.is_success()
            && let Ok(deployed) = serde_json::from_slice::<Value>(&answer.body)
            && let Ok(charm) = serde_json::from_value::<CharmRef>(deployed["charm"].clone())
        {
            let value = json!("v".repeat(VALUE));
            let request = SetRequest { path: vec!["notes".to_owned()], value, create: false };
            let body = serde_json::to_vec(&request).expect("a request is JSON");
            keep(&field, worker, ("value", &identity), &Method::PUT, &path::of_charm(&charm, "value"), body).await;
        }
    }
}

/// Sends something to store.
async fn keep(
    field: &Field,
    worker: usize,
    signer: (&str, &Identity),
    method: &Method,
    target: &str,
    body: Vec<u8>,
) -> Answer {
    let length = body.len() as u64;
    let answer = field.client.signed(worker, signer, method, target, body).await;
    if answer.is_success() {
        field.tally().add("bytes taken", length);
    }
    answer
}
