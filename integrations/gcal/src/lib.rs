//! Names the calendar charms whose calendar has changed since they last looked.
//!
//! A calendar charm keeps in `settings.syncToken` up to where it has followed its calendar. One small request tells whether
//! anything has changed since, and does not use the token up; charms whose calendar is quiet are left out, all others are
//! polled.

use bg_integration_sdk::http::{Request, Response, segment};
use bg_integration_sdk::updates::{self, News, Source};
use bg_integration_sdk::{Charm, CharmRef, CharmView, Error, Integration, charms, config, export};
use serde::Deserialize;

/// The integration `gcal`.
#[derive(Debug)]
pub struct Calendar {
    /// Where the API is, without a slash at the end.
    base_url: String,
}

impl Integration for Calendar {
    fn fetch_charms() -> Result<Vec<CharmRef>, Error> {
        let base_url = config::get("api-base-url")
            .ok_or_else(|| Error::Permanent("the config value api-base-url is missing".to_owned()))?;
        updates::charms_with_news(&Self::at(&base_url))
    }

    fn is_valid_charm(charm: &Charm) -> Result<bool, Error> {
        is_fit(charm)
    }
}

/// A stream to be polled by, and a sign-in to poll with.
fn is_fit(charm: &impl CharmView) -> Result<bool, Error> {
    Ok(charms::can_be_polled_signed_in(charm)?)
}

export!(Calendar);

/// What the API says of a calendar's changes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Events {
    #[serde(default)]
    items: Vec<serde::de::IgnoredAny>,
    next_page_token: Option<String>,
}

impl Calendar {
    fn at(base_url: &str) -> Self {
        Self { base_url: base_url.trim_end_matches('/').to_owned() }
    }
}

impl Source for Calendar {
    fn question(&self, charm: &impl CharmView) -> Option<Request> {
        let since: String = charm.get(&["settings", "syncToken"]).ok()?.json()?;
        // Without a token the host has nothing to ask with.
        if since.is_empty() || charm.get(&["auth", "token"]).ok()?.is_absent() {
            return None;
        }
        let calendar: Option<String> = charm.get(&["settings", "calendarId"]).ok()?.json();
        let calendar = calendar.filter(|id| !id.is_empty()).unwrap_or_else(|| "primary".to_owned());
        let url = format!("{}/calendar/v3/calendars/{}/events", self.base_url, segment(&calendar));
        Some(Request::get(url).query("syncToken", &since).query("maxResults", "1"))
    }

    fn news(&self, response: &Response) -> News {
        match response.json::<Events>() {
            Ok(Events { items, next_page_token: None }) if items.is_empty() => News::None,
            // A page without entries may be followed by one with some.
            Ok(Events { items, .. }) if items.is_empty() => News::Unknown,
            Ok(_) => News::Some,
            Err(_) => News::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use bg_integration_sdk::testing::FakeCharm;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_calendar_is_asked_about_if_the_charm_has_a_sync_token_and_a_token() {
        let auth = json!({"token": "t"});
        for (settings, auth, path) in [
            (json!({"syncToken": "abc="}), &auth, Some("primary/events?syncToken=abc%3D")),
            (json!({"syncToken": "t", "calendarId": ""}), &auth, Some("primary/events?syncToken=t")),
            (
                json!({"syncToken": "t", "calendarId": "a#b@group.calendar.google.com"}),
                &auth,
                Some("a%23b%40group.calendar.google.com/events?syncToken=t"),
            ),
            (json!({"syncToken": "t"}), &json!({}), None),
            (json!({"syncToken": ""}), &auth, None),
            (json!({"syncToken": 7}), &auth, None),
            (json!({}), &auth, None),
            (Value::Null, &auth, None),
        ] {
            let charm = FakeCharm::new(json!({"settings": settings, "auth": auth})).secret(&["auth", "token"]);
            let asked = Calendar::at("https://www.googleapis.com").question(&charm);
            let expected =
                path.map(|path| format!("https://www.googleapis.com/calendar/v3/calendars/{path}&maxResults=1"));
            assert_eq!(asked.as_ref().map(Request::url), expected.as_deref(), "{settings} {auth}");
        }
    }

    #[test]
    fn only_an_empty_list_of_changes_is_quiet() {
        for (body, news) in [
            (r#"{"nextSyncToken": "u"}"#, News::None),
            (r#"{"items": [], "nextSyncToken": "u"}"#, News::None),
            (r#"{"items": [{"id": "1"}], "nextSyncToken": "u"}"#, News::Some),
            (r#"{"items": [{"status": "cancelled"}], "nextPageToken": "x"}"#, News::Some),
            (r#"{"items": [], "nextPageToken": "x"}"#, News::Unknown),
            (r#"{"items": {}}"#, News::Unknown),
            ("<html>", News::Unknown),
        ] {
            let response = Response { status: 200, headers: vec![], body: body.into() };
            assert_eq!(Calendar::at("https://x").news(&response), news, "{body}");
        }
    }

    #[test]
    fn a_charm_is_fit_with_a_known_stream_and_a_sign_in() {
        let auth = json!({"auth": {"token": "t"}});
        for (cells, stream, fit) in [
            (&auth, "bgUpdater", true),
            (&auth, "calendarUpdater", true),
            (&auth, "refresh", false),
            (&json!({}), "bgUpdater", false),
        ] {
            let charm = FakeCharm::new(cells.clone()).stream(stream).secret(&["auth", "token"]);
            assert_eq!(is_fit(&charm), Ok(fit), "{cells} {stream}");
        }
    }
}
