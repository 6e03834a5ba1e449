//! `WWW-Authenticate`: what a server wants before it answers (RFC 9110, section 11.6.1).

use http::{HeaderMap, header};

/// Whether a server wants an authorization for more than the one that was sent (RFC 6750, section 3.1; RFC 9449,
/// section 7.1): somebody has to allow more than at the last sign-in.
pub(super) fn needs_scope(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(challenges).any(|Challenge { scheme, parameters }| {
        let takes_tokens = ["bearer", "dpop"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let says = |(name, value): &(&str, String)| name.eq_ignore_ascii_case("error") && value == "insufficient_scope";
        takes_tokens && parameters.iter().any(says)
    })
}

/// One challenge. What stands in place of its parameters in the form `token68` is left out.
#[derive(Debug, PartialEq, Eq)]
struct Challenge<'a> {
    scheme: &'a str,
    parameters: Vec<(&'a str, String)>,
}

/// The challenges of a value, up to the first thing that is none: what follows it might be within a quoted text.
fn challenges(value: &str) -> Vec<Challenge<'_>> {
    let (mut all, mut rest) = (Vec::new(), Rest(value));
    loop {
        rest.skip(|c| matches!(c, b' ' | b'\t' | b','));
        if rest.0.is_empty() {
            return all;
        }
        // Both challenges and their parameters are separated by commas: an item is a parameter if it has a value.
        if let Some(parameter) = rest.parameter() {
            let Some(Challenge { parameters, .. }) = all.last_mut() else { return all };
            parameters.push(parameter);
        } else {
            let Some(scheme) = rest.token() else { return all };
            let mut parameters = Vec::new();
            if rest.0.starts_with(' ') {
                rest.blanks();
                match rest.parameter() {
                    Some(parameter) => parameters.push(parameter),
                    None => rest.token68(),
                }
            }
            all.push(Challenge { scheme, parameters });
        }
        rest.blanks();
        if !(rest.0.is_empty() || rest.0.starts_with(',')) {
            return all;
        }
    }
}

/// What of a value is not read yet.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Skips bytes of ASCII, and returns them.
    fn skip(&mut self, is_one: impl Fn(u8) -> bool) -> &'a str {
        let end = self.0.bytes().position(|byte| !is_one(byte)).unwrap_or(self.0.len());
        let (skipped, rest) = self.0.split_at(end);
        self.0 = rest;
        skipped
    }

    fn blanks(&mut self) {
        self.skip(|byte| matches!(byte, b' ' | b'\t'));
    }

    fn take(&mut self, c: char) -> Option<()> {
        self.0 = self.0.strip_prefix(c)?;
        Some(())
    }

    fn token(&mut self) -> Option<&'a str> {
        Some(self.skip(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)))
            .filter(|token| !token.is_empty())
    }

    /// Credentials in the place of parameters: base64, or something like it.
    fn token68(&mut self) {
        self.skip(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        self.skip(|byte| byte == b'=');
    }

    /// A name and its value. Reads nothing if there is no such thing.
    fn parameter(&mut self) -> Option<(&'a str, String)> {
        let mut ahead = *self;
        let name = ahead.token()?;
        ahead.blanks();
        ahead.take('=')?;
        ahead.blanks();
        let value = if ahead.0.starts_with('"') { ahead.quoted()? } else { ahead.token()?.to_owned() };
        *self = ahead;
        Some((name, value))
    }

    fn quoted(&mut self) -> Option<String> {
        self.take('"')?;
        let (mut text, mut chars) = (String::new(), self.0.char_indices());
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(text);
                }
                '\\' => text.push(chars.next()?.1),
                c => text.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn needs(values: &[&str]) -> bool {
        needs_scope(&values.iter().map(|value| (header::WWW_AUTHENTICATE, value.parse().unwrap())).collect())
    }

    #[test]
    fn only_the_error_of_a_challenge_for_a_token_says_that_more_must_be_allowed() {
        for values in [
            &[r#"Bearer realm="https://a.example/", error="insufficient_scope", scope="mail""#][..],
            &["bearer ERROR=insufficient_scope"],
            &[r#"Basic realm="a, Bearer", Bearer error = "insufficient\_scope""#],
            &["Negotiate YWJj==", r#"DPoP algs="ES256" , error="insufficient_scope""#],
            &[r#"Negotiate YWJj==, , Bearer scope="x",error="insufficient_scope""#],
            &[r#"Digest, Bearer error="insufficient_scope""#],
        ] {
            assert!(needs(values), "{values:?}");
        }
        let attempt = bg_abuse::Attempt::begin("excuses", "answers that only contain the text insufficient_scope");
        for values in [
            &[][..],
            &["insufficient_scope"],
            &["Bearer insufficient_scope"],
            &[r#"Bearer error="invalid_token", error_description="not insufficient_scope""#],
            &[r#"Bearer realm="error=insufficient_scope""#],
            &[r#"Bearer realm="a\", error=insufficient_scope""#],
            &[r#"Bearer realm="a", errors="insufficient_scope""#],
            &[r#"Bearer error="insufficient_scopes""#],
            &[r#"Basic realm="x", error="insufficient_scope""#],
            &[r#"error="insufficient_scope""#],
            // Nobody knows where the text ends.
            &[r#"Bearer realm="a, error=insufficient_scope"#],
            &["Bearer a b, error=insufficient_scope"],
        ] {
            assert!(!needs(values), "{values:?}");
        }
        attempt.ended("another cause");
    }

    /// A value as some server may write it: with blanks, and quoted or not.
    fn written(challenges: &[(String, Vec<(String, String)>)], blanks: &[bool], quotes: &[bool]) -> String {
        let (mut blanks, mut quotes) = (blanks.iter().cycle().copied(), quotes.iter().cycle().copied());
        let mut blank = move || if blanks.next() == Some(true) { " \t" } else { "" };
        let mut text = String::new();
        for (scheme, parameters) in challenges {
            text.extend([blank(), scheme, " "]);
            for (name, value) in parameters {
                let is_token = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
                let value = match quotes.next() {
                    Some(false) if is_token => value.clone(),
                    _ => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
                };
                text.extend([name, blank(), "=", blank(), &value, blank(), ",", blank()]);
            }
            text += ",";
        }
        text
    }

    proptest! {
        #[test]
        fn what_a_server_writes_by_the_standard_is_read_as_it_meant_it(
            meant in proptest::collection::vec(
                ("[A-Za-z][A-Za-z0-9-]{0,9}", proptest::collection::vec(("[a-z_]{1,9}", "[ -~]{0,20}"), 0..4)), 0..4,
            ),
            blanks in proptest::collection::vec(any::<bool>(), 1..9),
            quotes in proptest::collection::vec(any::<bool>(), 1..9),
        ) {
            let text = written(&meant, &blanks, &quotes);
            let read: Vec<_> = challenges(&text)
                .into_iter()
                .map(|Challenge { scheme, parameters }| {
                    let owned = parameters.into_iter().map(|(name, value)| (name.to_owned(), value));
                    (scheme.to_owned(), owned.collect::<Vec<_>>())
                })
                .collect();
            prop_assert_eq!(read, meant, "{}", text);
        }

        #[test]
        fn any_text_is_read_to_an_end(text in r#"[A-Za-z=", \\\t\PC]{0,60}"#) {
            let _ = challenges(&text);
        }
    }
}
