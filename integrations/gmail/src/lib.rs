//! Names the Gmail charms whose mailbox has changed since their last poll.
//!
//! A Gmail charm stores in `settings.historyId` how far it has followed its mailbox. One small request tells whether
//! anything has happened since. Charms whose mailbox is quiet are skipped; all others are polled. A charm that imports
//! in slices stores in `progress` what it imports and what is left. Until the import is complete, and when its settings
//! ask for something else, it is polled whatever its mailbox says.

use bg_integration_sdk::http::{Request, Response};
use bg_integration_sdk::updates::{self, News, Source};
use bg_integration_sdk::{Charm, CharmRef, CharmView, Error, Integration, charms, config, export};
use serde::Deserialize;

/// The integration `gmail`.
#[derive(Debug)]
pub struct Gmail {
    /// Base URL of the API, without a slash at the end.
    base_url: String,
}

impl Integration for Gmail {
    fn fetch_charms() -> Result<Vec<CharmRef>, Error> {
        let base_url = config::required("api-base-url")?;
        updates::charms_with_news(&Self::at(&base_url))
    }

    fn is_valid_charm(charm: &Charm) -> Result<bool, Error> {
        is_fit(charm)
    }
}

/// Requires a stream for polls, and a sign-in to poll with.
fn is_fit(charm: &impl CharmView) -> Result<bool, Error> {
    Ok(charms::can_be_polled_signed_in(charm)?)
}

export!(Gmail);

/// The API's answer about a mailbox's history.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct History {
    #[serde(default)]
    history: Vec<serde::de::IgnoredAny>,
    next_page_token: Option<String>,
}

/// A history ID, which charms store as text or as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum HistoryId {
    Text(String),
    Number(u64),
}

impl HistoryId {
    fn digits(self) -> Option<String> {
        let text = match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        };
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
    }
}

impl Gmail {
    fn at(base_url: &str) -> Self {
        Self { base_url: base_url.trim_end_matches('/').to_owned() }
    }
}

impl Source for Gmail {
    fn query(&self, charm: &impl CharmView) -> Option<Request> {
        let since: HistoryId = charm.get(&["settings", "historyId"]).ok()?.json()?;
        // Without a token the host cannot authorize the request.
        if charm.get(&["auth", "token"]).ok()?.is_absent() || is_behind(charm) {
            return None;
        }
        let url = format!("{}/gmail/v1/users/me/history", self.base_url);
        let request = Request::get(url).query("startHistoryId", &since.digits()?).query("maxResults", "1");
        let kinds = ["messageAdded", "messageDeleted", "labelAdded", "labelRemoved"];
        Some(kinds.into_iter().fold(request, |request, kind| request.query("historyTypes", kind)))
    }

    fn news(&self, response: &Response) -> News {
        match response.json::<History>() {
            Ok(History { history, next_page_token: None }) if history.is_empty() => News::None,
            // A page without entries may be followed by one with some.
            Ok(History { history, .. }) if history.is_empty() => News::Unknown,
            Ok(_) => News::Some,
            Err(_) => News::Unknown,
        }
    }

    fn next_page(&self, response: &Response) -> Option<String> {
        let History { history, next_page_token } = response.json().ok()?;
        next_page_token.filter(|_| history.is_empty())
    }
}

/// Whether the charm has more to do than follow changes: an import is not complete, or it imported something else than
/// its settings ask for.
fn is_behind(charm: &impl CharmView) -> bool {
    let left: Option<u64> = charm.get(&["progress", "left"]).ok().and_then(|left| left.json());
    let of: [(&str, &[&str]); 3] = [
        ("user", &["auth", "user", "email"]),
        ("query", &["settings", "gmailFilterQuery"]),
        ("limit", &["settings", "limit"]),
    ];
    left.is_some_and(|left| left > 0) || !charms::is_as_kept(charm, &["progress", "of"], &of)
}

#[cfg(test)]
mod tests {
    use bg_integration_sdk::testing::FakeCharm;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_mailbox_is_queried_if_the_charm_has_a_history_id_and_a_token() {
        let auth = json!({"token": "t"});
        for (settings, auth, since) in [
            (json!({"historyId": "1234"}), &auth, Some("1234")),
            (json!({"historyId": 1234}), &auth, Some("1234")),
            (json!({"historyId": "1234"}), &json!({}), None),
            (json!({"historyId": "1234"}), &Value::Null, None),
            (json!({"historyId": ""}), &auth, None),
            (json!({"historyId": "12&x=1"}), &auth, None),
            (json!({"historyId": -1}), &auth, None),
            (json!({"historyId": null}), &auth, None),
            (json!({}), &auth, None),
            (Value::Null, &auth, None),
        ] {
            let charm = FakeCharm::new(json!({"settings": settings, "auth": auth})).secret(&["auth", "token"]);
            let asked = Gmail::at("https://gmail.googleapis.com/").query(&charm);
            let expected = since.map(|since| {
                format!(
                    "https://gmail.googleapis.com/gmail/v1/users/me/history?startHistoryId={since}&maxResults=1\
                     &historyTypes=messageAdded&historyTypes=messageDeleted&historyTypes=labelAdded\
                     &historyTypes=labelRemoved"
                )
            });
            assert_eq!(asked.as_ref().map(Request::url), expected.as_deref(), "{settings} {auth}");
        }
    }

    #[test]
    fn a_charm_whose_import_is_incomplete_or_of_something_else_is_polled_without_a_query() {
        let of = json!({"mailbox": "me@example.com", "user": "me@example.com", "query": "in:INBOX", "limit": 100});
        let settings = json!({"historyId": "1234", "gmailFilterQuery": "in:INBOX", "limit": 100});
        let with = |value: &Value, key: &str, new: Value| {
            let mut value = value.clone();
            value[key] = new;
            value
        };
        for (settings, progress, asked) in [
            (settings.clone(), json!({"of": of, "left": 0}), true),
            (settings.clone(), json!({"of": of, "left": 7}), false),
            (with(&settings, "gmailFilterQuery", json!("is:starred")), json!({"of": of, "left": 0}), false),
            (with(&settings, "limit", json!(101)), json!({"of": of, "left": 0}), false),
            (settings.clone(), json!({"of": with(&of, "user", json!("you@example.com")), "left": 0}), false),
            // A charm that stores no progress.
            (settings.clone(), Value::Null, true),
            (settings.clone(), json!({"of": {}}), true),
            (settings.clone(), json!({"of": {"mailbox": "", "user": "", "query": "", "limit": 0}, "left": 0}), true),
        ] {
            let auth = json!({"token": "t", "user": {"email": "me@example.com"}});
            let charm = FakeCharm::new(json!({"settings": settings, "auth": auth, "progress": progress}));
            let query = Gmail::at("https://gmail.googleapis.com").query(&charm.secret(&["auth", "token"]));
            assert_eq!(query.is_some(), asked, "{settings} {progress}");
        }
    }

    #[test]
    fn only_an_empty_history_is_quiet() {
        for (body, news) in [
            (r#"{"historyId": "1234"}"#, News::None),
            (r#"{"history": [], "historyId": "1234"}"#, News::None),
            (r#"{"history": [{"id": "1300"}], "historyId": "1301"}"#, News::Some),
            (r#"{"history": [{"id": "1300"}], "nextPageToken": "x"}"#, News::Some),
            (r#"{"nextPageToken": "x"}"#, News::Unknown),
            (r#"{"history": 7}"#, News::Unknown),
            ("<html>", News::Unknown),
            ("", News::Unknown),
        ] {
            let response = Response { status: 200, headers: vec![], body: body.into() };
            assert_eq!(Gmail::at("https://x").news(&response), news, "{body}");
            let next = (body == r#"{"nextPageToken": "x"}"#).then_some("x");
            assert_eq!(Gmail::at("https://x").next_page(&response).as_deref(), next, "{body}");
        }
    }

    #[test]
    fn a_charm_is_fit_with_a_known_stream_and_a_sign_in() {
        let auth = json!({"auth": {"token": "t"}});
        for (cells, stream, fit) in [
            (&auth, "bgUpdater", true),
            (&auth, "googleUpdater", true),
            (&auth, "refresh", false),
            (&json!({}), "bgUpdater", false),
        ] {
            let charm = FakeCharm::new(cells.clone()).stream(stream).secret(&["auth", "token"]);
            assert_eq!(is_fit(&charm), Ok(fit), "{cells} {stream}");
        }
    }
}
