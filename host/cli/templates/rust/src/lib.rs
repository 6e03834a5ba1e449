//! The integration {{name}}: polls the charms of which a web API says that there is something new.
//!
//! A charm says in its cell `topic` what it is about. The API answers `GET <api-base-url>/v1/news` with the topics that have
//! news, such as `["weather", "trains"]`.
//!
//! Each call is made to a fresh instance: what a static holds is gone at the next one. What is to stay goes into `state`, see
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

    /// The charms that are worth a poll now.
    fn fetch_charms() -> Result<Vec<CharmRef>, IntegrationError> {
        let mut named = charms::registered()?;
        let base_url = config::get("api-base-url").ok_or_else(|| {
            IntegrationError::Permanent("the config value api-base-url is missing".to_owned())
        })?;
        match topics_with_news(&base_url) {
            Ok(topics) => named.retain(|charm| has_news(charm, &topics)),
            // A charm of which it is not known is polled.
            Err(error) => log::write(Level::Warn, &format!("all charms are polled: {error}")),
        }
        Ok(named)
    }

    /// Whether a charm is fit to be polled; asked right before it is.
    fn is_valid_charm(charm: &Charm) -> Result<bool, IntegrationError> {
        let has_stream = charm.has_stream(UPDATER_STREAM)?;
        if !has_stream {
            charm.explain(&format!("it has no stream {UPDATER_STREAM}"));
        }
        Ok(has_stream)
    }
}

// On other targets `cargo test` builds this, too, and nobody calls it.
#[cfg(target_arch = "wasm32")]
export!(Integration);

/// The topics of which the API says that there is something new.
fn topics_with_news(base_url: &str) -> Result<Vec<String>, String> {
    let (status, body) = http::get(&format!("{}/v1/news", base_url.trim_end_matches('/')))?;
    if status != 200 {
        return Err(format!("the API answers with status {status}"));
    }
    serde_json::from_slice(&body)
        .map_err(|error| format!("the API does not answer with a list of topics: {error}"))
}

/// Whether a charm is about one of these topics; also if it does not say what it is about.
fn has_news(charm: &CharmRef, topics: &[String]) -> bool {
    match charms::open(charm).and_then(|charm| charm.get(&["topic".to_owned()])) {
        Ok(Lookup::Value(json)) => {
            serde_json::from_str(&json).is_ok_and(|topic: String| topics.contains(&topic))
        }
        Ok(Lookup::Secret | Lookup::Absent) | Err(_) => true,
    }
}

/// What the host cannot tell now, it may tell at the next call.
impl From<CharmError> for IntegrationError {
    fn from(error: CharmError) -> Self {
        Self::Temporary(error.to_string())
    }
}
