//! Names the charms whose feed has changed since their last successful poll. Each change is announced once: the answer
//! has an `ETag`, and the next query is conditional on it.

use bg_integration_sdk::http::{Request, Response, segment};
use bg_integration_sdk::updates::{self, News, Source};
use bg_integration_sdk::{CharmRef, CharmView, Error, Integration, config, export};

/// The integration.
#[derive(Debug)]
pub struct Feeds {
    base_url: String,
}

impl Integration for Feeds {
    fn fetch_charms() -> Result<Vec<CharmRef>, Error> {
        let base_url = config::get("api-base-url").unwrap_or_default();
        updates::charms_with_news(&Self { base_url })
    }
}

export!(Feeds);

impl Source for Feeds {
    fn query(&self, charm: &impl CharmView) -> Option<Request> {
        let topic: String = charm.get(&["topic"]).ok()?.json()?;
        Some(Request::get(format!("{}/feed/{}", self.base_url, segment(&topic))).if_changed())
    }

    fn news(&self, _: &Response) -> News {
        News::Some
    }
}
