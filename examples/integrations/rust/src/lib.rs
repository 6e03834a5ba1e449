//! An integration in Rust for `wasm32-wasip2`: polls the charms whose mailbox has changed since their last poll.
//!
//! Each call gets a fresh instance. Statics do not survive a call; `state` does.

use std::ops::ControlFlow;
use std::time::Duration;

use bg_integration_sdk::http::{HttpError, Request, Response, send_all};
use bg_integration_sdk::time::Instant;
use bg_integration_sdk::{Charm, CharmRef, Error, Integration, charms, config, export, info, state, warn};
use serde_json::Value;

/// The number of charms to ask about in one call, concurrently; the host allows 8 requests at a time. All others are
/// polled without asking.
const ASKED: usize = 8;
/// The time to wait for an answer. The host ends the call after 5 s.
const PATIENCE: Duration = Duration::from_secs(3);

/// The integration.
pub struct News;

impl Integration for News {
    fn initialize() -> Result<(), Error> {
        charms::prepare_list()?;
        Ok(())
    }

    fn fetch_charms() -> Result<Vec<CharmRef>, Error> {
        let registered = charms::registered()?;
        let base_url = config::get("api-base-url")
            .ok_or_else(|| Error::Permanent("the config value api-base-url is missing".to_owned()))?;
        let all = registered.len();
        let quiet = quiet(base_url.trim_end_matches('/'), &registered[..all.min(ASKED)]);
        let named: Vec<CharmRef> = registered.into_iter().filter(|charm| !quiet.contains(charm)).collect();
        info!("call {}: {} of {all} charms are worth a poll", count_call()?, named.len());
        Ok(named)
    }

    fn is_valid_charm(charm: &Charm) -> Result<bool, Error> {
        let signed_in = !charms::get(charm, &["auth", "token"])?.is_absent();
        if !signed_in {
            charm.explain("nobody has signed in to it");
        }
        Ok(signed_in && charms::updater_stream(charm)?.is_some())
    }
}

export!(News);

/// The charms of `asked` for which the service has nothing new. If that is unknown, the charm is polled.
fn quiet(base_url: &str, asked: &[CharmRef]) -> Vec<CharmRef> {
    let queries = asked.iter().filter_map(|charm| Some((charm, query(base_url, charm)?)));
    let mut quiet = Vec::new();
    send_all(queries, ASKED, Instant::now() + PATIENCE, |charm, answer| {
        match answer.and_then(|answer| is_quiet(&answer)) {
            Ok(true) => quiet.push(charm.clone()),
            Ok(false) => {}
            Err(error) => warn!("{} is polled unasked: {error}", charm.charm_id),
        }
        ControlFlow::Continue(())
    });
    quiet
}

/// The request for a charm, or `None` if the charm does not say how far it has followed its mailbox.
fn query(base_url: &str, charm: &CharmRef) -> Option<Request> {
    let opened = charms::open(charm).ok()?;
    let since: String = charms::get(&opened, &["settings", "historyId"]).ok()?.json()?;
    // The host adds this charm's token; the integration never sees it.
    let request = Request::get(format!("{base_url}/gmail/v1/users/me/history")).charm(charm);
    Some(request.query("startHistoryId", &since).query("maxResults", "1"))
}

fn is_quiet(answer: &Response) -> Result<bool, HttpError> {
    if answer.status != 200 {
        return Ok(false);
    }
    let said: Value = answer.json()?;
    Ok(said["history"].as_array().is_none_or(Vec::is_empty) && said["nextPageToken"].is_null())
}

/// Counts this call and returns the number of calls so far.
fn count_call() -> Result<u64, Error> {
    let calls = state::get::<u64>("calls")?.unwrap_or_default() + 1;
    state::set("calls", &calls)?;
    Ok(calls)
}
