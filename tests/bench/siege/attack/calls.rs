//! Events for charms that never end, or that take all the memory they may have.

use std::sync::Arc;

use bg_charm_api::wire::{Trigger, path};
use http::Method;
use serde_json::{Value, json};

use super::{Field, at_once, tenant};

/// From one signer.
const AT_ONCE: usize = 300;

pub(super) async fn run(field: Arc<Field>) {
    let event = Trigger { stream: "bgUpdater".to_owned(), event: json!({}), ..Trigger::default() };
    let body = serde_json::to_vec(&event).expect("an event is JSON");
    at_once(AT_ONCE, |number| {
        let (who, charms) =
            if number % 2 == 0 { ("looping", &field.targets.looping) } else { ("growing", &field.targets.growing) };
        let target = path::of_charm(&charms[number / 2 % charms.len()], "trigger");
        let (field, body) = (field.clone(), body.clone());
        async move {
            let tenant = tenant(0);
            loop {
                let headers = field.client.sign(&tenant, &Method::POST, &target, &body);
                let answer = field.client.exchange(number, &Method::POST, &target, headers, body.clone().into()).await;
                let outcome = serde_json::from_slice::<Value>(&answer.body).ok().filter(|_| answer.is_success());
                let outcome = outcome.and_then(|outcome| Some(format!(" {}", outcome["kind"].as_str()?)));
                field.tally().count(&format!("{who}: {}{}", answer.text(), outcome.unwrap_or_default()));
            }
        }
    })
    .await;
}
