//! Names the calendar charms whose calendar has changed since their last poll.
//!
//! A calendar charm stores in `settings.syncToken` how far it has followed its calendar. One small request tells
//! whether anything has changed since, and does not use up the token. Charms whose calendar is quiet are skipped; all
//! others are polled. A token is valid only with the parameters that it was issued for: `singleEvents=true`, unless
//! `settings.singleEvents` is false. A charm that keeps a window of its calendar stores in `progress` which window, and
//! when to list it again. From that time on, and when its settings ask for something else, it is polled whatever its
//! calendar says.

use bg_integration_sdk::http::{Request, Response, segment};
use bg_integration_sdk::updates::{self, News, Source};
use bg_integration_sdk::{Charm, CharmRef, CharmView, Error, Integration, charms, config, export, time};
use serde::Deserialize;

/// The integration `gcal`.
#[derive(Debug)]
pub struct Calendar {
    /// Base URL of the API, without a slash at the end.
    base_url: String,
    /// The current time, in Unix milliseconds.
    now: u64,
}

impl Integration for Calendar {
    fn fetch_charms() -> Result<Vec<CharmRef>, Error> {
        let base_url = config::required("api-base-url")?;
        updates::charms_with_news(&Self::at(&base_url, time::unix_millis()))
    }

    fn is_valid_charm(charm: &Charm) -> Result<bool, Error> {
        is_fit(charm)
    }
}

/// Requires a stream for polls, and a sign-in to poll with.
fn is_fit(charm: &impl CharmView) -> Result<bool, Error> {
    Ok(charms::can_be_polled_signed_in(charm)?)
}

export!(Calendar);

/// The API's answer about a calendar's changes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Events {
    #[serde(default)]
    items: Vec<serde::de::IgnoredAny>,
    next_page_token: Option<String>,
}

impl Calendar {
    fn at(base_url: &str, now: u64) -> Self {
        Self { base_url: base_url.trim_end_matches('/').to_owned(), now }
    }

    /// Whether the charm has more to do than follow changes: it is time to list the window again, or it keeps something
    /// else than its settings ask for.
    fn is_behind(&self, charm: &impl CharmView) -> bool {
        let again: Option<u64> = charm.get(&["progress", "again"]).ok().and_then(|again| again.json());
        let of: [(&str, &[&str]); 5] = [
            ("user", &["auth", "user", "email"]),
            ("calendarId", &["settings", "calendarId"]),
            ("limit", &["settings", "limit"]),
            ("daysBack", &["settings", "daysBack"]),
            ("daysAhead", &["settings", "daysAhead"]),
        ];
        again.is_some_and(|again| again <= self.now) || !charms::is_as_kept(charm, &["progress", "of"], &of)
    }
}

impl Source for Calendar {
    fn query(&self, charm: &impl CharmView) -> Option<Request> {
        let since: String = charm.get(&["settings", "syncToken"]).ok()?.json()?;
        // Without a token the host cannot authorize the request.
        if since.is_empty() || charm.get(&["auth", "token"]).ok()?.is_absent() || self.is_behind(charm) {
            return None;
        }
        let calendar: Option<String> = charm.get(&["settings", "calendarId"]).ok()?.json();
        let calendar = calendar.filter(|id| !id.is_empty()).unwrap_or_else(|| "primary".to_owned());
        let url = format!("{}/calendar/v3/calendars/{}/events", self.base_url, segment(&calendar));
        let request = Request::get(url).query("syncToken", &since).query("maxResults", "1");
        let single_events = charm.get(&["settings", "singleEvents"]).ok()?.json().unwrap_or(true);
        Some(if single_events { request.query("singleEvents", "true") } else { request })
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

    fn next_page(&self, response: &Response) -> Option<String> {
        let Events { items, next_page_token } = response.json().ok()?;
        next_page_token.filter(|_| items.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use bg_integration_sdk::testing::FakeCharm;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_calendar_is_queried_if_the_charm_has_a_sync_token_and_a_token() {
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
            let asked = Calendar::at("https://www.googleapis.com", 0).query(&charm);
            let rest = "&maxResults=1&singleEvents=true";
            let expected = path.map(|path| format!("https://www.googleapis.com/calendar/v3/calendars/{path}{rest}"));
            assert_eq!(asked.as_ref().map(Request::url), expected.as_deref(), "{settings} {auth}");
        }
    }

    #[test]
    fn a_charm_is_polled_without_a_query_when_it_is_time_or_its_settings_changed() {
        let of = json!({"calendarId": "primary", "user": "me", "limit": 250, "daysBack": 30, "daysAhead": 365});
        let settings =
            json!({"syncToken": "t", "calendarId": "primary", "limit": 250, "daysBack": 30, "daysAhead": 365});
        let with = |key: &str, new: Value| {
            let mut settings = settings.clone();
            settings[key] = new;
            settings
        };
        for (settings, progress, asked) in [
            (settings.clone(), json!({"of": of, "again": 1001}), true),
            (settings.clone(), json!({"of": of, "again": 1000}), false),
            (with("calendarId", json!("team")), json!({"of": of, "again": 1001}), false),
            (with("limit", json!(9)), json!({"of": of, "again": 1001}), false),
            (with("daysBack", json!(9)), json!({"of": of, "again": 1001}), false),
            (with("daysAhead", json!(9)), json!({"of": of, "again": 1001}), false),
            (settings.clone(), json!({"of": {"user": "you"}, "again": 1001}), false),
            (settings.clone(), Value::Null, true),
        ] {
            let auth = json!({"token": "t", "user": {"email": "me"}});
            let charm = FakeCharm::new(json!({"settings": settings, "auth": auth, "progress": progress}));
            let query = Calendar::at("https://x", 1000).query(&charm.secret(&["auth", "token"]));
            assert_eq!(query.is_some(), asked, "{settings} {progress}");
        }
        // The token of a charm that stores series without expanding them.
        let settings = json!({"syncToken": "t", "singleEvents": false});
        let charm = FakeCharm::new(json!({"settings": settings, "auth": {"token": "t"}})).secret(&["auth", "token"]);
        let asked = Calendar::at("https://x", 0).query(&charm);
        assert!(!asked.unwrap().url().contains("singleEvents"));
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
            assert_eq!(Calendar::at("https://x", 0).news(&response), news, "{body}");
            let next = (news == News::Unknown && body.contains('x')).then_some("x");
            assert_eq!(Calendar::at("https://x", 0).next_page(&response).as_deref(), next, "{body}");
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
