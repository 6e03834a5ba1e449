//! Who signed in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bg_identity::{Lines, Most, excerpt};
use serde_json::{Map, Value};

use crate::pointer::at;
use crate::provider::UserPointers;
use crate::random::Nonce;
use crate::{OAuthError, Provider};

/// How far the provider's clock may be behind or ahead of ours, in seconds.
const CLOCK_TOLERANCE: u64 = 300;

/// What a provider says of a person. All but the subject is for people, and is made safe to show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Person {
    /// What stays the same for this person at this provider.
    pub subject: String,
    /// Their mail address.
    pub email: Option<String>,
    /// Their name.
    pub name: Option<String>,
    /// The https URL of a picture.
    pub picture: Option<String>,
}

impl Person {
    /// How to call the account: the mail address, else the name, else the subject.
    pub fn label(&self) -> &str {
        self.email.as_deref().or(self.name.as_deref()).unwrap_or(&self.subject)
    }

    /// Reads a description. `None` if it does not say who it is.
    pub(crate) fn read(pointers: &UserPointers, members: &Map<String, Value>) -> Option<Self> {
        let shown = |pointer: &Option<String>| {
            let text = at(members, pointer.as_deref()?)?.as_str()?;
            let text = excerpt(text.trim(), Lines::Escaped, Most::Chars(200));
            (!text.is_empty()).then_some(text)
        };
        let subject = match at(members, &pointers.id)? {
            Value::String(text) => text.clone(),
            // GitHub and Strava count theirs.
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        if !(1..=255).contains(&subject.len()) || !subject.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let picture = shown(&pointers.picture).filter(|url| url.starts_with("https://"));
        Some(Self { subject, email: shown(&pointers.email), name: shown(&pointers.name), picture })
    }
}

/// What an ID token must say.
pub(crate) struct Expected<'a> {
    pub(crate) origin: &'a str,
    pub(crate) issuer: Option<&'a str>,
    pub(crate) client_id: &'a str,
    pub(crate) nonce: Option<&'a Nonce>,
    /// Unix seconds.
    pub(crate) now: u64,
}

/// Who an ID token speaks of. It comes from the token endpoint over TLS, so its signature need not be checked (OpenID
/// Connect Core 1.0, section 3.1.3.7, step 6); issuer, audience, end and nonce are.
pub(crate) fn of_id_token(provider: &Provider, token: &str, expected: &Expected<'_>) -> Result<Person, OAuthError> {
    let odd = |problem: &str| OAuthError::odd(expected.origin, format!("its ID token {problem}"));
    let claims = claims(token).ok_or_else(|| odd("is not a JSON Web Token"))?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if let Some(issuer) = expected.issuer
        && !is_issuer(issuer, text("iss").unwrap_or_default(), text("tid"))
    {
        return Err(odd("comes from another issuer"));
    }
    let is_for_us = match claims.get("aud") {
        Some(Value::String(one)) => one == expected.client_id,
        Some(Value::Array(list)) => {
            list.iter().any(|one| one == expected.client_id) && text("azp").is_none_or(|azp| azp == expected.client_id)
        }
        _ => false,
    };
    if !is_for_us {
        return Err(odd("is meant for another client"));
    }
    match claims.get("exp").and_then(Value::as_f64) {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit into 53 bits")]
        Some(end) if end + CLOCK_TOLERANCE as f64 > expected.now as f64 => {}
        _ => return Err(odd("has ended; compare this machine's clock with the provider's")),
    }
    if let Some(nonce) = expected.nonce
        && !text("nonce").is_some_and(|found| nonce.is(found))
    {
        return Err(odd("belongs to another sign-in"));
    }
    let pointers = UserPointers::default();
    Person::read(if provider.user.id == "/sub" { &provider.user } else { &pointers }, &claims)
        .ok_or_else(|| odd("has no sub"))
}

/// Whether a token's issuer is the expected one. Google leaves out the scheme at times; Microsoft puts the person's
/// tenant in.
fn is_issuer(expected: &str, found: &str, tenant: Option<&str>) -> bool {
    if expected.contains("{tenantid}") {
        let is_tenant = |text: &&str| {
            (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        return tenant.filter(is_tenant).is_some_and(|tenant| expected.replace("{tenantid}", tenant) == found);
    }
    found == expected || expected == "https://accounts.google.com" && found == "accounts.google.com"
}

/// The claims of a JSON Web Token, of which nothing is verified here.
fn claims(token: &str) -> Option<Map<String, Value>> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    match serde_json::from_slice(&bytes).ok()? {
        Value::Object(claims) => Some(claims),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::Providers;

    fn token(claims: &Value) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn read(provider: &str, claims: &Value, nonce: Option<&Nonce>) -> Result<Person, OAuthError> {
        let providers = Providers::built_in();
        let provider = providers.get(provider).unwrap();
        let expected = Expected {
            origin: "https://a.example",
            issuer: provider.issuer.as_deref(),
            client_id: "me",
            nonce,
            now: 1_000_000,
        };
        of_id_token(provider, &token(claims), &expected)
    }

    fn claims() -> Value {
        json!({"iss": "https://accounts.google.com", "aud": "me", "sub": "10769", "exp": 1_000_100,
            "email": "someone@example.com", "name": "Some\u{202e}one", "picture": "javascript:alert(1)"})
    }

    #[test]
    fn a_person_is_read_and_made_safe_to_show() {
        let person = read("google", &claims(), None).unwrap();
        assert_eq!((person.subject.as_str(), person.label()), ("10769", "someone@example.com"));
        assert_eq!(person.name.as_deref(), Some("Some\\u{202e}one"));
        assert_eq!(person.picture, None);
    }

    #[test]
    fn a_token_of_another_issuer_client_time_or_sign_in_is_refused() {
        let nonce = Nonce::new().unwrap();
        for (key, value, expected) in [
            ("iss", json!("https://evil.example"), "another issuer"),
            ("iss", json!(null), "another issuer"),
            ("aud", json!("you"), "another client"),
            ("aud", json!(["you"]), "another client"),
            ("exp", json!(999_000), "has ended"),
            ("exp", json!(null), "has ended"),
            ("sub", json!(""), "no sub"),
            ("sub", json!(["a"]), "no sub"),
        ] {
            let mut claims = claims();
            claims[key] = value;
            let error = read("google", &claims, None).unwrap_err().to_string();
            assert!(error.contains(expected), "{key}: {error}");
        }
        let error = read("google", &claims(), Some(&nonce)).unwrap_err().to_string();
        assert!(error.contains("another sign-in"), "{error}");
        let mut good = claims();
        good["nonce"] = nonce.secret().expose().into();
        good["iss"] = "accounts.google.com".into();
        good["aud"] = json!(["me", "you"]);
        assert!(read("google", &good, Some(&nonce)).is_ok());
        good["azp"] = "you".into();
        assert!(read("google", &good, Some(&nonce)).is_err());
    }

    #[test]
    fn microsofts_issuer_names_the_tenant_of_the_token() {
        let issuer = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
        let mut claims = json!({"iss": issuer("9188040d-6c67"), "tid": "9188040d-6c67", "aud": "me", "sub": "AAA",
            "exp": 1_000_100});
        assert!(read("microsoft", &claims, None).is_ok());
        claims["tid"] = "other".into();
        assert!(read("microsoft", &claims, None).is_err());
        claims["tid"] = "x/../9188040d-6c67".into();
        claims["iss"] = issuer("x/../9188040d-6c67").into();
        assert!(read("microsoft", &claims, None).is_err());
    }

    #[test]
    fn each_provider_describes_a_person_in_its_own_way() {
        let providers = Providers::built_in();
        let read =
            |name: &str, answer: &Value| Person::read(&providers.get(name).unwrap().user, answer.as_object().unwrap());
        let of = |subject: &str, email: Option<&str>, name: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            Some(Person { subject: subject.to_owned(), email: owned(email), name: owned(name), picture: None })
        };
        let github = json!({"id": 583_231, "login": "octocat", "email": null});
        assert_eq!(read("github", &github), of("583231", None, Some("octocat")));
        let notion = json!({"owner": {"user": {"id": "u", "name": "N", "person": {"email": "n@a.example"}}}});
        assert_eq!(read("notion", &notion), of("u", Some("n@a.example"), Some("N")));
        let linear = json!({"data": {"viewer": {"id": "l", "name": "L", "email": "l@a.example"}}});
        assert_eq!(read("linear", &linear), of("l", Some("l@a.example"), Some("L")));
        assert_eq!(
            read("slack", &json!({"authed_user": {"id": "U1"}, "team": {"name": "T"}})),
            of("U1", None, Some("T"))
        );
        assert_eq!(read("strava", &json!({"athlete": {"id": 7, "username": "s"}})), of("7", None, Some("s")));
        assert_eq!(
            read("discord", &json!({"id": "80351110224678912", "username": "d"})),
            of("80351110224678912", None, Some("d"))
        );
        assert_eq!(read("spotify", &json!({"id": "sp", "images": []})), of("sp", None, None));
        assert_eq!(
            read("airtable", &json!({"id": "usr1", "email": "a@a.example"})),
            of("usr1", Some("a@a.example"), None)
        );
        assert_eq!(read("github", &json!({"message": "Bad credentials"})), None);
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_for_an_id_token(text in "[A-Za-z0-9_.=-]{0,200}") {
            let _ = claims_of(&text);
        }
    }

    fn claims_of(text: &str) -> Option<Map<String, Value>> {
        super::claims(text)
    }
}
