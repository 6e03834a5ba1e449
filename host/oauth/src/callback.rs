//! The provider's answer to a sign-in, as the browser brings it to the redirect URL.

use bg_identity::Secret;
use url::{Url, form_urlencoded};

use crate::OAuthError;
use crate::answer::{is_code, shown};

/// No provider's answer is longer.
const MAX_BYTES: usize = 16 * 1024;

/// The parameters of an answer, not yet checked. `Debug` prints neither code nor state.
#[derive(Clone, Debug)]
pub struct Callback {
    pub(crate) state: Secret,
    pub(crate) iss: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) answer: Result<Secret, (String, Option<String>)>,
}

impl Callback {
    /// Reads the query of the redirect URL.
    ///
    /// ```
    /// use bg_oauth::Callback;
    ///
    /// let callback = Callback::parse("state=xyz&code=SplxlOBeZQQYbYS6WxSbIA").unwrap();
    /// assert_eq!(callback.state().expose(), "xyz");
    /// // Each parameter may come once.
    /// assert!(Callback::parse("state=xyz&code=a&code=b").is_err());
    /// ```
    pub fn parse(query: &str) -> Result<Self, OAuthError> {
        if query.len() > MAX_BYTES {
            return Err(OAuthError::Stray);
        }
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let get = |name: &str| -> Result<Option<String>, OAuthError> {
            let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
            let first = values.next().filter(|value| !value.is_empty()).cloned();
            if values.next().is_some() { Err(OAuthError::Stray) } else { Ok(first) }
        };
        let state = Secret::new(get("state")?.ok_or(OAuthError::Stray)?);
        let answer = match (get("error")?, get("code")?) {
            (Some(error), _) => {
                let error = if is_code(&error) { error } else { "an error".to_owned() };
                Err((error, get("error_description")?.and_then(|text| shown(&text, &[]))))
            }
            (None, Some(code)) => Ok(Secret::new(code)),
            (None, None) => return Err(OAuthError::Stray),
        };
        Ok(Self { state, iss: get("iss")?, scope: get("scope")?, answer })
    }

    /// Reads the URL that a person copied from the browser's address bar, after the browser could not load it.
    pub fn pasted(text: &str, redirect: &Url) -> Result<Self, OAuthError> {
        let text = text.trim().trim_matches(['"', '\'', '<', '>']);
        if text.len() > MAX_BYTES {
            return Err(OAuthError::Pasted("this is far too long for the URL of a sign-in's answer"));
        }
        let url = Url::parse(text).map_err(|_| {
            OAuthError::Pasted("this is not a URL; copy all of the browser's address bar, from http:// on")
        })?;
        if url.origin() != redirect.origin() || url.path() != redirect.path() {
            return Err(OAuthError::Pasted(
                "this is not where the sign-in ends; finish it in the browser, until its address bar shows the \
                redirect URL with ?code= or ?state= in it",
            ));
        }
        Self::parse(url.query().unwrap_or_default())
    }

    /// The state, by which to find the sign-in that it belongs to.
    pub fn state(&self) -> &Secret {
        &self.state
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_without_a_state_or_with_two_of_anything_is_no_answer() {
        for query in [
            "",
            "code=a",
            "state=a",
            "state=&code=a",
            "state=a&state=a&code=b",
            "state=a&code=b&code=c",
            "state=a&code=b&iss=c&iss=d",
            "state=a&error=b&error=c",
        ] {
            assert!(matches!(Callback::parse(query), Err(OAuthError::Stray)), "{query}");
        }
        assert!(Callback::parse(&format!("state=a&code={}", "x".repeat(MAX_BYTES))).is_err());
    }

    #[test]
    fn an_error_is_shown_without_what_moves_a_terminal() {
        let callback = Callback::parse("state=a&error=access_denied&error_description=no%1b[2J").unwrap();
        let (code, description) = callback.answer.unwrap_err();
        assert_eq!((code.as_str(), description.as_deref()), ("access_denied", Some("no\\u{1b}[2J")));
        let callback = Callback::parse("state=a&error=%1b[2Jx").unwrap();
        assert_eq!(callback.answer.unwrap_err().0, "an error");
    }

    #[test]
    fn a_pasted_url_must_be_the_redirect_url() {
        let redirect = "http://127.0.0.1:51234/callback".parse().unwrap();
        let good = " \"http://127.0.0.1:51234/callback?state=a&code=b&scope=c\" \n";
        assert_eq!(Callback::pasted(good, &redirect).unwrap().state().expose(), "a");
        for text in [
            "b",
            "http://127.0.0.1:51235/callback?state=a&code=b",
            "http://127.0.0.1:51234/other?state=a&code=b",
            "https://accounts.google.com/o/oauth2/v2/auth?state=a",
            "http://127.0.0.1:51234/callback",
        ] {
            assert!(Callback::pasted(text, &redirect).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(query in ".{0,300}") {
            if let Ok(callback) = Callback::parse(&query) {
                prop_assert!(!callback.state().expose().is_empty());
            }
            let _ = Callback::pasted(&query, &"http://127.0.0.1/".parse().unwrap());
        }
    }
}
