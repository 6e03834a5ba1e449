//! The tokens of an answer.

use std::time::Duration;

use bg_identity::Secret;
use serde_json::{Map, Value, json};

use crate::person::Person;
use crate::pointer::at;
use crate::{OAuthError, Provider, Scopes};

/// No token is longer; Microsoft's have some 4 KiB.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Ten years: what is longer says that it never ends.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Tokens as a provider hands them out. `Debug` prints none of them.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// What APIs are called with.
    pub access: Secret,
    /// What it is renewed with. A renewal without one leaves the previous one in force.
    pub refresh: Option<Secret>,
    /// How long the access token is good for; `None` if it has no end that the provider names.
    pub expires_in: Option<Duration>,
    /// What was granted; `None` if the answer does not say.
    pub granted: Option<Scopes>,
    /// Who signed in, if the answer says.
    pub person: Option<Person>,
}

impl Tokens {
    /// Reads the members of an answer. The person is for the caller to add.
    pub(crate) fn read(origin: &str, provider: &Provider, members: &Map<String, Value>) -> Result<Self, OAuthError> {
        let odd = |problem: &str| OAuthError::odd(origin, problem);
        let nested = members_at(members, &provider.token_at);
        // Slack answers a renewal without the nesting of the first answer.
        let inner = nested.filter(|inner| inner.contains_key("access_token")).unwrap_or(members);
        let access = inner.get("access_token").ok_or_else(|| odd("it has no access_token"))?;
        let access = token(access).ok_or_else(|| odd("its access_token is not a token"))?;
        let refresh = match inner.get("refresh_token") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(value) => Some(token(value).ok_or_else(|| odd("its refresh_token is not a token"))?),
        };
        if let Some(kind) = inner.get("token_type").and_then(Value::as_str)
            && !provider.token_types.iter().any(|known| known.eq_ignore_ascii_case(kind))
        {
            return Err(odd("its token_type is not Bearer"));
        }
        let expires_in = inner.get("expires_in").and_then(seconds).map(|time| time.min(LONGEST));
        let granted = inner.get("scope").or_else(|| inner.get("scopes")).and_then(Scopes::from_answer);
        Ok(Self { access, refresh, expires_in, granted, person: None })
    }

    /// The value of a charm's `auth` cell: what the original's button writes, with `handle` in place of the refresh
    /// token. `now` and the end are Unix milliseconds.
    ///
    /// ```
    /// use bg_oauth::{Providers, Scopes, Tokens};
    /// use std::time::Duration;
    ///
    /// let google = Providers::built_in().get("google").unwrap().clone();
    /// let tokens = Tokens {
    ///     access: "ya29.a".to_owned().into(),
    ///     refresh: Some("1//r".to_owned().into()),
    ///     expires_in: Some(Duration::from_secs(3599)),
    ///     granted: None,
    ///     person: None,
    /// };
    /// let cell = tokens.auth_cell(&google, &Scopes::parse("email").unwrap(), Some("handle"), 1_000);
    /// assert_eq!(cell["token"], "ya29.a");
    /// assert_eq!(cell["expiresAt"], 3_600_000);
    /// assert_eq!(cell["refreshToken"], "handle");
    /// ```
    pub fn auth_cell(
        &self,
        provider: &Provider,
        scopes: &Scopes,
        handle: Option<&str>,
        now: u64,
    ) -> Map<String, Value> {
        let mut cell = Map::new();
        cell.insert(provider.token_field.as_str().to_owned(), self.access.expose().into());
        cell.insert("tokenType".to_owned(), "Bearer".into());
        let scopes = self.granted.as_ref().unwrap_or(scopes);
        cell.insert("scope".to_owned(), scopes.iter().collect::<Vec<_>>().into());
        if let Some(expires_in) = self.expires_in {
            cell.insert("expiresIn".to_owned(), expires_in.as_secs().into());
            let ends = now.saturating_add(u64::try_from(expires_in.as_millis()).unwrap_or(u64::MAX));
            cell.insert("expiresAt".to_owned(), ends.into());
        }
        if let Some(handle) = handle {
            cell.insert("refreshToken".to_owned(), handle.into());
        }
        if let Some(person) = &self.person {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let user = json!({
                "email": text(&person.email),
                "name": text(&person.name),
                "picture": text(&person.picture),
            });
            cell.insert("user".to_owned(), user);
        }
        cell
    }
}

/// The object at a JSON pointer.
fn members_at<'a>(members: &'a Map<String, Value>, pointer: &str) -> Option<&'a Map<String, Value>> {
    at(members, pointer)?.as_object()
}

/// A text that the gate can send as a token.
pub(crate) fn token(value: &Value) -> Option<Secret> {
    let text = value.as_str()?;
    let fits = (1..=MAX_TOKEN_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| Secret::new(text.to_owned()))
}

/// Seconds: a number, or the text of one.
pub(crate) fn seconds(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::String(text) => text.trim().parse().ok()?,
        value => value.as_f64()?,
    };
    // What never ends, or is too long for a duration, has no end that counts.
    Duration::try_from_secs_f64(seconds.max(0.0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Providers;

    fn read(provider: &str, answer: &Value) -> Result<Tokens, OAuthError> {
        let providers = Providers::built_in();
        Tokens::read("https://a.example", providers.get(provider).unwrap(), answer.as_object().unwrap())
    }

    #[test]
    fn each_providers_answer_is_read() {
        let google = json!({"access_token": "ya29", "expires_in": 3599, "refresh_token": "1//r",
            "scope": "openid https://www.googleapis.com/auth/userinfo.email", "token_type": "Bearer"});
        let tokens = read("google", &google).unwrap();
        assert_eq!(tokens.expires_in, Some(Duration::from_secs(3599)));
        assert_eq!(tokens.refresh.unwrap().expose(), "1//r");
        // GitHub: no end, no renewal; scopes by comma.
        let tokens =
            read("github", &json!({"access_token": "gho", "scope": "repo,gist", "token_type": "bearer"})).unwrap();
        assert!(tokens.refresh.is_none() && tokens.expires_in.is_none());
        assert_eq!(tokens.granted.unwrap().to_string(), "repo gist");
        // GitHub's Apps say "" to everything.
        let app = json!({"access_token": "ghu", "expires_in": "28800", "refresh_token": "", "scope": ""});
        let tokens = read("github", &app).unwrap();
        assert_eq!(tokens.expires_in, Some(Duration::from_secs(28_800)));
        assert!(tokens.refresh.is_none() && tokens.granted.unwrap().is_empty());
        // Slack nests the person's token, beside that of the bot; not in a renewal.
        let slack = json!({"ok": true, "access_token": "xoxb", "token_type": "bot", "authed_user":
            {"id": "U1", "access_token": "xoxp", "token_type": "user", "refresh_token": "xoxe", "scope": "a,b"}});
        let tokens = read("slack", &slack).unwrap();
        assert_eq!((tokens.access.expose(), tokens.refresh.unwrap().expose()), ("xoxp", "xoxe"));
        let renewed = json!({"ok": true, "access_token": "xoxe.xoxp", "token_type": "user", "refresh_token": "n"});
        assert_eq!(read("slack", &renewed).unwrap().access.expose(), "xoxe.xoxp");
        // Notion says null where it has nothing.
        let notion = json!({"access_token": "ntn", "token_type": "bearer", "refresh_token": null, "expires_in": null});
        assert!(read("notion", &notion).unwrap().refresh.is_none());
    }

    #[test]
    fn an_answer_without_a_token_that_can_be_sent_is_odd() {
        for answer in [
            json!({}),
            json!({"access_token": null}),
            json!({"access_token": ""}),
            json!({"access_token": 7}),
            json!({"access_token": "a b"}),
            json!({"access_token": "a\nX-Injected: 1"}),
            json!({"access_token": "x".repeat(MAX_TOKEN_BYTES + 1)}),
            json!({"access_token": "a", "refresh_token": {}}),
            json!({"access_token": "a", "refresh_token": "a\u{0}"}),
            json!({"access_token": "a", "token_type": "mac"}),
            json!({"access_token": "a", "token_type": "DPoP"}),
        ] {
            let error = read("google", &answer).unwrap_err();
            assert!(matches!(error, OAuthError::Odd { .. }), "{answer}: {error}");
            assert!(!error.to_string().contains("X-Injected"));
        }
    }

    #[test]
    fn an_end_of_any_kind_is_a_time_or_none() {
        for (end, expected) in [
            (json!(-5), Some(0)),
            (json!("60"), Some(60)),
            (json!("soon"), None),
            (json!(1e300), None),
            (json!(1e12), Some(LONGEST.as_secs())),
            (json!([]), None),
        ] {
            let tokens = read("google", &json!({"access_token": "a", "expires_in": end})).unwrap();
            assert_eq!(tokens.expires_in.map(|end| end.as_secs()), expected, "{end}");
        }
    }
}
