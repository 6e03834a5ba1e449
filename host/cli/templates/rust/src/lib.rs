//! The integration {{name}}: polls charms that have news, according to a web API.
//!
//! A charm names its subject in its cell `topic`. The API answers `GET <api-base-url>/v1/news` with the topics that
//! have news, such as `["weather", "trains"]`.
//!
//! Each call gets a fresh instance: statics do not survive a call. Use `state` for what should, see
//! wit/integration.wit.

mod http;

use commontools::background::charms::{self, CharmError, Lookup};
use commontools::background::config;
use commontools::background::log::{self, Level};

wit_bindgen::generate!({ path: "wit", world: "integration", generate_all });

/// The stream to which polls are sent.
const UPDATER_STREAM: &str = "bgUpdater";

/// What this component exports.
pub struct Integration;

impl Guest for Integration {
    /// Called by `run --initialize`.
    fn initialize() -> Result<(), IntegrationError> {
        Ok(charms::prepare_list()?)
    }

    /// The charms worth a poll now.
    fn fetch_charms() -> Result<Vec<CharmRef>, IntegrationError> {
        let mut named = charms::registered()?;
        let base_url = config::get("api-base-url").ok_or_else(|| {
            IntegrationError::Permanent("the config value api-base-url is missing".to_owned())
        })?;
        match topics_with_news(&base_url) {
            Ok(topics) => named.retain(|charm| has_news(charm, &topics)),
            // Without an answer from the API, all charms are polled.
            Err(error) => log::write(Level::Warn, &format!("all charms are polled: {error}")),
        }
        Ok(named)
    }

    /// Whether a charm is fit for polling; called right before the poll.
    fn is_valid_charm(charm: &Charm) -> Result<bool, IntegrationError> {
        let has_stream = charm.has_stream(UPDATER_STREAM)?;
        if !has_stream {
            charm.explain(&format!("it has no stream {UPDATER_STREAM}"));
        }
        Ok(has_stream)
    }
}

// On other targets `cargo test` builds this, too, but nothing calls it.
#[cfg(target_arch = "wasm32")]
export!(Integration);

/// The topics that have news, according to the API.
fn topics_with_news(base_url: &str) -> Result<Vec<String>, String> {
    let (status, body) = http::get(&format!("{}/v1/news", base_url.trim_end_matches('/')))?;
    if status != 200 {
        return Err(format!("the API answers with status {status}"));
    }
    serde_json::from_slice(&body)
        .map_err(|error| format!("the API does not answer with a list of topics: {error}"))
}

/// Whether a charm's topic is one of these; true if it has no topic.
fn has_news(charm: &CharmRef, topics: &[String]) -> bool {
    match charms::open(charm).and_then(|charm| charm.get(&["topic".to_owned()])) {
        Ok(Lookup::Value(json)) => {
            serde_json::from_str(&json).is_ok_and(|topic: String| topics.contains(&topic))
        }
        Ok(Lookup::Secret | Lookup::Absent) | Err(_) => true,
    }
}

/// A temporary error: the next call may succeed.
impl From<CharmError> for IntegrationError {
    fn from(error: CharmError) -> Self {
        Self::Temporary(error.to_string())
    }
}
