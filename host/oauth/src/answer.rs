//! What an answer of a token endpoint means.

use bg_identity::{Lines, Most, Secret, excerpt, mask};
use http::StatusCode;
use serde_json::{Map, Value};

use crate::OAuthError;
use crate::sender::Answer;

/// The characters of a provider's explanation that are shown.
const SHOWN: usize = 200;

/// What is being asked for, which decides what a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Tokens for a code: a refusal ends the sign-in.
    Exchange,
    /// New tokens for a refresh token: a refusal ends the account.
    Refresh,
    /// Whose token it is, or something else with an access token.
    WithToken,
}

/// The codes of a grant that has ended: that of RFC 6749, those of `OpenID` Connect that ask for a person, and those of
/// GitHub and Slack.
const ENDED: [&str; 16] = [
    "access_denied",
    "account_inactive",
    "account_selection_required",
    "bad_refresh_token",
    "bad_verification_code",
    "consent_required",
    "expired_token",
    "interaction_required",
    "invalid_code",
    "invalid_grant",
    "invalid_refresh_token",
    "invalid_token",
    "login_required",
    "token_expired",
    "token_revoked",
    "unverified_user_email",
];

/// The codes of a client, or of its requests, that the provider will never accept as they are.
const WRONG_CLIENT: [&str; 18] = [
    "admin_policy_enforced",
    "bad_client_secret",
    "bad_redirect_uri",
    "deleted_client",
    "device_flow_disabled",
    "disallowed_useragent",
    "incorrect_client_credentials",
    "incorrect_device_code",
    "invalid_client",
    "invalid_client_id",
    "invalid_request",
    "invalid_scope",
    "org_internal",
    "redirect_uri_mismatch",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "unsupported_token_type",
];

/// The codes that say "later". The first is that of a person who has not finished yet.
const TEMPORARY: [&str; 7] = [
    "authorization_pending",
    "internal_failure",
    "rate_limited",
    "ratelimited",
    "server_error",
    "slow_down",
    "temporarily_unavailable",
];

/// The members of an answer without an error.
pub(crate) fn members(answer: &Answer, asked: Asked, secrets: &[Secret]) -> Result<Map<String, Value>, OAuthError> {
    let is_busy = answer.status.is_server_error()
        || matches!(answer.status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
    let members = read(answer);
    let code = members.as_ref().and_then(error_code);
    if is_busy {
        return Err(busy(answer, code));
    }
    if let Some(code) = code {
        let description = members.as_ref().and_then(|members| description(members, secrets));
        return Err(refusal(answer, asked, code, description));
    }
    match members {
        _ if asked == Asked::WithToken && answer.status == StatusCode::UNAUTHORIZED => {
            Err(OAuthError::Ended { origin: answer.origin.clone(), code: "invalid_token".to_owned() })
        }
        _ if !answer.status.is_success() => {
            let problem = format!("{} without a reason; check the URL", answer.status);
            Err(OAuthError::odd(answer.origin.clone(), problem))
        }
        Some(members) => Ok(members),
        None => Err(OAuthError::odd(answer.origin.clone(), "it is not a JSON object")),
    }
}

fn busy(answer: &Answer, code: Option<String>) -> OAuthError {
    let (origin, status, retry_after) = (answer.origin.clone(), answer.status.as_u16(), answer.retry_after);
    OAuthError::Busy { origin, status, code, retry_after }
}

fn refusal(answer: &Answer, asked: Asked, code: String, description: Option<String>) -> OAuthError {
    let origin = answer.origin.clone();
    match code.as_str() {
        known if TEMPORARY.contains(&known) => busy(answer, Some(code)),
        known if WRONG_CLIENT.contains(&known) => OAuthError::WrongClient { origin, code, description },
        known if ENDED.contains(&known) && asked == Asked::Exchange => OAuthError::Refused { code, description },
        known if ENDED.contains(&known) => OAuthError::Ended { origin, code },
        _ => OAuthError::odd(origin, format!("{} ({code})", answer.status)),
    }
}

/// What the error of an authorization endpoint means, which the browser brings.
pub(crate) fn redirected(origin: String, code: String, description: Option<String>) -> OAuthError {
    match code.as_str() {
        known if TEMPORARY.contains(&known) => {
            OAuthError::Busy { origin, status: 302, code: Some(code), retry_after: None }
        }
        known if WRONG_CLIENT.contains(&known) => OAuthError::WrongClient { origin, code, description },
        _ => OAuthError::Refused { code, description },
    }
}

/// JSON, or a form from a provider that does not know better.
fn read(answer: &Answer) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&answer.body) {
        Ok(Value::Object(members)) => Some(members),
        Ok(_) => None,
        Err(_) if answer.is_form => {
            let pairs = url::form_urlencoded::parse(&answer.body);
            Some(pairs.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect())
        }
        Err(_) => None,
    }
}

/// The error code of an answer. `error` is a text, or an object with it in some APIs.
fn error_code(members: &Map<String, Value>) -> Option<String> {
    let text = match members.get("error")? {
        Value::String(text) => text,
        Value::Object(inner) => inner.get("code").or_else(|| inner.get("status")).and_then(Value::as_str).unwrap_or(""),
        Value::Null | Value::Bool(false) => return None,
        _ => "",
    };
    Some(if is_code(text) { text.to_owned() } else { "an error".to_owned() })
}

/// Whether a text is an error code such as `invalid_grant`, and not a message that may quote something.
pub(crate) fn is_code(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn description(members: &Map<String, Value>, secrets: &[Secret]) -> Option<String> {
    shown(members.get("error_description")?.as_str()?, secrets)
}

/// An explanation of others, as shown.
pub(crate) fn shown(text: &str, secrets: &[Secret]) -> Option<String> {
    let text = excerpt(&mask(text.trim(), secrets), Lines::Escaped, Most::Chars(SHOWN));
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::*;
    use crate::Class;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            origin: "https://a.example".to_owned(),
            status: StatusCode::from_u16(status).unwrap(),
            is_form: body.contains('=') && !body.starts_with('{'),
            retry_after: None,
            body: Zeroizing::new(body.as_bytes().to_vec()),
        }
    }

    #[test]
    fn each_answer_has_its_class() {
        use Asked::{Exchange, Refresh, WithToken};
        let cases = [
            (400, r#"{"error":"invalid_grant"}"#, Refresh, Class::Ended),
            (400, r#"{"error":"invalid_grant"}"#, Exchange, Class::Refused),
            (401, r#"{"error":"invalid_client"}"#, Refresh, Class::WrongClient),
            (401, r#"{"error":"invalid_client"}"#, Exchange, Class::WrongClient),
            // GitHub and Slack answer 200 to an error.
            (200, r#"{"error":"bad_refresh_token"}"#, Refresh, Class::Ended),
            (200, r#"{"error":"bad_verification_code"}"#, Exchange, Class::Refused),
            (200, r#"{"ok":false,"error":"bad_client_secret"}"#, Exchange, Class::WrongClient),
            (200, r#"{"ok":false,"error":"ratelimited"}"#, Exchange, Class::Temporary),
            (200, "error=incorrect_client_credentials&error_description=no", Exchange, Class::WrongClient),
            // Whatever a busy server says of the grant.
            (503, r#"{"error":"invalid_grant"}"#, Refresh, Class::Temporary),
            (429, "slow down", Refresh, Class::Temporary),
            (408, "", Refresh, Class::Temporary),
            (500, "<html>", Exchange, Class::Temporary),
            (400, "", Refresh, Class::Odd),
            (404, "<html>not found", Refresh, Class::Odd),
            (302, "", Refresh, Class::Odd),
            (200, "[]", Exchange, Class::Odd),
            (200, "<html>", Exchange, Class::Odd),
            (400, r#"{"error":"never_heard_of"}"#, Refresh, Class::Odd),
            (400, r#"{"error":{"code":400}}"#, Refresh, Class::Odd),
            (401, "", WithToken, Class::Ended),
            (401, "", Refresh, Class::Odd),
        ];
        for (status, body, asked, class) in cases {
            let error = members(&answer(status, body), asked, &[]).unwrap_err();
            assert_eq!(error.class(), class, "{status} {body} {asked:?}: {error}");
        }
        assert!(members(&answer(200, r#"{"ok":true,"error":null}"#), Exchange, &[]).is_ok());
    }

    #[test]
    fn an_explanation_is_shown_without_the_secrets_that_were_sent() {
        let secrets = [Secret::new("1//refresh/token".to_owned()), Secret::new("1%2F%2Frefresh%2Ftoken".to_owned())];
        let body = r#"{"error":"invalid_request","error_description":"no 1//refresh/token or 1%2F%2Frefresh%2Ftoken\u001b[2J"}"#;
        let error = members(&answer(400, body), Asked::Refresh, &secrets).unwrap_err().to_string();
        assert!(error.contains("(no (secret) or (secret)"), "{error}");
        assert!(!error.contains("refresh/token") && !error.contains('\u{1b}'), "{error}");
    }

    proptest! {
        #[test]
        fn no_answer_is_too_odd_to_read(status in 200u16..600, body in ".{0,300}", form: bool) {
            let mut answer = answer(status, &body);
            answer.is_form = form;
            for asked in [Asked::Exchange, Asked::Refresh, Asked::WithToken] {
                let error = members(&answer, asked, &[]).err().map(|error| error.to_string()).unwrap_or_default();
                prop_assert!(!error.contains(|c: char| c.is_control()));
            }
        }

        #[test]
        fn an_error_code_of_others_is_one_word_in_a_message(code in ".{0,60}") {
            let body = serde_json::json!({ "error": code }).to_string();
            let error = members(&answer(400, &body), Asked::Refresh, &[]).unwrap_err();
            prop_assert!(is_code(&code) || error.code().is_none_or(|code| code == "an error"));
        }
    }
}
