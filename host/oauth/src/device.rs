//! The device flow (RFC 8628): signing in on another device.

use std::time::Duration;

use bg_identity::{Lines, Most, Secret, excerpt};
use serde_json::{Map, Value};

use crate::endpoint::Endpoint;
use crate::tokens::{seconds, token};
use crate::{OAuthError, Scopes, Tokens};

/// The pause between two questions if the provider names none.
const INTERVAL: Duration = Duration::from_secs(5);

/// How long to wait for a person if the provider does not say.
const EXPIRES_IN: Duration = Duration::from_secs(15 * 60);

/// A sign-in that waits for a person elsewhere.
#[derive(Clone, Debug)]
pub struct DeviceSignIn {
    /// What was asked for.
    pub asked: Scopes,
    /// What the person types.
    pub user_code: String,
    /// Where they type it.
    pub verification: String,
    /// The same with the code in it.
    pub verification_complete: Option<String>,
    /// When it ends.
    pub expires_in: Duration,
    /// How long to wait before each question.
    pub interval: Duration,
    pub(crate) code: Secret,
}

/// What came of a question.
#[derive(Clone, Debug)]
pub enum DevicePoll {
    /// The person has not finished. Wait for this long before the next question.
    Pending(Duration),
    /// They have.
    Done(Box<Tokens>),
}

impl DeviceSignIn {
    pub(crate) fn read(origin: &str, asked: Scopes, members: &Map<String, Value>) -> Result<Self, OAuthError> {
        let odd = |problem: &str| OAuthError::odd(origin, problem);
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let code = members.get("device_code").and_then(token).ok_or_else(|| odd("it has no device_code"))?;
        let user_code = text("user_code").filter(|code| !code.is_empty()).ok_or_else(|| odd("it has no user_code"))?;
        let url = |text: &str| text.parse::<Endpoint>().ok().map(String::from);
        // Google and older drafts call it a URL.
        let verification = text("verification_uri").or_else(|| text("verification_url")).and_then(url);
        Ok(Self {
            asked,
            user_code: excerpt(user_code, Lines::Escaped, Most::Chars(40)),
            verification: verification.ok_or_else(|| odd("it has no verification_uri that can be opened"))?,
            verification_complete: text("verification_uri_complete").and_then(url),
            expires_in: members
                .get("expires_in")
                .and_then(seconds)
                .unwrap_or(EXPIRES_IN)
                .min(Duration::from_secs(3600)),
            interval: members
                .get("interval")
                .and_then(seconds)
                .unwrap_or(INTERVAL)
                .clamp(Duration::from_secs(1), Duration::from_secs(60)),
            code,
        })
    }

    /// After `slow_down`: five seconds more, for all further questions.
    pub(crate) fn slower(&mut self) -> Duration {
        self.interval = (self.interval + Duration::from_secs(5)).min(Duration::from_secs(120));
        self.interval
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_has_what_a_person_needs_and_sensible_times() {
        let read =
            |answer: Value| DeviceSignIn::read("https://a.example", Scopes::default(), answer.as_object().unwrap());
        let github = json!({"device_code": "d", "user_code": "WDJB-MJHT", "expires_in": 900, "interval": 5,
            "verification_uri": "https://github.com/login/device"});
        let device = read(github).unwrap();
        assert_eq!((device.user_code.as_str(), device.interval.as_secs()), ("WDJB-MJHT", 5));
        let google = json!({"device_code": "d", "user_code": "A\u{1b}[2J", "interval": 0, "expires_in": 1e30,
            "verification_url": "https://www.google.com/device", "verification_uri_complete": "javascript:alert(1)"});
        let device = read(google).unwrap();
        assert_eq!((device.user_code.as_str(), device.interval.as_secs()), ("A\\u{1b}[2J", 1));
        assert!(device.verification_complete.is_none() && device.expires_in <= EXPIRES_IN);
        for odd in [
            json!({"user_code": "A", "verification_uri": "https://a.example"}),
            json!({"device_code": "d", "verification_uri": "https://a.example"}),
            json!({"device_code": "d", "user_code": "A", "verification_uri": "file:///x"}),
        ] {
            assert!(matches!(read(odd), Err(OAuthError::Odd { .. })));
        }
    }
}
