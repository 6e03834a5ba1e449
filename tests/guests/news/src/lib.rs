//! Names the charms whose feed has changed since their last successful poll. Each change is announced once: the answer
//! has an `ETag`, and the next query is conditional on it.

use bg_integration_sdk::http::{Request, Response, segment};
use bg_integration_sdk::updates::{self, News, Source};
use bg_integration_sdk::{Charm, CharmRef, CharmView, Error, Integration, charms, config, export};

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

    /// Of a charm that is signed in, the account must be usable.
    fn is_valid_charm(charm: &Charm) -> Result<bool, Error> {
        if charms::get(charm, &["auth", "token"])?.is_absent() {
            return Ok(charms::can_be_polled(charm)?);
        }
        let base_url = config::get("api-base-url").unwrap_or_default();
        let request = Request::get(format!("{base_url}/account/own")).charm(&charm.reference());
        let response = request.send().map_err(|error| Error::Permanent(error.to_string()))?;
        match response.status {
            200 => Ok(charms::can_be_polled(charm)?),
            status => Err(Error::Permanent(format!("the account is answered with status {status}"))),
        }
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
